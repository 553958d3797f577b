internal import Journal
internal import Projections

/// The instances that a scan has set aside, in the order of their UUIDs; belongs to the thread that reads
/// them.
///
/// The pages are in the order in which they were read. They are sorted by the first bits of the UUIDs, and each part by
/// the rest. Memory is bounded as long as UUIDs are spread as Nova's random ones are: a part is taken whole.
final class StagedRows: @unchecked Sendable {
  private let file: ScanFile
  private let keys: KeyRing?
  private var partitions: KeyPartitions?
  private var partition = 0
  private var bytes: [UInt8] = []
  private var places: [KeyPartitions.Place] = []
  private var nextPlace = 0
  private var text = RowText()
  /// Over the rows of each cell, in the order of the UUIDs; whole once there are no more.
  private(set) var cellDigests: [CellID: Digest] = [:]

  /// Instances that are handed over at once.
  private static let batch = 256
  /// Rows in memory before they go to a file without a name.
  private static let memoryBytes = 40 << 20

  init(of file: ScanFile, digestedBy keys: KeyRing?) {
    self.file = file
    self.keys = keys
  }

  /// The rows of the next instances, those of each together; nil at the end.
  func next() -> Result<[StagedCopies]?, ProjectionError> {
    do throws(ProjectionError) {
      var batch: [StagedCopies] = []
      batch.reserveCapacity(Self.batch)
      while batch.count < Self.batch, let rows = try nextInstance() {
        let digests = keys.map { keys in rows.map { digest(of: $0, by: keys) } }
        batch.append(StagedCopies(rows: rows, digests: digests ?? []))
      }
      return .success(batch.isEmpty ? nil : batch)
    } catch {
      return .failure(error)
    }
  }

  private func digest(of row: StagedInstance, by keys: KeyRing) -> Digest {
    text.removeAll()
    row.append(to: &text)
    let digest = keys.digest(of: text)
    cellDigests[row.cell] = keys.digest(cellDigests[row.cell] ?? .zero, followedBy: digest)
    return digest
  }

  /// The rows of the next instance, by cell; of one that was read twice only the later one.
  private func nextInstance() throws(ProjectionError) -> [StagedInstance]? {
    while nextPlace == places.count {
      guard try takePartition() else { return nil }
    }
    let id = places[nextPlace].id
    var copies = [try nextRow()]
    while nextPlace < places.count, places[nextPlace].id == id {
      let row = try nextRow()
      copies.removeAll { $0.cell == row.cell }
      copies.append(row)
    }
    if copies.count > 1 { copies.sort { $0.cell < $1.cell } }
    return copies
  }

  private func nextRow() throws(ProjectionError) -> StagedInstance {
    let row = StagedInstance(packedIn: bytes, at: places[nextPlace].offset)
    nextPlace += 1
    guard let row else { throw damage }
    return row
  }

  /// Sorts the next partition.
  ///
  /// - Returns: False after the last.
  private func takePartition() throws(ProjectionError) -> Bool {
    if partitions == nil { partitions = try sortPages() }
    guard partition < partitions?.count ?? 0 else { return false }
    try partitions?.take(partition, into: &bytes)
    partition += 1
    places.removeAll(keepingCapacity: true)
    nextPlace = 0
    var offset = 0
    while offset < bytes.count {
      guard let (length, id) = PackedInstance.outline(of: bytes.span, at: offset) else {
        throw damage
      }
      places.append(KeyPartitions.Place(id: id, offset: offset))
      offset += length
    }
    places.sort()
    return true
  }

  private func sortPages() throws(ProjectionError) -> KeyPartitions {
    let rows = try file.connection.integer("SELECT sum(rows) FROM cell") ?? 0
    var partitions = KeyPartitions(
      entries: UInt64(clamping: rows), folder: file.folder, memoryBytes: Self.memoryBytes)
    let pages = try file.connection.prepare("SELECT instances FROM page ORDER BY number")
    defer { pages.reset() }
    while try pages.step() {
      let page = try pages.blob(0)
      var offset = 0
      while offset < page.count {
        guard let (length, id) = PackedInstance.outline(of: page.span, at: offset) else {
          throw damage
        }
        try partitions.add(under: id.high) { $0 += page[offset..<offset + length] }
        offset += length
      }
    }
    return partitions
  }

  private var damage: ProjectionError {
    .damaged(path: file.path, what: "it has a page of instances that isn't one")
  }
}
