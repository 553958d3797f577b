internal import Journal

/// The entries about instances, sorted by the first 12 bits of the instance's UUID and otherwise in
/// the journal's order: in memory up to a bound, and beyond it in a file.
struct ReplayPartitions {
  static let count = IndexBuckets.instanceBuckets

  private var buffers = [[UInt8]](repeating: [], count: count)
  private var segments = [[SpillFile.Segment]](repeating: [], count: count)
  private var bufferedBytes = 0
  private var file: SpillFile?
  private let folder: String
  private let memoryBytes: Int

  /// - Parameters:
  ///   - folder: Where the file is made if it is needed.
  ///   - memoryBytes: Above this many bytes in memory all of them are moved to the file.
  init(folder: String, memoryBytes: Int) {
    self.folder = folder
    self.memoryBytes = memoryBytes
  }

  /// Sets an entry aside.
  mutating func add(_ outline: EntryOutline, of bytes: [UInt8]) throws(ProjectionError) {
    let partition = IndexBuckets.instanceBucket(InstanceID(outline.header.entityKey))
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
      buffers[partition] = []
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
