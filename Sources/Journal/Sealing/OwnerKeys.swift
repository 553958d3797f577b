internal import Glibc
internal import Synchronization

/// The keys of projects, in a store that seals who owns its instances: the one door between clear owners
/// and those that the journal and its projections hold.
///
/// A store seals owners from its first entry on or never does; in one that doesn't, all of this leaves
/// owners as they are. Other processes make, rewrap and shred keys meanwhile: each use looks at the key's
/// file.
public final class OwnerKeys: Sendable {
  let directory: String
  let store: StoreID
  /// Whether the store seals owners.
  public let seals: Bool
  private let known = Mutex(Known())

  struct Known {
    var masters: [StoredKey] = []
    /// How many keys were made when the folder was read.
    var count: UInt64?
    var keys: [KeyID: OwnerKey] = [:]
    var ids: [ByteText?: KeyID] = [:]

    mutating func forget(_ id: KeyID) {
      guard let key = keys.removeValue(forKey: id) else { return }
      if ids[key.project] == id { ids[key.project] = nil }
    }

    mutating func add(_ key: OwnerKey) {
      keys[key.id] = key
      // Of two, which only keys that were put together by hand have, the newer one seals.
      ids[key.project] = max(ids[key.project] ?? key.id, key.id)
    }
  }

  func withKnown<Result>(_ body: (inout Known) -> Result) -> Result { known.withLock { body(&$0) } }

  /// The keys in a store's folder of keys; nothing of them is read yet.
  public init(in directory: String, store: StoreID) {
    self.directory = directory
    self.store = store
    seals = FileIdentity(ofPath: Self.markPath(in: directory)) != nil
  }

  /// The same for a store that is open, after the shredding of keys was finished that a killed process
  /// had begun.
  ///
  /// - Throws: `missing` if the journal says that owners are sealed, and the mark in the folder of keys
  ///   isn't there; `file`, `damaged`.
  public static func open(of journal: EventJournal) throws(KeyError) -> OwnerKeys {
    try KeyShredding.finishAbandoned(of: journal)
    let keys = OwnerKeys(in: journal.files.keys, store: journal.store)
    try keys.check(against: journal)
    return keys
  }

  /// A mark that was lost must not let owners in clear into the journal. Where the first entry can't be
  /// read, since the archive that holds it isn't there, the mark alone counts.
  func check(against journal: EventJournal) throws(KeyError) {
    guard !seals, KeyRing.holdsKeys(directory), journal.sealsOwners else { return }
    throw .missing(Self.markPath(in: directory))
  }

  // MARK: The mark

  static let markName = "projects"
  private static func markPath(in folder: String) -> String { "\(folder)/\(markName)" }

  /// Marks a new store as one that seals owners.
  ///
  /// - Throws: `file`.
  static func mark(_ folder: String, store: StoreID) throws(KeyError) {
    do throws(FileError) {
      try SmallFile.replace(markPath(in: folder), with: Array("CELLOWN1".utf8) + store.uuid.bytes)
    } catch {
      throw .file(error)
    }
  }

  private static let lockAttempts = 10_000

  /// Runs `body` while no other process makes a project's key, or rotates the master.
  ///
  /// - Parameter body: Gets how many keys were made; it says so before it makes one.
  static func alone<Result>(
    in folder: String, _ body: (inout MadeCount) throws(KeyError) -> Result
  ) throws(KeyError) -> Result {
    let path = markPath(in: folder)
    let file = unsafe Glibc.open(path, O_RDWR | O_CLOEXEC)
    var count = MadeCount(file: file, path: path)
    guard file >= 0 else {
      if errno == ENOENT { return try body(&count) }
      throw .file(FileError("open", path, code: errno))
    }
    defer { close(file) }
    for _ in 0..<lockAttempts {
      let isAlone: Bool
      do throws(JournalError) {
        isAlone = try OpenFileLock.set(.exclusive, byte: 0, of: file, path: path)
      } catch {
        throw .damaged("\(path): \(error)")
      }
      if isAlone {
        count.read()
        return try body(&count)
      }
      usleep(1000)
    }
    throw .file(FileError("fcntl", path, code: EAGAIN))
  }

  /// How many keys of projects were made, behind the mark: whoever remembers it knows whether others have
  /// made some since. It needs no sync: after a power cut nobody remembers anything.
  struct MadeCount {
    fileprivate let file: Int32
    fileprivate let path: String
    private(set) var value: UInt64 = 0
    private static let offset: off_t = 24

    fileprivate init(file: Int32, path: String) {
      self.file = file
      self.path = path
    }

    fileprivate mutating func read() {
      var stored: UInt64 = 0
      let count = unsafe pread(file, &stored, 8, Self.offset)
      value = count == 8 ? UInt64(bigEndian: stored) : 0
    }

    mutating func add() throws(KeyError) {
      var stored = (value + 1).bigEndian
      guard unsafe pwrite(file, &stored, 8, Self.offset) == 8 else {
        throw .file(FileError("pwrite", path, code: errno))
      }
      value += 1
    }
  }
}

extension EventJournal {
  /// The first entry says that projects and users of instances are sealed; false where it can't be read, since the
  /// archive that holds it isn't there.
  public var sealsOwners: Bool {
    guard let first = try? entry(at: 1), case .store(.epochOpened(let opening)) = first.event
    else { return false }
    return opening.sealsOwners
  }
}
