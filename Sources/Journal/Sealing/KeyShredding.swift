internal import Glibc

/// The end of a cell's or a project's data key: its file is destroyed once an entry of the journal says so.
///
/// A mark lies beside the file from before the entry until after the file is gone. From the mark on
/// nothing is sealed by the key; from the entry on the key is to go, and whoever opens the keys of the
/// store after a kill finishes it (`finishAbandoned`).
public final class KeyShredding: Sendable {
  public let key: KeyID
  private let folder: String
  private let mark: WorkMark

  private static let prefix = "shredding-"

  static func path(ofMarkOf key: KeyID, in folder: String) -> String { "\(folder)/\(prefix)\(key)" }

  private static let maximumNoteBytes = 64

  private init(_ key: KeyID, in folder: String, mark: WorkMark) {
    self.key = key
    self.folder = folder
    self.mark = mark
  }

  /// The key that a mark of the folder is of; nil for another file.
  static func key(ofMark name: String) -> KeyID? {
    name.hasPrefix(prefix) ? KeyID(String(name.dropFirst(prefix.utf8.count))) : nil
  }

  /// Marks a key; the mark is on disk once this returns.
  ///
  /// - Parameter head: The last entry of the journal: the one that shreds the key comes behind it.
  /// - Returns: nil if another process shreds it now.
  /// - Throws: `file`; nothing is marked then.
  public static func begin(
    _ key: KeyID, in folder: String, after head: UInt64
  ) throws(KeyError) -> KeyShredding? {
    let path = path(ofMarkOf: key, in: folder)
    do throws(JournalError) {
      guard let mark = try WorkMark.take(path) else { return nil }
      try mark.note("\(head)")
      return KeyShredding(key, in: folder, mark: mark)
    } catch {
      throw KeyError(ofFile: error, path: path)
    }
  }

  /// Destroys the key's file for good, and lets go of the mark; after the entry is on disk. A file that
  /// is gone already is no error.
  ///
  /// It is overwritten before it is removed. What the disk, a snapshot or a backup keeps of it is out of
  /// reach.
  ///
  /// - Throws: `file`; the mark stays, and the next who opens the keys tries again.
  public func destroy() throws(KeyError) {
    do throws(FileError) {
      for path in [DataKey.path(of: key, in: folder), OwnerKey.path(of: key, in: folder)] {
        for name in [path + ".new", path] {
          try KeyShredding.overwrite(name)
          try WorkFolder.remove(name)
        }
        try SmallFile.syncDirectory(of: path)
      }
    } catch {
      leave()
      throw .file(error)
    }
  }

  /// Leaves the mark behind: it isn't known whether the entry is on disk.
  public func leave() { mark.leave() }

  private static func overwrite(_ path: String) throws(FileError) {
    let file = unsafe open(path, O_WRONLY | O_CLOEXEC | O_NOFOLLOW)
    guard file >= 0 else {
      if errno == ENOENT { return }
      throw FileError("open", path, code: errno)
    }
    defer { close(file) }
    var status = stat()
    guard unsafe fstat(file, &status) == 0 else { throw FileError("fstat", path, code: errno) }
    try SmallFile.write([UInt8](repeating: 0, count: Int(status.st_size)), to: file, path: path)
    guard fsync(file) == 0 else { throw FileError("fsync", path, code: errno) }
  }

  /// Finishes what killed processes have begun: destroys the keys whose entry is in the journal, and
  /// takes the marks away.
  ///
  /// Reads the entries since each mark; where there is none, which is usual, a folder's names. Needs no
  /// lease.
  ///
  /// - Throws: `file`; `damaged` if the journal can't be read.
  static func finishAbandoned(of journal: EventJournal) throws(KeyError) {
    let folder = journal.files.keys
    guard let names = try? SmallFile.names(in: folder) else { return }
    for key in names.compactMap({ key(ofMark: $0) }) {
      let path = path(ofMarkOf: key, in: folder)
      let mark: WorkMark?
      do throws(JournalError) { mark = try WorkMark.take(path) } catch {
        throw KeyError(ofFile: error, path: path)
      }
      guard let mark else { continue }
      let shredding = KeyShredding(key, in: folder, mark: mark)
      do throws(JournalError) {
        let note = (try? SmallFile.read(path, limit: maximumNoteBytes)) ?? []
        let head = UInt64(String(decoding: note, as: UTF8.self)) ?? 0
        guard try journal.hasShredded(key, after: head) else { continue }
      } catch {
        shredding.leave()
        throw KeyError(ofFile: error, path: path)
      }
      try shredding.destroy()
    }
  }
}

extension Event {
  /// The key that the event says is destroyed.
  public var shreddedKey: KeyID? {
    switch self {
    case .cell(_, .keyShredded(let key)), .store(.ownerKeyShredded(let key)): key
    default: nil
    }
  }
}

extension EventJournal {
  /// Whether an entry after `index` says that a key was shredded.
  fileprivate func hasShredded(_ key: KeyID, after index: UInt64) throws(JournalError) -> Bool {
    let head = try refresh().position.index
    guard index < head else { return false }
    return try changes(of: .cell, .store, after: index).contains { $0.event.shreddedKey == key }
  }
}

extension KeyError {
  /// An error of the journal's room about a file of keys.
  fileprivate init(ofFile error: JournalError, path: String) {
    if case .file(let error) = error {
      self = .file(error)
    } else {
      self = .damaged("\(path): \(error)")
    }
  }
}
