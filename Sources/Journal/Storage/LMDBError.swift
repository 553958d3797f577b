internal import CLMDB
internal import Glibc

/// A result code of LMDB and the function that gave it.
struct LMDBError: Error, Equatable {
  let function: String
  let code: Int32

  /// The map has to grow.
  var isMapFull: Bool { code == MDB_MAP_FULL }
  /// Another process has let the file grow beyond this process's map.
  var isMapResized: Bool { code == MDB_MAP_RESIZED }
  /// The disk, the quota or the file size limit is used up.
  var isDiskFull: Bool { code == ENOSPC || code == EDQUOT || code == EFBIG }

  /// The disk failed, or wrote a part only.
  var isInputOutput: Bool { code == EIO }

  var message: String { unsafe String(cString: mdb_strerror(code)) }

  /// The error as the journal tells it, where nothing was committed.
  func journalError(path: String) -> JournalError {
    if isDiskFull || isMapFull { return .full(path: path) }
    if code == MDB_CORRUPTED || code == MDB_PAGE_NOTFOUND || code == MDB_INVALID {
      return .corrupt(path: path, what: "\(function): \(message)")
    }
    return .storage(path: path, function: function, code: code, message: message)
  }
}

/// Every result code passes here.
@inline(__always)
func check(_ code: Int32, _ function: @autoclosure () -> String) throws(LMDBError) {
  if code != MDB_SUCCESS { throw LMDBError(function: function(), code: code) }
}

extension LMDBError {
  static let badTransaction = Int32(MDB_BAD_TXN)
}
