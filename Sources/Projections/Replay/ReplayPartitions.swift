internal import Journal

/// The entries about instances, sorted by the first bits of the instance's UUID and otherwise in
/// the journal's order: in memory up to a bound, and beyond it in a file.
struct ReplayPartitions {
  /// At most this many: one for each bucket.
  private static let maximumBits = 12
  /// Entries of a partition, on average, up to the greatest number of partitions: few enough to be
  /// folded in a processor's cache, while the places that are written to in turn stay few.
  private static let entriesEach = 4_096

  /// How many partitions there are.
  var count: Int { buffers.count }

  private var buffers: [[UInt8]]
  private var segments: [[SpillFile.Segment]]
  private let shift: UInt64
  private var bufferedBytes = 0
  private var file: SpillFile?
  private let folder: String
  private let memoryBytes: Int

  /// - Parameters:
  ///   - entries: How many will come, roughly.
  ///   - folder: Where the file is made if it is needed.
  ///   - memoryBytes: Above this many bytes in memory all of them are moved to the file.
  init(entries: UInt64, folder: String, memoryBytes: Int) {
    var bits = 4
    while bits < Self.maximumBits, entries >> UInt64(bits) > UInt64(Self.entriesEach) { bits += 1 }
    buffers = [[UInt8]](repeating: [], count: 1 << bits)
    segments = [[SpillFile.Segment]](repeating: [], count: 1 << bits)
    shift = UInt64(64 - bits)
    self.folder = folder
    self.memoryBytes = memoryBytes
  }

  /// Sets an entry aside.
  mutating func add(_ outline: EntryOutline, of bytes: [UInt8]) throws(ProjectionError) {
    let partition = Int(outline.header.entityKey.high >> shift)
    let before = buffers[partition].count
    outline.appendChange(of: bytes, to: &buffers[partition])
    bufferedBytes += buffers[partition].count - before
    if bufferedBytes > memoryBytes { try spill() }
  }

  private mutating func spill() throws(ProjectionError) {
    if file == nil { file = try SpillFile(in: folder) }
    guard let file else { return }
    for partition in buffers.indices where !buffers[partition].isEmpty {
      segments[partition].append(try file.append(buffers[partition]))
      buffers[partition].removeAll(keepingCapacity: true)
    }
    bufferedBytes = 0
  }

  /// Moves the entries of a partition, oldest first, into `bytes`, which is emptied before.
  mutating func take(_ partition: Int, into bytes: inout [UInt8]) throws(ProjectionError) {
    bytes.removeAll(keepingCapacity: true)
    if let file {
      for segment in segments[partition] { try file.read(segment, into: &bytes) }
      segments[partition] = []
    }
    bytes.append(contentsOf: buffers[partition])
    buffers[partition] = []
  }
}
