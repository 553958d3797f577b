internal import Glibc

/// One of the two pages at the front of LMDB's file; the newer one names the roots of all trees.
///
/// Source: mdb.c of LMDB 0.9, `MDB_meta`; the file is in the machine's byte order.
struct MetaPage {
  let transactionID: UInt64
  let lastPage: UInt64
  let freeList: PageTree
  let main: PageTree

  /// Offset of the transaction id in the page.
  static let transactionOffset = 144
  /// Bytes that are read of a meta page.
  private static let length = 152
  private static let magic: UInt32 = 0xBEEF_C0DE
  private static let version: UInt32 = 1
  private static let metaFlag: UInt16 = 0x08

  /// The size of the pages of a file that should be LMDB's.
  static func pageSize(of descriptor: Int32, path: String) throws(JournalError) -> Int {
    var status = stat()
    guard unsafe fstat(descriptor, &status) == 0 else {
      throw .file(FileError("fstat", path, code: errno))
    }
    guard status.st_mode & S_IFMT == S_IFREG else {
      throw .notAStore(path: path, why: "its journal is no regular file")
    }
    guard status.st_size > 0 else {
      throw .truncated(path: path, expectedBytes: 8192, actualBytes: 0)
    }
    var bytes = [UInt8](repeating: 0, count: length)
    let got = unsafe pread(descriptor, &bytes, length, 0)
    guard got >= 0 else { throw .file(FileError("pread", path, code: errno)) }
    guard got == length else {
      throw .truncated(path: path, expectedBytes: 8192, actualBytes: UInt64(status.st_size))
    }
    try checkFront(bytes, at: 0, number: 0, path: path)
    let size = Int(bytes.word32(at: 40))
    guard size.nonzeroBitCount == 1, (4096...65536).contains(size) else {
      throw .corrupt(path: path, what: "its page size is \(size)")
    }
    guard status.st_size >= 2 * size else {
      throw .truncated(
        path: path, expectedBytes: UInt64(2 * size), actualBytes: UInt64(status.st_size))
    }
    return size
  }

  private static func checkFront(
    _ bytes: [UInt8], at start: Int, number: UInt64, path: String
  ) throws(JournalError) {
    guard bytes.word32(at: start + 16) == magic else {
      // A journal whose second page alone is recognised was damaged; anything else never was one.
      throw number == 0
        ? .notAStore(path: path, why: "its journal is no LMDB file")
        : .corrupt(path: path, what: "meta page \(number) is no meta page")
    }
    guard bytes.word32(at: start + 20) == version else {
      throw .newerFormat(path: path, version: bytes.word32(at: start + 20))
    }
    guard bytes.word64(at: start) == number, bytes.word16(at: start + 10) & metaFlag != 0 else {
      throw .corrupt(path: path, what: "meta page \(number) is no meta page")
    }
  }

  /// The newer of the two meta pages, after both were checked against each other and the file.
  ///
  /// - Throws: `truncated` if the file is shorter than it says, `corrupt`, `notAStore`.
  static func newest(of file: PageFile, buffer: inout [UInt8]) throws(JournalError) -> MetaPage {
    try file.read(page: 0, count: 2, into: &buffer)
    let first = try MetaPage(buffer, number: 0, file: file)
    let second = try MetaPage(buffer, number: 1, file: file)
    let ids = (first.transactionID, second.transactionID)
    // Page n holds the transactions of its parity, in turn: anything else is damage.
    let isInTurn = ids.0 > ids.1 ? ids.0 - ids.1 == 1 : ids.1 - ids.0 <= 1
    guard isInTurn, ids.0 % 2 == 0, ids.1 % 2 == 1 || ids == (0, 0) else {
      throw file.corrupt("its meta pages have transactions \(ids.0) and \(ids.1)")
    }
    let newest = ids.0 > ids.1 ? first : second
    let needed = (newest.lastPage + 1) * UInt64(file.pageSize)
    let actual = try file.size()
    guard actual >= needed else {
      throw .truncated(path: file.path, expectedBytes: needed, actualBytes: actual)
    }
    return newest
  }

  private init(_ bytes: [UInt8], number: UInt64, file: PageFile) throws(JournalError) {
    let start = Int(number) * file.pageSize
    try MetaPage.checkFront(bytes, at: start, number: number, path: file.path)
    guard bytes.word32(at: start + 40) == UInt32(file.pageSize) else {
      throw file.corrupt("meta page \(number) has another page size")
    }
    lastPage = bytes.word64(at: start + 136)
    transactionID = bytes.word64(at: start + MetaPage.transactionOffset)
    guard lastPage >= 1, lastPage < 1 << 47, transactionID < 1 << 62 else {
      throw file.corrupt("meta page \(number) has page \(lastPage) as its last")
    }
    freeList = try PageTree(bytes, at: start + 40, lastPage: lastPage, file: file)
    main = try PageTree(bytes, at: start + 88, lastPage: lastPage, file: file)
  }
}

/// Where a tree of pages begins: LMDB's record of one database.
struct PageTree: Equatable {
  let depth: Int
  let entryCount: UInt64
  let root: UInt64
  /// No page of the file has a higher number.
  let lastPage: UInt64

  static let recordLength = 48
  private static let noPage = UInt64.max
  /// The longest path that LMDB itself follows.
  private static let maximumDepth = 32

  var isEmpty: Bool { root == PageTree.noPage }

  init(
    _ bytes: [UInt8], at start: Int, lastPage: UInt64, file: PageFile
  ) throws(JournalError) {
    depth = Int(bytes.word16(at: start + 6))
    entryCount = bytes.word64(at: start + 32)
    root = bytes.word64(at: start + 40)
    self.lastPage = lastPage
    let isSound =
      isEmpty
      ? depth == 0 && entryCount == 0
      : depth >= 1 && depth <= PageTree.maximumDepth && root >= 2 && root <= lastPage
        && entryCount > 0
    guard isSound else { throw file.corrupt("the record of a tree makes no sense") }
  }
}

extension [UInt8] {
  @inline(__always)
  func word16(at offset: Int) -> UInt16 {
    UInt16(littleEndian: loaded(at: offset))
  }

  @inline(__always)
  func word32(at offset: Int) -> UInt32 {
    UInt32(littleEndian: loaded(at: offset))
  }

  @inline(__always)
  func word64(at offset: Int) -> UInt64 {
    UInt64(littleEndian: loaded(at: offset))
  }
}
