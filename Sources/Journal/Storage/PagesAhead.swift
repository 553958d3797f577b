/// Leaves of a tree that are read at once, since a walk will ask for them: a call for each of them costs the
/// walk more than the copying of their bytes.
///
/// Belongs to one cursor, and so to one snapshot, whose pages stay what they are.
struct PagesAhead {
  /// 64 KiB: of what a call costs little is left for each page, and they stay in the processor's cache.
  private static let count: UInt64 = 16
  /// A page so little behind the last one was written along with it, and so are those that follow.
  private static let nearby: UInt64 = 4

  private var bytes: [UInt8] = []
  private var pages: Range<UInt64> = 0..<0
  private var last: UInt64 = 0

  /// Reads a leaf; on the way from page to page of the file, what stands behind it, too.
  ///
  /// - Parameters:
  ///   - number: At most `lastPage`.
  ///   - lastPage: The last page of the snapshot, which the file has.
  /// - Throws: As `TreePage.load`.
  // Hot path: for a page that is there, a copy of its bytes.
  mutating func load(
    _ number: UInt64, lastPage: UInt64, of file: PageFile, into page: inout TreePage
  ) throws(JournalError) {
    let isOnTheWay = number > last && number - last <= Self.nearby
    last = number
    if isOnTheWay, !pages.contains(number) {
      let end = min(number + Self.count, lastPage + 1)
      pages = 0..<0
      try file.read(page: number, count: Int(end - number), into: &bytes)
      pages = number..<end
    }
    guard pages.contains(number) else { return try page.load(number, of: file) }
    let start = Int(number - pages.lowerBound) * file.pageSize
    try page.load(number, of: file) { (front) throws(JournalError) in
      if front.count < file.pageSize { front = .zeros(file.pageSize) }
      front.replaceFirst(with: bytes, in: start..<start + file.pageSize)
    }
  }
}
