internal import Glibc

/// The record that tells whose journal the file is.
struct StoreRecord: Equatable {
  static let key = "store"
  static let format: UInt32 = 1
  static let length = 28

  let store: StoreID
  /// The first index that the file holds: 1, or the last that is archived.
  let firstIndex: UInt64

  var bytes: [UInt8] {
    var bytes: [UInt8] = []
    bytes.append(bigEndian: StoreRecord.format)
    bytes.append(contentsOf: store.uuid.bytes)
    bytes.append(bigEndian: firstIndex)
    return bytes
  }

  init(store: StoreID, firstIndex: UInt64 = 1) {
    self.store = store
    self.firstIndex = firstIndex
  }

  init(_ bytes: [UInt8], in range: Range<Int>, path: String) throws(JournalError) {
    guard range.count >= 4 else { throw .corrupt(path: path, what: "its store record is short") }
    let format = UInt32(truncatingIfNeeded: bytes.bigEndianWord32(at: range.lowerBound))
    guard format == StoreRecord.format else {
      throw format > StoreRecord.format
        ? .newerFormat(path: path, version: format)
        : .corrupt(path: path, what: "its store record has format \(format)")
    }
    guard range.count == StoreRecord.length else {
      throw .corrupt(path: path, what: "its store record has \(range.count) bytes")
    }
    let start = range.lowerBound
    store = StoreID(
      UUID128(high: bytes.bigEndianWord(at: start + 4), low: bytes.bigEndianWord(at: start + 12)))
    firstIndex = bytes.bigEndianWord(at: start + 20)
    guard firstIndex == 1 || firstIndex > 0 && firstIndex % UInt64(TileLayout.width) == 0 else {
      throw .corrupt(path: path, what: "it begins at index \(firstIndex)")
    }
  }
}

/// The journal's trees as one transaction left them.
///
/// It pins nothing: a writer uses a page again two transactions after it fell out of the trees, so
/// that what was read is whole if at most one transaction came in between (`isStillWhole`).
struct JournalSnapshot {
  let file: PageFile
  let transactionID: UInt64
  let record: StoreRecord
  let entries: PageTree
  let tiles: PageTree
  let freeList: PageTree

  /// Where the entries before the first one of the file are; nil if there are none.
  var archive: JournalArchive? { file.archive }
  /// How many entries are archived: whole tiles.
  var archivedCount: UInt64 { record.firstIndex == 1 ? 0 : record.firstIndex }
  /// How many entries there are, archived ones too.
  var size: UInt64 { record.firstIndex - 1 + entries.entryCount }

  var isStillWhole: Bool { file.lastTransactionID <= transactionID + 1 }

  /// Tries of a reader whom writers overtake, a millisecond apart, before it gives up.
  private static let maximumAttempts = 1000

  /// Runs `body` on the newest snapshot, again from the start if a writer overtook it.
  ///
  /// - Throws: What `body` throws; `corrupt`, `truncated` and the like for a damaged file.
  static func read<Result>(
    _ file: PageFile, _ body: (JournalSnapshot) throws(JournalError) -> Result
  ) throws(JournalError) -> Result {
    var attempt = 1
    while true {
      let before = file.lastTransactionID
      do throws(JournalError) {
        let snapshot = try JournalSnapshot(file)
        let result = try body(snapshot)
        if snapshot.isStillWhole { return result }
        if attempt == maximumAttempts { throw file.corrupt("it changes faster than it is read") }
      } catch {
        // What a writer changed under the reader looks like damage; damage itself stays.
        if file.lastTransactionID == before || attempt == maximumAttempts { throw error }
      }
      attempt += 1
      if attempt > 3 { usleep(1000) }
    }
  }

  private init(_ file: PageFile) throws(JournalError) {
    var buffer: [UInt8] = []
    let meta = try MetaPage.newest(of: file, buffer: &buffer)
    self.file = file
    transactionID = meta.transactionID
    freeList = meta.freeList
    guard !meta.main.isEmpty else {
      throw .notAStore(path: file.path, why: "its journal is an empty LMDB file")
    }
    // Four records: they never need a second page.
    guard meta.main.depth == 1 else { throw file.corrupt("its main tree has more than one page") }
    var page = TreePage()
    try page.load(meta.main.root, of: file)
    guard page.isLeaf else { throw file.corrupt("its main tree has no leaf") }
    let node = try JournalSnapshot.find(StoreRecord.key, in: page, of: file, isTree: false)
    let start = page.dataStart(of: node)
    record = try StoreRecord(
      page.bytes, in: start..<start + page.dataLength(of: node), path: file.path)
    if record.firstIndex > 1, file.archive == nil {
      file.archive = try JournalSnapshot.archive(in: page, of: file, record: record, meta.lastPage)
    }
    entries = try JournalSnapshot.tree("entries", in: page, lastPage: meta.lastPage, of: file)
    tiles = try JournalSnapshot.tree("tiles", in: page, lastPage: meta.lastPage, of: file)
  }

  /// The archives that the file names: always the same as long as it is this file.
  private static func archive(
    in page: TreePage, of file: PageFile, record: StoreRecord, _ lastPage: UInt64
  ) throws(JournalError) -> JournalArchive {
    let node = try find(
      JournalArchive.key, in: page, of: file, isTree: false, mayOverflow: true)
    let (start, length) = (page.dataStart(of: node), page.dataLength(of: node))
    var (bytes, range) = (page.bytes, start..<start + length)
    if page.isInOverflow(node) {
      range = try TreePage.readLongValue(
        first: page.bytes.word64(at: start), length: length, lastPage: lastPage, of: file,
        into: &bytes)
    }
    let archive = try JournalArchive(
      bytes, in: range, folder: file.archiveFolder, store: record.store, path: file.path)
    guard archive.last == record.firstIndex else {
      throw file.corrupt("it begins at index \(record.firstIndex), its archives end elsewhere")
    }
    return archive
  }

  private static func find(
    _ name: String, in page: TreePage, of file: PageFile, isTree: Bool, mayOverflow: Bool = false
  ) throws(JournalError) -> Int {
    let name = Array(name.utf8)
    for node in 0..<page.count where Array(page.bytes[page.keyRange(of: node)]) == name {
      guard page.isSubtree(node) == isTree, mayOverflow || !page.isInOverflow(node) else {
        throw file.corrupt("a record of its main tree has the wrong form")
      }
      return node
    }
    throw .notAStore(path: file.path, why: "its journal is an LMDB file of something else")
  }

  private static func tree(
    _ name: String, in page: TreePage, lastPage: UInt64, of file: PageFile
  ) throws(JournalError) -> PageTree {
    let node = try find(name, in: page, of: file, isTree: true)
    guard page.dataLength(of: node) == PageTree.recordLength else {
      throw file.corrupt("the record of \(name) has the wrong length")
    }
    return try PageTree(
      page.bytes, at: page.dataStart(of: node), lastPage: lastPage, file: file)
  }
}

extension [UInt8] {
  func bigEndianWord32(at start: Int) -> UInt64 {
    self[start..<start + 4].reduce(0) { $0 << 8 | UInt64($1) }
  }
}
