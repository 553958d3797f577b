/// Checks LMDB's list of free pages before a writer maps the file: it hands out what stands there.
enum FreeListCheck {
  /// The list is a few pages long as long as nobody holds old snapshots open.
  private static let maximumPages = 65_536

  /// - Throws: `corrupt` if the list is none, or names a page that can't be free.
  static func run(_ snapshot: JournalSnapshot) throws(JournalError) {
    guard !snapshot.freeList.isEmpty else { return }
    var walk = Walk(snapshot: snapshot)
    try walk.visit(snapshot.freeList.root, depth: 1)
    guard walk.records == snapshot.freeList.entryCount else {
      throw snapshot.file.corrupt("its list of free pages has \(walk.records) records")
    }
  }

  private struct Walk {
    let snapshot: JournalSnapshot
    var lastTransaction: UInt64 = 0
    var records: UInt64 = 0
    var pages = 0
    var free: Set<UInt64> = []

    mutating func visit(_ number: UInt64, depth: Int) throws(JournalError) {
      pages += 1
      guard number >= 2, number <= snapshot.freeList.lastPage, pages <= maximumPages else {
        throw snapshot.file.corrupt("its list of free pages leads to page \(number)")
      }
      var page = TreePage()
      try page.load(number, of: snapshot.file)
      guard page.isLeaf == (depth == snapshot.freeList.depth) else {
        throw snapshot.file.corrupt("page \(number) is at the wrong depth of its tree")
      }
      for node in 0..<page.count {
        if page.isLeaf {
          try read(page, node)
        } else {
          try visit(page.child(of: node), depth: depth + 1)
        }
      }
    }

    /// A record: the transaction that freed the pages; their count, and their numbers descending.
    private mutating func read(_ page: TreePage, _ node: Int) throws(JournalError) {
      let file = snapshot.file
      guard page.keyLength(of: node) == 8, !page.isSubtree(node) else {
        throw file.corrupt("its list of free pages has a wrong key")
      }
      let transaction = page.bytes.word64(at: page.keyRange(of: node).lowerBound)
      let length = page.dataLength(of: node)
      guard transaction > lastTransaction, transaction <= snapshot.transactionID, length >= 8,
        length % 8 == 0
      else { throw file.corrupt("its list of free pages is out of order") }
      lastTransaction = transaction
      records += 1
      let start = page.dataStart(of: node)
      guard page.isInOverflow(node) else {
        return try read(page.bytes, from: start, length: length)
      }
      let first = page.bytes.word64(at: start)
      let count = (16 + length + file.pageSize - 1) / file.pageSize
      guard first >= 2, first <= snapshot.freeList.lastPage,
        UInt64(count) <= snapshot.freeList.lastPage - first + 1
      else { throw file.corrupt("its list of free pages leads to page \(first)") }
      var bytes: [UInt8] = []
      try file.read(page: first, count: count, into: &bytes)
      guard bytes.word64(at: 0) == first, bytes.word16(at: 10) == TreePage.overflowFlag else {
        throw file.corrupt("page \(first) holds no free pages")
      }
      try read(bytes, from: 16, length: length)
    }

    private mutating func read(
      _ bytes: [UInt8], from start: Int, length: Int
    ) throws(JournalError) {
      let count = bytes.word64(at: start)
      guard count <= UInt64(length / 8 - 1) else {
        throw snapshot.file.corrupt("its list of free pages counts \(count)")
      }
      var above = snapshot.freeList.lastPage + 1
      for index in 0..<Int(count) {
        let number = bytes.word64(at: start + 8 + 8 * index)
        guard number >= 2, number < above, free.insert(number).inserted else {
          throw snapshot.file.corrupt("its list of free pages names page \(number)")
        }
        above = number
      }
    }
  }
}
