internal import CLMDB

/// The only write transaction of an environment; dropped without `commit()`, it aborts.
///
/// LMDB ties it to the thread that began it, so no function that holds one may be `async`.
@safe struct LMDBWriteTransaction: ~Copyable {
  private let handle: OpaquePointer

  @unsafe init(on environment: OpaquePointer) throws(LMDBError) {
    var handle: OpaquePointer?
    try check(unsafe mdb_txn_begin(environment, nil, 0, &handle), "mdb_txn_begin")
    guard let handle = unsafe handle else { preconditionFailure("mdb_txn_begin gave no handle") }
    unsafe self.handle = handle
  }

  deinit { unsafe mdb_txn_abort(handle) }

  /// One more than the last committed transaction's.
  var id: UInt64 { unsafe UInt64(mdb_txn_id(handle)) }

  /// A named database, or the main one for nil.
  func database(_ name: String?, create: Bool) throws(LMDBError) -> LMDBDatabase {
    var number: MDB_dbi = 0
    let flags = create && name != nil ? UInt32(MDB_CREATE) : 0
    try check(unsafe mdb_dbi_open(handle, name, flags, &number), "mdb_dbi_open")
    return LMDBDatabase(number: number)
  }

  /// Puts a record behind all others of a database.
  ///
  /// - Throws: `MDB_KEYEXIST` if the key is not above the last one; `MDB_MAP_FULL`.
  // Hot path: no allocation of ours.
  func append(
    _ key: UInt64, _ buffer: [UInt8], in range: Range<Int>, to database: LMDBDatabase
  ) throws(LMDBError) {
    precondition(
      range.lowerBound >= 0 && range.upperBound <= buffer.count, "a value lies in its buffer")
    var key = key.bigEndian
    let code = unsafe withUnsafeMutableBytes(of: &key) { keyBytes in
      unsafe buffer.withUnsafeBytes { bytes in
        // LMDB only reads what an MDB_val of mdb_put points to.
        var keyValue = unsafe MDB_val(mv_size: 8, mv_data: keyBytes.baseAddress)
        var value = unsafe MDB_val(
          mv_size: range.count,
          mv_data: UnsafeMutableRawPointer(mutating: bytes.baseAddress! + range.lowerBound))
        return unsafe mdb_put(handle, database.number, &keyValue, &value, UInt32(MDB_APPEND))
      }
    }
    try check(code, "mdb_put")
  }

  /// Puts a record with a text key.
  func put(_ key: String, _ bytes: [UInt8], into database: LMDBDatabase) throws(LMDBError) {
    var key = Array(key.utf8)
    var bytes = bytes
    let code = unsafe key.withUnsafeMutableBytes { keyBytes in
      unsafe bytes.withUnsafeMutableBytes { valueBytes in
        var keyValue = unsafe MDB_val(mv_size: keyBytes.count, mv_data: keyBytes.baseAddress)
        var value = unsafe MDB_val(mv_size: valueBytes.count, mv_data: valueBytes.baseAddress)
        return unsafe mdb_put(handle, database.number, &keyValue, &value, 0)
      }
    }
    try check(code, "mdb_put")
  }

  /// Returns once everything is on disk: two flushes.
  consuming func commit() throws(LMDBError) {
    let handle = unsafe handle
    discard self  // mdb_txn_commit frees the handle even when it fails.
    try check(unsafe mdb_txn_commit(handle), "mdb_txn_commit")
  }
}

/// A database of an environment, open as long as that is.
struct LMDBDatabase: Sendable {
  let number: MDB_dbi
}
