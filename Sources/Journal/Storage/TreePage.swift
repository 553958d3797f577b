/// One page of a tree, checked whole when it is read: what it answers afterwards is in its bounds.
///
/// Source: mdb.c of LMDB 0.9, `MDB_page` and `MDB_node`.
struct TreePage {
  private(set) var bytes: [UInt8] = []
  private(set) var number: UInt64 = 0
  private(set) var isLeaf = false
  private(set) var count = 0

  private static let headerLength = 16
  private static let nodeHeaderLength = 8
  private static let branchFlag: UInt16 = 0x01
  private static let leafFlag: UInt16 = 0x02
  static let overflowFlag: UInt16 = 0x04
  private static let bigDataFlag: UInt16 = 0x01
  static let subtreeFlag: UInt16 = 0x02

  /// Reads a page of a tree.
  ///
  /// - Throws: `corrupt` if the page is none of a tree, or a node of it leaves its bounds.
  // Hot path: one page holds about 15 entries.
  mutating func load(_ number: UInt64, of file: PageFile) throws(JournalError) {
    try load(number, of: file) { (bytes) throws(JournalError) in
      try file.read(page: number, into: &bytes)
    }
  }

  /// As `load`, of bytes that `read` puts to the front of the buffer.
  mutating func load(
    _ number: UInt64, of file: PageFile, read: (inout [UInt8]) throws(JournalError) -> Void
  ) throws(JournalError) {
    try read(&bytes)
    self.number = number
    let flags = bytes.word16(at: 10)
    let lower = Int(bytes.word16(at: 12))
    let upper = Int(bytes.word16(at: 14))
    isLeaf = flags == TreePage.leafFlag
    guard bytes.word64(at: 0) == number, isLeaf || flags == TreePage.branchFlag,
      lower >= TreePage.headerLength, lower % 2 == 0, lower <= upper, upper <= file.pageSize
    else { throw file.corrupt("page \(number) is no page of a tree") }
    count = (lower - TreePage.headerLength) / 2
    guard count >= (isLeaf ? 1 : 2) else { throw file.corrupt("page \(number) is empty") }
    for node in 0..<count {
      guard isNodeInBounds(node, upper: upper, pageSize: file.pageSize) else {
        throw file.corrupt("node \(node) of page \(number) leaves its page")
      }
    }
  }

  private func start(of node: Int) -> Int {
    Int(bytes.word16(at: TreePage.headerLength + 2 * node))
  }

  private func isNodeInBounds(_ node: Int, upper: Int, pageSize: Int) -> Bool {
    let start = start(of: node)
    guard start >= upper, start % 2 == 0, start + TreePage.nodeHeaderLength <= pageSize else {
      return false
    }
    let keyEnd = start + TreePage.nodeHeaderLength + keyLength(of: node)
    guard keyEnd <= pageSize else { return false }
    guard isLeaf else { return true }
    let flags = bytes.word16(at: start + 4)
    guard flags & ~(TreePage.bigDataFlag | TreePage.subtreeFlag) == 0 else { return false }
    return keyEnd + (isInOverflow(node) ? 8 : dataLength(of: node)) <= pageSize
  }

  func keyLength(of node: Int) -> Int { Int(bytes.word16(at: start(of: node) + 6)) }

  func keyRange(of node: Int) -> Range<Int> {
    let begin = start(of: node) + TreePage.nodeHeaderLength
    return begin..<begin + keyLength(of: node)
  }

  /// The key of a node whose keys are eight bytes, most significant first.
  func key(of node: Int, file: PageFile) throws(JournalError) -> UInt64 {
    guard keyLength(of: node) == 8 else {
      throw file.corrupt("a key of page \(number) has \(keyLength(of: node)) bytes")
    }
    return bytes.bigEndianWord(at: start(of: node) + TreePage.nodeHeaderLength)
  }

  // Leaves.

  func dataLength(of node: Int) -> Int { Int(bytes.word32(at: start(of: node))) }

  func isInOverflow(_ node: Int) -> Bool {
    bytes.word16(at: start(of: node) + 4) & TreePage.bigDataFlag != 0
  }

  func isSubtree(_ node: Int) -> Bool {
    bytes.word16(at: start(of: node) + 4) & TreePage.subtreeFlag != 0
  }

  /// Where the value of a node begins in the page; for one in overflow pages, the number of the
  /// first of them stands there.
  func dataStart(of node: Int) -> Int { keyRange(of: node).upperBound }

  /// No value of ours is longer: an entry and the root behind it.
  private static let longestValue = EntryHeader.maximumEntryLength + 32

  /// Reads a value that has pages of its own.
  ///
  /// - Returns: Where it is in the buffer.
  /// - Throws: `corrupt` if they can't be such pages.
  static func readLongValue(
    first: UInt64, length: Int, lastPage: UInt64, of file: PageFile, into buffer: inout [UInt8]
  ) throws(JournalError) -> Range<Int> {
    let pages = (16 + length + file.pageSize - 1) / file.pageSize
    guard first >= 2, first <= lastPage, UInt64(pages) <= lastPage - first + 1,
      length <= longestValue
    else { throw file.corrupt("a value of \(length) bytes leads to page \(first)") }
    try file.read(page: first, count: pages, into: &buffer)
    guard buffer.word64(at: 0) == first, buffer.word16(at: 10) == overflowFlag,
      buffer.word32(at: 12) >= pages
    else { throw file.corrupt("page \(first) holds no long value") }
    return 16..<16 + length
  }

  // Branches.

  func child(of node: Int) -> UInt64 {
    let start = start(of: node)
    return UInt64(bytes.word32(at: start)) | UInt64(bytes.word16(at: start + 4)) << 32
  }
}
