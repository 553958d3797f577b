internal import Glibc
public import Journal

/// The index files of a store, and `CURRENT`, which names the one that serves.
///
/// Reading is free for everyone; `switchCurrent` and `remove` are for the holder of the write
/// lease. Old generations stay until they are removed, and can be switched back to.
public struct IndexGenerations: Sendable {
  /// The store's folder.
  public let folder: String

  public init(folder: String) { self.folder = folder }

  /// The path of a generation's file.
  public func path(of number: UInt64) -> String {
    "\(folder)/\(IndexGeneration.fileName(number))"
  }

  /// The path of the mark that a generation is being made.
  func markPath(of number: UInt64) -> String { "\(folder)/index-\(number)\(Self.markSuffix)" }
  static let markSuffix = ".making"

  private var currentPath: String { folder + "/CURRENT" }
  /// Longer than any line in `CURRENT`.
  private static let maximumCurrentBytes = 256

  /// What `CURRENT` names.
  ///
  /// - Throws: `fault(.noCurrent)`, `fault(.unreadableCurrent)`, or `file` if it can't be read.
  public func current() throws(ProjectionError) -> IndexGeneration {
    let bytes: [UInt8]
    do throws(FileError) {
      bytes = try SmallFile.read(currentPath, limit: Self.maximumCurrentBytes)
    } catch {
      if error.isMissing { throw .fault(.noCurrent) }
      if error.code == EFBIG { throw .fault(.unreadableCurrent) }
      throw .file(error)
    }
    guard let generation = IndexGeneration(line: bytes) else { throw .fault(.unreadableCurrent) }
    return generation
  }

  /// The numbers of the generations whose files are in the folder, ascending.
  public func numbers() throws(ProjectionError) -> [UInt64] { try numbers(behind: "") }

  /// The numbers of the generations beside whose file, which may be gone, there is one whose name ends so.
  func numbers(behind suffix: String) throws(ProjectionError) -> [UInt64] {
    do throws(FileError) {
      return try SmallFile.names(in: folder).filter { $0.hasSuffix(suffix) }
        .compactMap { IndexGeneration.number(inFileName: String($0.dropLast(suffix.count))) }
        .sorted()
    } catch {
      throw .file(error)
    }
  }

  /// The number of the next new generation: above every one that is there, or was while `CURRENT`
  /// was written.
  public func nextNumber() throws(ProjectionError) -> UInt64 { try highestNumber() + 1 }

  private func highestNumber() throws(ProjectionError) -> UInt64 {
    max(try numbers().last ?? 0, (try? current())?.highest ?? 0)
  }

  /// Opens the index that `CURRENT` names.
  ///
  /// To be called before the journal's head is read, so that a commit in between is not mistaken
  /// for a step back; `compare` is the second half.
  ///
  /// - Parameter store: The journal's store.
  /// - Throws: `fault` with what is wrong; `busy`, `file` or `sqlite` if that can't be found out.
  public func open(
    store: StoreID
  ) throws(ProjectionError) -> (generation: IndexGeneration, reader: IndexReader) {
    let generation = try current()
    return (generation, try open(generation.number, store: store))
  }

  /// Opens a generation, whether or not it serves; throws as the other.
  func open(_ number: UInt64, store: StoreID) throws(ProjectionError) -> IndexReader {
    let path = path(of: number)
    do throws(ProjectionError) {
      let reader = try IndexReader(path: path)
      _ = try reader.checkpoint()
      guard reader.store == store else {
        throw .fault(.otherStore(path: path, found: reader.store))
      }
      return reader
    } catch {
      throw Self.asFault(error, path: path)
    }
  }

  /// Throws unless the journal has the history from which an index was made.
  ///
  /// - Parameters:
  ///   - checkpoint: The index's checkpoint, read before `head`.
  ///   - path: The index's path.
  ///   - head: The index of the journal's last entry.
  ///   - root: The root of the journal's tree over the entries up to the checkpoint; only looked at
  ///     if the checkpoint is above 0 and at most the head.
  /// - Throws: `fault(.aheadOfJournal)` or `fault(.diverged)`.
  public static func compare(
    _ checkpoint: IndexCheckpoint, at path: String, head: UInt64, root: Digest?
  ) throws(ProjectionError) {
    let position = checkpoint.position
    guard position.index <= head else {
      throw .fault(.aheadOfJournal(path: path, checkpoint: position, head: head))
    }
    guard position.index == 0 || root == checkpoint.root else {
      throw .fault(.diverged(path: path, checkpoint: position))
    }
  }

  /// Makes a generation the one that serves; durable once it returns.
  ///
  /// The caller holds the write lease, and no connection of this process has the file open: to sync
  /// it, it is opened and closed here, which drops SQLite's locks of this process on it. Readers
  /// find it at their next look at `CURRENT`.
  ///
  /// - Throws: `file` if the file can't be synced or `CURRENT` not be replaced; `CURRENT` is as it
  ///   was, or names the new generation.
  @discardableResult
  public func switchCurrent(to number: UInt64) throws(ProjectionError) -> IndexGeneration {
    var generator = SystemRandomNumberGenerator()
    let generation = IndexGeneration(
      number: number, mark: generator.next(), highest: try highestNumber())
    do throws(FileError) {
      try SmallFile.sync(path(of: number))
      try SmallFile.syncDirectory(of: currentPath)
      try SmallFile.replace(currentPath, with: generation.line)
    } catch {
      throw .file(error)
    }
    return generation
  }

  /// Removes a generation that no longer serves, with its WAL; its number isn't used again.
  ///
  /// The caller holds the write lease.
  public func remove(_ number: UInt64) throws(ProjectionError) {
    if let named = try? current() {
      precondition(named.number != number, "the generation that serves is never removed")
      if named.highest < number {
        let noted = IndexGeneration(number: named.number, mark: named.mark, highest: number)
        do throws(FileError) { try SmallFile.replace(currentPath, with: noted.line) } catch {
          throw .file(error)
        }
      }
    }
    try discard(number)
  }

  /// Removes the file of a generation that never served, which needs no lease.
  public func discard(_ number: UInt64) throws(ProjectionError) {
    try ReplayFiles.remove(path(of: number))
    try ReplayFiles.removeMark(of: path(of: number))
  }

  /// The fault that an error on the way to the index shows; other errors as they are.
  private static func asFault(_ error: ProjectionError, path: String) -> ProjectionError {
    switch error {
    case .damaged(_, let what): .fault(.damaged(path: path, what: what))
    case .notAnIndex: .fault(.damaged(path: path, what: "it is no index of cellmap"))
    case .partialIndex: .fault(.damaged(path: path, what: "it holds some things alone"))
    case .otherVersion(_, let found, _): .fault(.otherVersion(path: path, found: found))
    case .sqlite where unsafe access(path, F_OK) != 0 && errno == ENOENT:
      .fault(.missing(path: path))
    default: error
    }
  }
}
