public import Journal
internal import Projections

/// Makes stores.
public enum StoreCreation {
  /// Why the store is made, and the number of its first epoch: above every one known of a journal
  /// that was lost.
  public struct Opening: Hashable, Sendable {
    public var cause: EpochOpening.Cause
    public var epoch: UInt32
    /// Whether projects and users of instances are sealed, for ever.
    public var sealsOwners: Bool

    public init(
      _ cause: EpochOpening.Cause = .initialized, epoch: UInt32 = 1, sealsOwners: Bool = false
    ) {
      self.sealsOwners = sealsOwners
      self.cause = cause
      self.epoch = epoch
    }
  }

  /// Makes an empty store with cell0: journal, keys, and an index.
  ///
  /// The journal appears last but for the index, which any process can make again; a crash before
  /// that leaves nothing that a repeated call doesn't clean up.
  ///
  /// - Parameters:
  ///   - directory: A folder that isn't there, or an empty one (a mount point).
  ///   - cell0: The address of cell0's database, if it is known.
  ///   - authorship: Who makes it; a reason isn't needed.
  /// - Throws: `journal` with `alreadyAStore`, `notAStore` or what the disk says; `keys`; `index`.
  public static func create(
    in directory: String, cell0: GivenAddress?, by authorship: Authorship,
    opening: Opening = Opening()
  ) throws(RegistryError) -> EventJournal {
    let beginning: StoreBeginning
    do throws(JournalError) { beginning = try StoreBeginning(directory) } catch {
      throw .journal(error)
    }
    let record = try cell0Record(cell0, beginning, sealsOwners: opening.sealsOwners)
    let journal: EventJournal
    do throws(JournalError) {
      journal = try beginning.finish(drafts(beginning.store, record, authorship, opening))
    } catch {
      throw .journal(error)
    }
    try createIndex(of: journal)
    return journal
  }

  /// cell0 has no hosts and no queue; Nova writes `none:///` for it.
  private static func cell0Record(
    _ address: GivenAddress?, _ beginning: StoreBeginning, sealsOwners: Bool
  ) throws(RegistryError) -> CellRecord {
    var record = CellRecord(name: "cell0")
    do throws(KeyError) {
      let keys = try KeyRing.create(
        in: beginning.files.keys, store: beginning.store, sealsOwners: sealsOwners)
      if let address {
        record.database = try keys.seal(
          address.original.exposedBytes(), publicForm: address.publicForm, of: .cell0, .database)
      }
      record.queue = try keys.seal(
        Array("none:///".utf8), publicForm: "none:///", of: .cell0, .queue)
    } catch {
      throw .keys(error)
    }
    return record
  }

  private static func drafts(
    _ store: StoreID, _ cell0: CellRecord, _ authorship: Authorship, _ how: Opening
  ) -> [EntryDraft] {
    let opening = EpochOpening(
      store: store, epoch: how.epoch, id: EpochID(.random()), cause: how.cause, commonIndex: 0,
      commonRoot: TreeHash.empty, leftIndex: 0, leftRoot: TreeHash.empty,
      sealsOwners: how.sealsOwners)
    return [Event.store(.epochOpened(opening)), .cell(.cell0, .added(cell0))].map {
      EntryDraft(event: $0, authorship: authorship, request: RequestMark(id: .none))
    }
  }

  private static func createIndex(of journal: EventJournal) throws(RegistryError) {
    let head = journal.head
    let changes: [EntryChange]
    do throws(JournalError) {
      changes = try journal.changes(after: 0, limit: IndexProjector.maximumBatch)
    } catch {
      throw .journal(error)
    }
    let generations = IndexGenerations(folder: journal.files.directory)
    do throws(ProjectionError) {
      let number = try generations.nextNumber()
      try fill(generations.path(of: number), journal.store, changes, head.root)
      try generations.switchCurrent(to: number)
    } catch .fileExists {
      // Another process has found the store already, and makes its index.
    } catch {
      throw .index(error)
    }
  }

  /// Its connection is closed once this returns: CURRENT never names a file that this process has
  /// open while it is synced.
  private static func fill(
    _ path: String, _ store: StoreID, _ changes: [EntryChange], _ root: Digest
  ) throws(ProjectionError) {
    let projector = try IndexProjector.create(at: path, store: store)
    try projector.apply(changes, root: root)
    try projector.moveWAL()
  }
}
