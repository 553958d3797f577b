internal import Glibc

/// Moving old entries out of the journal's file: first into a file of their own, then an entry says so,
/// and then a journal without them takes the old one's place.
public enum JournalArchiving {
  /// What a journal became by it.
  public struct Shrunk: Hashable, Sendable {
    /// The last entry that is archived.
    public let last: UInt64
    /// Bytes of `journal.lmdb` before and after.
    public let bytesBefore: UInt64
    public let bytesAfter: UInt64
  }

  /// Looks whether nobody else has the store open, and throws away the journal that a killed process was
  /// making.
  ///
  /// - Throws: `inUse`, `file`.
  public static func checkIsAlone(_ journal: EventJournal) throws(JournalError) {
    try journal.lock.alone { () throws(JournalError) in
      do throws(FileError) { try WorkFolder.remove(journal.files.archiving) } catch {
        throw .file(error)
      }
    }
  }

  /// The last entry that can be archived so that all of a moment and after it stay: the end of a tile.
  ///
  /// - Returns: At most the last archived entry if there is nothing to archive.
  /// - Throws: The errors of damage.
  public static func cut(
    before moment: PastMoment, of journal: EventJournal
  ) throws(JournalError) -> UInt64 {
    let head = journal.head.position.index
    let last: UInt64 =
      switch moment {
      case .index(let index): min(index, head + 1) - min(index, 1)
      case .position(let position): min(position.index, head + 1) - min(position.index, 1)
      case .time(let time):
        try journal.position(at: .time(Timestamp(microseconds: time.microseconds - 1)))?.index ?? 0
      }
    let width = UInt64(TileLayout.width)
    return last / width * width
  }

  /// Writes the entries up to one into a file of the folder `archive/`, and says what the entry of it has
  /// to say. The journal is as it was.
  ///
  /// Blocks for some microseconds an entry; holds up no writer. The archives of before are read and
  /// compared first: without one of them the journal could not let go of any entry.
  ///
  /// - Parameter last: As `cut` gives it, behind the last archived entry.
  /// - Throws: The errors of damage; `full`, `file` for the disk.
  public static func write(
    through last: UInt64, of journal: EventJournal
  ) throws(JournalError) -> ArchivePoint {
    let first = journal.archivedCount + 1
    precondition(
      last >= first && last % UInt64(TileLayout.width) == 0 && last <= journal.head.position.index,
      "whole tiles of what isn't archived yet")
    try journal.file.archive?.check()
    let written = try SegmentWriting.write(first, through: last, of: journal)
    return ArchivePoint(
      index: last, root: try journal.root(at: last), file: ByteText("archive/" + written.name),
      fileDigest: written.digest.sha256)
  }

  /// The archive of which the journal has the entry, and which it has not let go of yet: what a process
  /// leaves that was ended between the two.
  ///
  /// Reads entries only where a file lies that the journal doesn't name.
  ///
  /// - Throws: The errors of damage; `file`.
  public static func pending(of journal: EventJournal) throws(JournalError) -> ArchivePoint? {
    let first = journal.archivedCount + 1
    let files = try files(in: journal.files.archive).filter {
      $0.lowerBound == first && $0.upperBound < journal.head.position.index
    }
    guard let last = files.map(\.upperBound).min() else { return nil }
    var found: ArchivePoint?
    try journal.forEachEntry(after: last) { (header, bytes, start) throws(JournalError) in
      guard header.kind == EventKind.archived.rawValue else { return }
      let entry = try journal.readable(at: header.position.index) { () throws(EntryError) in
        try Entry(decoding: bytes, at: start)
      }
      guard case .store(.archived(let point)) = entry.event, point.index >= first,
        files.contains(first...point.index)
      else { return }
      found = point
    }
    // An entry may tell of a file that a restore has left behind.
    guard let found, try journal.root(at: found.index) == found.root,
      try isThere(found, of: journal)
    else { return nil }
    return found
  }

  private static func isThere(
    _ point: ArchivePoint, of journal: EventJournal
  ) throws(JournalError) -> Bool {
    do throws(FileError) {
      return try FileDigest(of: journal.files.path(point.file.string)).sha256 == point.fileDigest
    } catch {
      if error.isMissing { return false }
      throw .file(error)
    }
  }

  private static func files(in folder: String) throws(JournalError) -> [ClosedRange<UInt64>] {
    do throws(FileError) {
      return try SmallFile.names(in: folder).compactMap { SegmentLayout.entries(ofFile: $0) }
    } catch {
      if error.isMissing { return [] }
      throw .file(error)
    }
  }

  /// Puts a journal without the archived entries in the place of the store's, once the entry of the
  /// archive is in it. The journal that is open here is of no use then.
  ///
  /// Nobody else may have the store open. Blocks for some microseconds an entry that stays. Ended before
  /// the rename at its end, the journal is as it was; after it, it is done.
  ///
  /// - Throws: `inUse` if somebody has the store open, `locked`; the errors of damage; `full`, `file`. The
  ///   journal is as it was.
  public static func shrink(
    _ journal: EventJournal, to point: ArchivePoint, command: String
  ) throws(JournalError) -> Shrunk {
    let lease = try journal.lock.acquire(command: command)
    defer { lease.release() }
    return try journal.lock.alone { () throws(JournalError) in
      _ = try journal.refresh()
      precondition(point.index > journal.archivedCount, "the point isn't behind it")
      let files = journal.files
      let made = StoreFiles(files.archiving)
      do throws(FileError) { try WorkFolder.renew(made.directory) } catch { throw .file(error) }
      defer { try? WorkFolder.remove(made.directory) }
      try ShortJournal.make(of: journal, behind: point, in: made)
      let before = try journal.file.size()
      do throws(FileError) {
        // A commit is seen a moment before it is on disk.
        try SmallFile.sync(files.journal)
        try WorkFolder.remove(files.journalLock)
        try SmallFile.move(made.journal, to: files.journal)
      } catch {
        throw error.isFull ? .full(path: files.journal) : .file(error)
      }
      removeCopies(through: point.index, keeping: try journal.archivedFiles(with: point), files)
      return Shrunk(
        last: point.index, bytesBefore: before,
        bytesAfter: (try? FileDigest(of: files.journal).bytes) ?? 0)
    }
  }

  /// Files of archived entries that no journal names: of runs that were ended before their entry.
  private static func removeCopies(
    through last: UInt64, keeping names: Set<String>, _ files: StoreFiles
  ) {
    for name in (try? SmallFile.names(in: files.archive)) ?? [] where !names.contains(name) {
      let isHalf = name.hasSuffix(".new")
      guard
        let entries = SegmentLayout.entries(
          ofFile: isHalf ? String(name.dropLast(4)) : name),
        isHalf || entries.upperBound <= last
      else { continue }
      try? WorkFolder.remove(files.archive + "/" + name)
    }
  }
}

extension EventJournal {
  /// How many entries are in archives, from the first on.
  public var archivedCount: UInt64 { file.archive.map(\.last) ?? 0 }

  /// The archives, oldest first: the file of each, and its last entry.
  public var archives: [(path: String, last: UInt64)] {
    file.archive?.segments.map { ($0.path, $0.last) } ?? []
  }

  /// The names of the files of archives, together with one that comes to them.
  fileprivate func archivedFiles(with point: ArchivePoint) throws(JournalError) -> Set<String> {
    let names = archives.map { String($0.path.split(separator: "/").last ?? "") }
    return Set(names + [String(point.file.string.split(separator: "/").last ?? "")])
  }
}
