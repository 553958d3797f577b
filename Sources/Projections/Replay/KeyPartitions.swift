public import Journal

/// What is said of instances, sorted by the first bits of their UUIDs and otherwise in the order in which
/// it came: in memory up to a bound, and beyond it in a file. `SortedParts` hands it over.
public struct KeyPartitions {
  /// At most this many: one for each bucket.
  private static let maximumBits = 12
  /// Entries of a partition, on average, up to the greatest number of partitions: few enough to be
  /// folded in a processor's cache, while the places that are written to in turn stay few.
  private static let entriesEach = 4_096
  /// How much of the file is in memory when a partition is split.
  private static let pieceBytes = 1 << 20

  /// Where in a partition something is said of an instance; ordered by the instance, then by what came first.
  public struct Place: Comparable {
    public let id: UUID128
    public let offset: Int

    public static func < (left: Self, right: Self) -> Bool {
      if left.id.high != right.id.high { return left.id.high < right.id.high }
      if left.id.low != right.id.low { return left.id.low < right.id.low }
      return left.offset < right.offset
    }
  }

  /// How many partitions there are.
  var count: Int { buffers.count }

  private var buffers: [[UInt8]]
  private var segments: [[SpillFile.Segment]]
  private let shift: UInt64
  private var bufferedBytes = 0
  private var file: SpillFile?
  /// Over all that is in a file that is kept.
  private var hasher = RowHasher(table: 0)
  /// Where a file without a name is made if it is needed.
  private let folder: String
  /// The file has a name, and the caller moves what is in memory there.
  private let isKept: Bool
  let memoryBytes: Int

  /// - Parameters:
  ///   - entries: How many will come, roughly.
  ///   - folder: Where the file is made if it is needed.
  ///   - memoryBytes: Above this many bytes in memory all of them are moved to the file.
  public init(entries: UInt64, folder: String, memoryBytes: Int) {
    self.init(bits: Self.bits(for: entries), folder: folder, keeping: nil, memoryBytes)
  }

  /// The same with a file at `path`, which stays when the process dies; the caller moves what is in
  /// memory there.
  init(entries: UInt64, keptAt path: String, memoryBytes: Int) throws(ProjectionError) {
    let file = try SpillFile(new: path)
    self.init(bits: Self.bits(for: entries), folder: file.folder, keeping: file, memoryBytes)
  }

  /// Goes on with a file that was kept, which is read once and compared.
  ///
  /// - Throws: `damaged` if it isn't what `mark` says; `file`.
  init(_ mark: ReplayMark, keptAt path: String, memoryBytes: Int) throws(ProjectionError) {
    let file = try SpillFile(kept: path, end: Int(clamping: mark.spilledBytes))
    let bits = mark.partitions.trailingZeroBitCount
    guard mark.partitions == 1 << UInt64(bits), (1...Self.maximumBits).contains(bits) else {
      throw .damaged(path: path, what: "\(mark.partitions) partitions")
    }
    self.init(bits: bits, folder: file.folder, keeping: file, memoryBytes)
    try readSegments(of: file)
    guard spillHash == mark.spillHash else {
      throw .damaged(path: path, what: "entries set aside with another checksum")
    }
  }

  private init(bits: Int, folder: String, keeping file: SpillFile?, _ memoryBytes: Int) {
    buffers = [[UInt8]](repeating: [], count: 1 << bits)
    segments = [[SpillFile.Segment]](repeating: [], count: 1 << bits)
    shift = UInt64(64 - bits)
    self.folder = folder
    self.file = file
    isKept = file != nil
    self.memoryBytes = memoryBytes
  }

  private static func bits(for entries: UInt64) -> Int {
    var bits = 4
    while bits < maximumBits, entries >> UInt64(bits) > UInt64(entriesEach) { bits += 1 }
    return bits
  }

  /// More is in memory than shall be.
  var isFull: Bool { bufferedBytes > memoryBytes }
  /// How many bytes are in the file, and a checksum over them if it is kept.
  var spilledBytes: UInt64 { UInt64(file?.end ?? 0) }
  var spillHash: Int64 { hasher.finish().checksum }

  /// Sets what `append` appends aside, under the first half of an instance's UUID.
  ///
  /// - Throws: `file` if the disk is full or fails.
  @inline(__always)
  public mutating func add(
    under key: UInt64, _ append: (inout [UInt8]) -> Void
  ) throws(ProjectionError) {
    let partition = Int(key >> shift)
    let before = buffers[partition].count
    append(&buffers[partition])
    bufferedBytes += buffers[partition].count - before
    if isFull, !isKept { try spill() }
  }

  /// Moves what is in memory to the file: how long the part of each partition is, where the file is
  /// kept, and the parts.
  mutating func spill() throws(ProjectionError) {
    guard bufferedBytes > 0 else { return }
    if file == nil { file = try SpillFile(in: folder) }
    guard let file else { return }
    if isKept {
      var lengths: [UInt8] = []
      for buffer in buffers { lengths.append(number: UInt32(buffer.count)) }
      hasher.add(part: lengths)
      _ = try file.append(lengths)
    }
    // UUIDs that begin with a time fill one buffer after the other: if each kept what it had grown to, all
    // of it would stay in memory.
    let capacity = max(4_096, 2 * memoryBytes / count)
    for partition in buffers.indices where !buffers[partition].isEmpty {
      if isKept { hasher.add(part: buffers[partition]) }
      segments[partition].append(try file.append(buffers[partition]))
      if buffers[partition].capacity > capacity {
        buffers[partition] = []
      } else {
        buffers[partition].removeAll(keepingCapacity: true)
      }
    }
    bufferedBytes = 0
  }

  /// Gives the memory back once nothing is to come: if something is in the file, the rest goes there too.
  mutating func settle() throws(ProjectionError) {
    guard segments.contains(where: { !$0.isEmpty }) else { return }
    try spill()
    buffers = [[UInt8]](repeating: [], count: count)
  }

  /// Finds again where the parts are that were moved to a file.
  private mutating func readSegments(of file: SpillFile) throws(ProjectionError) {
    var place = SpillFile.start
    var lengths: [UInt8] = []
    var part: [UInt8] = []
    while place < file.end {
      guard 4 * count <= file.end - place else {
        throw .damaged(path: file.path, what: "a part of a list of lengths")
      }
      lengths.removeAll(keepingCapacity: true)
      try file.read(SpillFile.Segment(offset: place, count: 4 * count), into: &lengths)
      hasher.add(part: lengths)
      place += 4 * count
      for partition in 0..<count {
        let length = Int(lengths.number(at: 4 * partition))
        guard length > 0 else { continue }
        guard length <= file.end - place else {
          throw .damaged(path: file.path, what: "entries set aside beyond its end")
        }
        let segment = SpillFile.Segment(offset: place, count: length)
        part.removeAll(keepingCapacity: true)
        try file.read(segment, into: &part)
        hasher.add(part: part)
        segments[partition].append(segment)
        place += length
      }
    }
  }

  /// How much memory the buffers have, whether or not something is in them.
  var capacity: Int { buffers.reduce(0) { $0 + $1.capacity } }

  /// How many bytes are in a partition.
  func size(of partition: Int) -> Int {
    segments[partition].reduce(buffers[partition].count) { $0 + $1.count }
  }

  /// Moves what is in a partition, oldest first, into `bytes`, which is emptied before.
  ///
  /// - Throws: `file`.
  mutating func take(_ partition: Int, into bytes: inout [UInt8]) throws(ProjectionError) {
    bytes.removeAll(keepingCapacity: true)
    if let file {
      for segment in segments[partition] { try file.read(segment, into: &bytes) }
    }
    bytes.append(contentsOf: buffers[partition])
    empty(partition)
  }

  private mutating func empty(_ partition: Int) {
    segments[partition] = []
    buffers[partition] = []
  }

  /// Moves what is in a partition into partitions of its own, by the first bits in which its UUIDs differ.
  ///
  /// - Returns: nil if all of it is of one instance; nothing is moved then.
  /// - Throws: `file`; `damaged`.
  mutating func split(
    _ partition: Int, memoryBytes: Int, _ outline: SortedParts.Outline
  ) throws(ProjectionError) -> KeyPartitions? {
    var entries: UInt64 = 0
    var first = UUID128.zero
    var (high, low) = (UInt64(0), UInt64(0))
    try forEach(in: partition, outline) { (_, _, id) throws(ProjectionError) in
      if entries == 0 { first = id }
      entries += 1
      high |= id.high ^ first.high
      low |= id.low ^ first.low
    }
    let same = high != 0 ? high.leadingZeroBitCount : 64 + low.leadingZeroBitCount
    guard same < 128 else { return nil }
    var parts = KeyPartitions(entries: entries, folder: folder, memoryBytes: memoryBytes)
    try forEach(in: partition, outline) { (bytes, place, id) throws(ProjectionError) in
      try parts.add(under: id.word(after: same)) { $0 += bytes[place] }
    }
    empty(partition)
    try parts.settle()
    return parts
  }

  /// Calls `body` with everything in a partition, oldest first, and has a piece of the file in memory at a
  /// time.
  private func forEach(
    in partition: Int, _ outline: SortedParts.Outline, _ body: SortedParts.Visit
  ) throws(ProjectionError) {
    if let file {
      var bytes: [UInt8] = []
      for segment in segments[partition] {
        for start in stride(from: 0, to: segment.count, by: Self.pieceBytes) {
          let count = min(Self.pieceBytes, segment.count - start)
          try file.read(
            SpillFile.Segment(offset: segment.offset + start, count: count), into: &bytes)
          bytes.removeSubrange(..<(try SortedParts.forEach(in: bytes, outline, body)))
        }
        guard bytes.isEmpty else { throw incomplete }
      }
    }
    let buffer = buffers[partition]
    guard try SortedParts.forEach(in: buffer, outline, body) == buffer.count else {
      throw incomplete
    }
  }

  var incomplete: ProjectionError {
    .damaged(path: file?.path ?? folder, what: "a part of what was set aside of an instance")
  }
}

extension UUID128 {
  /// The 64 bits behind the first `count`, and zeros where it has no more.
  fileprivate func word(after count: Int) -> UInt64 {
    count < 64 ? high << UInt64(count) | low >> UInt64(64 - count) : low << UInt64(count - 64)
  }
}

extension RowHasher {
  fileprivate mutating func add(part bytes: [UInt8]) {
    unsafe bytes.withUnsafeBytes { bytes in unsafe add(bytes, tag: RowHasher.blob) }
  }
}

extension [UInt8] {
  fileprivate mutating func append(number: UInt32) {
    for shift in [24, 16, 8, 0] as [UInt32] { append(UInt8(truncatingIfNeeded: number >> shift)) }
  }

  fileprivate func number(at place: Int) -> UInt32 {
    self[place..<place + 4].reduce(0) { $0 << 8 | UInt32($1) }
  }
}
