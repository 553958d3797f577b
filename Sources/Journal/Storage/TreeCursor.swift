/// Walks one tree of the file in the order of its keys, reading a page at a time.
///
/// After a successful `seek` or `next` it stands on a record: `key`, and the bytes of the value as
/// `bytes[range]`. The bytes change with the next move.
struct TreeCursor {
  private let file: PageFile
  private let tree: PageTree
  private var path: [TreePage] = []
  private var nodes: [Int] = []
  private var overflow: [UInt8] = []
  private var isOverflow = false
  private var leaves = PagesAhead()

  private(set) var key: UInt64 = 0
  private(set) var range = 0..<0
  /// The buffer that holds the value.
  var bytes: [UInt8] { isOverflow ? overflow : path[path.count - 1].bytes }

  init(_ tree: PageTree, of file: PageFile) {
    self.tree = tree
    self.file = file
    path = Array(repeating: TreePage(), count: tree.depth)
    nodes = Array(repeating: 0, count: tree.depth)
  }

  /// Moves to the record of a key, or the first one after it; false if there is none.
  ///
  /// - Throws: `corrupt`, `truncated` or `file`.
  mutating func seek(_ wanted: UInt64) throws(JournalError) -> Bool {
    guard !tree.isEmpty else { return false }
    var number = tree.root
    for level in 0..<tree.depth {
      try load(number, at: level)
      nodes[level] = try position(of: wanted, at: level)
      if level < tree.depth - 1 { number = path[level].child(of: nodes[level]) }
    }
    if nodes[tree.depth - 1] == path[tree.depth - 1].count {
      nodes[tree.depth - 1] -= 1
      return try next()
    }
    try readRecord()
    return true
  }

  /// Moves to the last record; false if there is none.
  mutating func seekLast() throws(JournalError) -> Bool {
    guard !tree.isEmpty else { return false }
    try descend(from: 0, page: tree.root, toLast: true)
    try readRecord()
    return true
  }

  /// Moves to the next record; false at the end. Only after a successful move.
  mutating func next() throws(JournalError) -> Bool {
    let leaf = tree.depth - 1
    nodes[leaf] += 1
    if nodes[leaf] == path[leaf].count {
      guard let level = (0..<leaf).last(where: { nodes[$0] + 1 < path[$0].count }) else {
        nodes[leaf] -= 1
        return false
      }
      nodes[level] += 1
      try descend(from: level + 1, page: path[level].child(of: nodes[level]), toLast: false)
    }
    let before = key
    try readRecord()
    guard key > before || before == 0 else {
      throw file.corrupt("key \(key) comes after key \(before)")
    }
    return true
  }

  private mutating func descend(
    from level: Int, page: UInt64, toLast: Bool
  ) throws(JournalError) {
    var number = page
    for level in level..<tree.depth {
      try load(number, at: level)
      nodes[level] = toLast ? path[level].count - 1 : 0
      if level < tree.depth - 1 { number = path[level].child(of: nodes[level]) }
    }
  }

  private mutating func load(_ number: UInt64, at level: Int) throws(JournalError) {
    guard number >= 2, number <= tree.lastPage else {
      throw file.corrupt("a tree leads to page \(number) of \(tree.lastPage)")
    }
    // A page of a snapshot stays what it is: seeking in order, few are read twice.
    let isLeaf = level == tree.depth - 1
    if path[level].number != number {
      if isLeaf {
        try leaves.load(number, lastPage: tree.lastPage, of: file, into: &path[level])
      } else {
        try path[level].load(number, of: file)
      }
    }
    guard path[level].isLeaf == isLeaf else {
      throw file.corrupt("page \(number) is at the wrong depth of its tree")
    }
  }

  /// In a branch, the child in whose range the key lies; in a leaf, the first node not below it.
  private func position(of wanted: UInt64, at level: Int) throws(JournalError) -> Int {
    let isLeaf = level == tree.depth - 1
    // The first key of a branch stands for "everything below the second" and may be left out.
    var (low, high) = (isLeaf ? 0 : 1, path[level].count)
    while low < high {
      let middle = (low + high) / 2
      let key = try path[level].key(of: middle, file: file)
      if isLeaf ? key < wanted : key <= wanted { low = middle + 1 } else { high = middle }
    }
    return isLeaf ? low : low - 1
  }

  private mutating func readRecord() throws(JournalError) {
    let (leaf, node) = (tree.depth - 1, nodes[tree.depth - 1])
    key = try path[leaf].key(of: node, file: file)
    let length = path[leaf].dataLength(of: node)
    let start = path[leaf].dataStart(of: node)
    isOverflow = path[leaf].isInOverflow(node)
    guard !path[leaf].isSubtree(node) else { throw file.corrupt("a record is a tree") }
    guard isOverflow else {
      range = start..<start + length
      return
    }
    try readOverflow(first: path[leaf].bytes.word64(at: start), length: length)
  }

  private mutating func readOverflow(first: UInt64, length: Int) throws(JournalError) {
    range = try TreePage.readLongValue(
      first: first, length: length, lastPage: tree.lastPage, of: file, into: &overflow)
  }
}
