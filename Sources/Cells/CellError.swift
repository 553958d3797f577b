public import Journal

/// Why a cell's database was not read; each message names the cell and the next step.
///
/// No case carries a value of a row or an address with a password in it.
public enum CellError: Error, Equatable, Sendable {
  /// The address names no file (`sqlite://`): a database in another process's memory.
  case inMemory(cell: CellID)
  case fileMissing(cell: CellID, path: String)
  /// The file, or a folder on the way to it, may not be read; `code` is errno.
  case fileRefused(cell: CellID, path: String, code: Int32)
  /// The file is no SQLite database: a folder, a pipe, or other bytes.
  case notADatabase(cell: CellID, path: String)
  /// Pages of the file contradict each other.
  case damaged(cell: CellID, path: String)
  /// The last writer didn't finish, and only a process that may write can roll back or forward.
  case recoveryNeeded(cell: CellID, path: String)
  /// A table or column (`instances.host`) that a Nova cell has isn't there.
  case notACell(cell: CellID, missing: String)
  /// A column holds what Nova doesn't write there.
  case badValue(cell: CellID, column: String, found: String)
  /// Another process held the database exclusively until the deadline.
  case locked(cell: CellID)
  case deadlinePassed(cell: CellID)
  /// Every connection to the cell was at work until the deadline.
  case connectionsBusy(cell: CellID, limit: Int)
  /// The cell was not asked: its last calls failed, `failures` in a row, and it is probed meanwhile.
  indirect case skippedByBreaker(cell: CellID, failures: Int, last: CellError)
  /// The file was replaced or changed under the reading; it is opened anew at the next call.
  case replaced(cell: CellID, path: String)
  /// The server failed or refused; every case but those that are named here for all engines.
  case database(cell: CellID, DatabaseError)
  /// SQLite's result code in full.
  case failed(cell: CellID, operation: String, code: Int32)
  /// The database has a service or a compute node that was recorded of another cell.
  case wrongCell(cell: CellID, actual: CellID)
  /// The map knows `known` services, nodes and instances of the cell; the database has none of
  /// them, or too few instances.
  case identityUnknown(cell: CellID, known: Int)
  /// What the map knows of the cell's identity could not be read.
  case identityUnreadable(cell: CellID, reason: String)

  /// The cell that was asked.
  public var cell: CellID {
    switch self {
    case .inMemory(let cell), .fileMissing(let cell, _), .fileRefused(let cell, _, _),
      .database(let cell, _), .notADatabase(let cell, _), .damaged(let cell, _),
      .recoveryNeeded(let cell, _), .notACell(let cell, _), .badValue(let cell, _, _),
      .locked(let cell), .deadlinePassed(let cell), .connectionsBusy(let cell, _),
      .skippedByBreaker(let cell, _, _), .replaced(let cell, _), .failed(let cell, _, _),
      .wrongCell(let cell, _),
      .identityUnknown(let cell, _), .identityUnreadable(let cell, _):
      cell
    }
  }
}

extension CellError: CustomStringConvertible {
  public var description: String {
    switch self {
    case .inMemory, .fileMissing, .fileRefused: addressDescription
    case .notADatabase, .damaged, .recoveryNeeded, .notACell, .badValue: contentDescription
    case .locked, .deadlinePassed, .connectionsBusy, .skippedByBreaker, .replaced, .failed:
      workDescription
    case .database(let cell, let error): "Cell \(cell): \(error)"
    case .wrongCell, .identityUnknown, .identityUnreadable: identityDescription
    }
  }

  private var addressDescription: String {
    switch self {
    case .inMemory(let cell):
      "Cell \(cell) has an address without a file (sqlite://). Give one with 'cell address'."
    case .fileMissing(let cell, let path):
      "Cell \(cell) has its database at \(path), and there is no such file. "
        + "Put it back, correct the address with 'cell address', or, if the address is relative, name "
        + "its folder with --base-directory or CELLMAP_BASE_DIRECTORY."
    case .fileRefused(let cell, let path, let code):
      "Cell \(cell) has its database at \(path), which may not be read (errno \(code)). "
        + "Give this user the right to read it."
    default: ""
    }
  }

  private var contentDescription: String {
    switch self {
    case .notADatabase(let cell, let path):
      "Cell \(cell): \(path) isn't a SQLite database. Check the cell's address."
    case .damaged(let cell, let path):
      "Cell \(cell): the database \(path) is damaged. Check it with 'PRAGMA integrity_check'."
    case .recoveryNeeded(let cell, let path):
      "Cell \(cell): the last writer of \(path) didn't finish. "
        + "Start Nova there, or open it once with a program that may write it."
    case .notACell(let cell, let missing):
      "Cell \(cell): its database has no \(missing), so it isn't one of a Nova cell. "
        + "Check the cell's address."
    case .badValue(let cell, let column, let found):
      "Cell \(cell): \(column) holds \(found), which Nova doesn't write there. Repair that row."
    default: ""
    }
  }

  private var workDescription: String {
    switch self {
    case .locked(let cell):
      "Cell \(cell): another process held its database until the deadline. Try again."
    case .deadlinePassed(let cell):
      "Cell \(cell) had not answered at the deadline. Try again or allow more time."
    case .connectionsBusy(let cell, let limit):
      "Cell \(cell): all \(limit) connections were at work until the deadline. Try again."
    case .skippedByBreaker(let cell, let failures, let last):
      "Cell \(cell) was not asked: it failed \(failures) times in a row, and is asked again once a "
        + "probe finds it to be back. The last failure: \(last)"
    case .replaced(let cell, let path):
      "Cell \(cell): the database \(path) was replaced while it was read. Try again."
    case .failed(let cell, let operation, let code):
      "Cell \(cell): SQLite failed at \(operation) with code \(code). "
        + "Check the file, its folder and the disk."
    default: ""
    }
  }

  private var identityDescription: String {
    switch self {
    case .wrongCell(let cell, let actual):
      "The address of cell \(cell) leads to the database of cell \(actual). "
        + "Correct it with 'cell address'."
    case .identityUnknown(let cell, let known):
      "The database at the address of cell \(cell) has none of what the map knows of that cell "
        + "(\(known) services, nodes and instances looked for). Correct the address, or say that "
        + "it is the cell with 'cell probe --accept'."
    case .identityUnreadable(let cell, let reason):
      "Whether the database of cell \(cell) is its own could not be checked: \(reason)"
    default: ""
    }
  }
}
