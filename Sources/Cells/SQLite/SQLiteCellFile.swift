internal import Glibc
internal import Journal
internal import Projections

/// The file behind a SQLite cell: what stands at its path, and whether it is still the same.
struct SQLiteCellFile {
  let cell: CellID
  let path: String

  /// What tells a file from its successor, and an unwritten file from a written one.
  struct Fingerprint: Equatable {
    let device: UInt64
    let inode: UInt64
    let size: Int64
    let seconds: Int
    let nanoseconds: Int

    /// The same file, written or not.
    func isSameFile(as other: Fingerprint) -> Bool {
      device == other.device && inode == other.inode
    }
  }

  /// The regular file at the path.
  ///
  /// - Throws: `fileMissing`, `fileRefused`, or `notADatabase` for anything but a regular file.
  func fingerprint() throws(CellError) -> Fingerprint {
    let status: stat
    do throws(SQLiteFile.Refusal) { status = try SQLiteFile.status(at: path) } catch {
      switch error {
      case .missing: throw .fileMissing(cell: cell, path: path)
      case .refused(let code): throw .fileRefused(cell: cell, path: path, code: code)
      case .notRegular: throw .notADatabase(cell: cell, path: path)
      }
    }
    return Fingerprint(
      device: UInt64(status.st_dev), inode: UInt64(status.st_ino), size: Int64(status.st_size),
      seconds: status.st_mtim.tv_sec, nanoseconds: status.st_mtim.tv_nsec)
  }

  /// The bytes of a file beside the database (`-wal`, `-shm`); nil if it isn't there.
  func size(ofCompanion suffix: String) -> Int64? {
    var status = stat()
    return unsafe stat(path + suffix, &status) == 0 ? Int64(status.st_size) : nil
  }

  /// Opens the file for reading, so that nothing is ever made in its folder.
  ///
  /// In a WAL database even a reader makes the `-wal` and `-shm` files where they are missing. So:
  /// both there (somebody has it open) → read as every reader does; no WAL, or an empty one
  /// (nobody has) → read as a file that doesn't change, and see to it that it didn't; a WAL that
  /// nobody has open → its entries can't be read without a `-shm` file.
  func open() throws(CellError) -> SQLiteConnection {
    do throws(ProjectionError) {
      let connection = try SQLiteConnection(path: path, mode: .readOnly)
      guard let header = connection.fileHeader(count: 20) else {
        throw .sqlite(code: 10, extendedCode: 10, operation: "read the header", path: path)
      }
      // SQLite takes an empty file for an empty database, and the schema says what it lacks.
      if header.isEmpty { return connection }
      guard header.starts(with: Array("SQLite format 3\0".utf8)), header.count == 20 else {
        throw .sqlite(code: 26, extendedCode: 26, operation: "read the header", path: path)
      }
      let isWAL = header[18] == 2 || header[19] == 2
      let walBytes = size(ofCompanion: "-wal")
      if !isWAL || (walBytes != nil && size(ofCompanion: "-shm") != nil) { return connection }
      guard walBytes ?? 0 == 0 else {
        throw .sqlite(code: 8, extendedCode: 264, operation: "read the WAL", path: path)
      }
      return try SQLiteConnection(path: path, mode: .immutable)
    } catch {
      throw CellError(error, of: cell, table: nil)
    }
  }

  /// Whether a file that was opened as one that doesn't change is still as it was.
  func isUnchanged(since before: Fingerprint) -> Bool {
    guard let now = try? fingerprint() else { return false }
    return now == before && size(ofCompanion: "-wal") ?? 0 == 0
  }
}

extension CellError {
  /// What SQLite's failure says of a cell; `table` is the one that was read.
  init(_ error: ProjectionError, of cell: CellID, table: String?) {
    let prefix = table.map { $0 + "." } ?? ""
    switch error {
    case .busy: self = .locked(cell: cell)
    case .deadlinePassed: self = .deadlinePassed(cell: cell)
    case .statementRefused: self = .notACell(cell: cell, missing: table.map { "table \($0)" } ?? "")
    case .missingColumn(let name, _):
      self = .notACell(cell: cell, missing: "column " + prefix + name)
    case .columnType(let column, _, let found, _):
      self = .badValue(cell: cell, column: prefix + column, found: "\(found)")
    case .notUTF8(let column, _):
      self = .badValue(cell: cell, column: prefix + column, found: "text that isn't UTF-8")
    case .unusablePath(let path): self = .fileMissing(cell: cell, path: path)
    case .sqlite(let code, let extendedCode, let operation, let path):
      self = CellError(code: code, extendedCode, of: cell, operation: operation, path: path)
    default: self = .failed(cell: cell, operation: "\(error)", code: 0)
    }
  }

  /// Source: the result codes of sqlite3.h; they are part of its file of promises and don't change.
  private init(
    code: Int32, _ extendedCode: Int32, of cell: CellID, operation: String, path: String
  ) {
    switch code {
    case 26: self = .notADatabase(cell: cell, path: path)  // SQLITE_NOTADB
    case 11: self = .damaged(cell: cell, path: path)  // SQLITE_CORRUPT
    case 8: self = .recoveryNeeded(cell: cell, path: path)  // SQLITE_READONLY: a hot journal or WAL
    case 3, 23: self = .fileRefused(cell: cell, path: path, code: EACCES)  // SQLITE_PERM, AUTH
    case 14:  // SQLITE_CANTOPEN
      self = .fileRefused(cell: cell, path: path, code: EACCES)
    case 18: self = .badValue(cell: cell, column: operation, found: "a value that is too long")
    default: self = .failed(cell: cell, operation: operation, code: extendedCode)
    }
  }
}
