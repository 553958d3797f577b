public import Journal

/// Why a projection, or a SQLite file read through this room, failed or refused; each message says
/// what to do next.
///
/// No case carries a bound parameter or a column's content.
public enum ProjectionError: Error, Equatable, Sendable {
  /// SQLite gave `code` (`extendedCode` in full) for `operation` on the file at `path`.
  case sqlite(code: Int32, extendedCode: Int32, operation: String, path: String)
  /// Another connection held the lock that `operation` needed until the deadline.
  case busy(operation: String, path: String)
  /// `operation` was still running at its deadline and was broken off.
  case deadlinePassed(operation: String, path: String)
  /// SQLite refused a statement's text, usually for a table or column that isn't there.
  case statementRefused(message: String, path: String)
  /// The statement has no column of that name.
  case missingColumn(name: String, path: String)
  /// A column holds another type than its reader needs.
  case columnType(column: String, expected: SQLiteColumnType, found: SQLiteColumnType, path: String)
  /// A text column whose bytes aren't UTF-8.
  case notUTF8(column: String, path: String)
  /// A new file was to be made where there is one.
  case fileExists(path: String)
  /// An index whose content isn't what it says of itself, or that SQLite finds malformed.
  case damaged(path: String, what: String)
  /// A file that is no index of cellmap.
  case notAnIndex(path: String)
  /// A file of `replay --only`: it holds some things alone.
  case partialIndex(path: String)
  /// An index whose tables are of another version than this program's.
  case otherVersion(path: String, found: Int64, expected: Int64)
  /// Entries that don't follow on the checkpoint of the index.
  case outOfOrder(path: String, expected: UInt64, found: UInt64)
  /// An entry that this program can't read; the projection stops before it.
  case unreadableEntry(index: UInt64, EntryError)
  /// The index that serves can't be used.
  case fault(IndexFault)
  /// A file beside the indexes, or its folder, could not be read or written.
  case file(FileError)
  /// The journal from which an index is made could not be read.
  case journal(JournalError)
  /// A path that can't name a SQLite file: empty, or with a NUL byte.
  case unusablePath(String)
}

extension ProjectionError: CustomStringConvertible {
  public var description: String {
    switch self {
    case .sqlite(let code, let extendedCode, let operation, let path):
      "SQLite failed at \(operation) on \(path) with code \(extendedCode) "
        + "(\(SQLiteConnection.meaning(of: code))). Check the file, its folder and the disk."
    case .busy(let operation, let path):
      "\(path) was locked by another process until the deadline of \(operation). Try again."
    case .deadlinePassed(let operation, let path):
      "\(operation) on \(path) was not done at its deadline. Try again or allow more time."
    case .statementRefused(let message, let path):
      "\(path) doesn't have the tables and columns expected of it: \(message)."
    case .missingColumn(let name, let path):
      "\(path) has no column \(name) where one is needed. Check that it is the right database."
    case .columnType(let column, let expected, let found, let path):
      "Column \(column) in \(path) holds \(found) where \(expected) is needed. "
        + "Check that it is the right database."
    case .notUTF8(let column, let path):
      "Column \(column) in \(path) holds text that isn't UTF-8. Repair that row first."
    case .fileExists(let path):
      "\(path) exists already. Choose another name; nothing was changed."
    case .damaged(let path, let what):
      "The \(Self.kind(path)) is damaged: \(what). \(Self.remedy(path))"
    case .notAnIndex(let path):
      "\(path) is not an index of cellmap. Make one with 'cellmap replay'."
    case .partialIndex(let path):
      "\(path) holds some things alone ('replay --only') and can't serve. Make an index with "
        + "'cellmap replay'."
    case .otherVersion(let path, let found, let expected):
      "The \(Self.kind(path)) has version \(found); this program reads \(expected). "
        + Self.remedy(path)
    case .outOfOrder(let path, let expected, let found):
      "Entry \(found) can't follow in the index \(path), which awaits entry \(expected). "
        + "Make it again with 'cellmap replay'."
    case .unreadableEntry(let index, let error):
      "The index stops before entry \(index). \(error)"
    case .fault(let fault): fault.description
    case .file(let error): error.description
    case .journal(let error): error.description
    case .unusablePath(let path):
      "'\(path)' can't name a SQLite file. Give a path without NUL bytes."
    }
  }

  /// What the names of files begin with in which lies what a rebuild, a trial of one, or a comparison has read of cells.
  public static let readingPrefixes = ["scan-", "trial-", "reconcile-"]

  /// All files meet the same faults: the name tells which one it is.
  private static func role(_ path: String) -> (kind: String, remedy: String) {
    let name = path.split(separator: "/").last ?? ""
    if name.hasPrefix("history-") {
      return ("history", "Make it again with 'cellmap replay --history'.")
    }
    if readingPrefixes.contains(where: name.hasPrefix) {
      return ("scan", "Remove it and give the same command again: the cells are read anew then.")
    }
    return ("index", "Make it again with 'cellmap replay'.")
  }

  private static func kind(_ path: String) -> String { "\(role(path).kind) \(path)" }

  private static func remedy(_ path: String) -> String { role(path).remedy }
}
