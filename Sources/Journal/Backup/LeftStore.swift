/// The end of a history, as somebody knows it.
public struct KnownHead: Hashable, Sendable {
  public let position: Position
  public let root: Digest

  public init(position: Position, root: Digest) {
    self.position = position
    self.root = root
  }
}

/// What is known of a store whose folder a restore takes: it may be damaged, or gone but for HEAD.
public struct LeftStore: Sendable {
  let directory: String
  /// nil if it can't be opened.
  let journal: EventJournal?
  /// Why it can't.
  public let fault: JournalError?
  private let witness: HeadWitness?

  /// Looks at the store in a folder, which may be in use.
  ///
  /// - Returns: nil if no store is there, and the folder may take one.
  /// - Throws: `notAStore` and the like for a folder that can't take one; `inUse`, `file`.
  public static func look(at directory: String) throws(JournalError) -> LeftStore? {
    let files = StoreFiles(directory)
    do throws(JournalError) {
      return try LeftStore(files, .open(directory))
    } catch .noStore {
      return nil
    } catch {
      switch error {
      case .journalLost: return try LeftStore(files, nil, fault: error)
      case _ where error.category == .integrity || error.category == .newerFormat:
        return try LeftStore(files, nil, fault: error)
      default: throw error
      }
    }
  }

  /// Opens the store in a folder that `lock` holds alone.
  static func take(_ files: StoreFiles, under lock: StoreLock) throws(JournalError) -> LeftStore {
    do throws(JournalError) {
      return try LeftStore(
        files, .open(files, lock: lock, options: EventJournal.Options()))
    } catch {
      // Whatever it is, the journal is set aside as it is.
      return try LeftStore(files, nil, fault: error)
    }
  }

  private init(
    _ files: StoreFiles, _ journal: EventJournal?, fault: JournalError? = nil
  ) throws(JournalError) {
    directory = files.directory
    self.journal = journal
    self.fault = fault
    witness = try HeadSlots.read(files.head)
  }

  /// The store that journal and HEAD are of; nil if neither can be read.
  var store: StoreID? { journal?.store ?? witness?.store }

  /// The highest epoch that is known of it.
  var highestEpoch: UInt32 { max(journal?.head.position.epoch ?? 0, witness?.position.epoch ?? 0) }

  /// The last head that is known of it.
  public var head: KnownHead? {
    if let head = journal?.head { return KnownHead(position: head.position, root: head.root) }
    return witness.map { KnownHead(position: $0.position, root: $0.root) }
  }
}
