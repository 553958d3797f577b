internal import Journal
internal import Projections

/// The instances that a scan has set aside, in the order of their UUIDs; belongs to the thread that reads
/// them.
final class StagedRows: @unchecked Sendable {
  // A struct of its own, since each look at a property of a class is checked while the program runs.
  private var reading: StagedReading

  init(of file: ScanFile, digestedBy keys: KeyRing?) {
    reading = StagedReading(file: file, digests: keys.map { RowDigests(by: $0) })
  }

  /// The rows of the next instances, those of each together; nil at the end.
  func next() -> Result<StagedBatch?, ProjectionError> { reading.next() }

  /// Over the rows of each cell, in the order of the UUIDs; to be asked for once there are no more.
  func cellDigests() -> [CellID: Digest] { reading.digests?.ofCells() ?? [:] }
}

/// How far the rows were read.
///
/// The pages are in the order in which they were read. Their rows are sorted by the first bits of the UUIDs, and come back
/// in parts of bounded size, each of which is sorted by the rest.
private struct StagedReading {
  let file: ScanFile
  /// nil where nobody wants them.
  var digests: RowDigests?
  private var parts: SortedParts?
  private var bytes: [UInt8] = []
  private var places: [KeyPartitions.Place] = []
  private var nextPlace = 0
  /// Of the instance that is read: its rows' cells and where they are.
  private var copies: [(cell: CellID, offset: Int)] = []

  /// Instances that are handed over at once.
  private static let batch = 256
  /// Rows in memory before they go to a file without a name.
  private static let memoryBytes = 40 << 20

  init(file: ScanFile, digests: RowDigests?) {
    self.file = file
    self.digests = digests
  }

  mutating func next() -> Result<StagedBatch?, ProjectionError> {
    do throws(ProjectionError) {
      var batch = StagedBatch()
      batch.rows.reserveCapacity(Self.batch)
      batch.ends.reserveCapacity(Self.batch)
      if digests != nil { batch.digests.reserveCapacity(Self.batch) }
      while batch.ends.count < Self.batch, try findInstance() {
        for (cell, offset) in copies {
          guard let row = StagedInstance(packedIn: bytes, at: offset) else { throw damage }
          batch.rows.append(row)
          if let digest = digests?.add(rowIn: bytes, at: offset, of: cell) {
            batch.digests.append(digest)
          }
        }
        batch.ends.append(batch.rows.count)
      }
      return .success(batch.ends.isEmpty ? nil : batch)
    } catch {
      return .failure(error)
    }
  }

  /// Looks where the rows of the next instance are, by cell; of one that was read twice only the later one
  /// counts.
  ///
  /// - Returns: False at the end.
  private mutating func findInstance() throws(ProjectionError) -> Bool {
    while nextPlace == places.count {
      guard try takePart() else { return false }
    }
    let id = places[nextPlace].id
    copies.removeAll(keepingCapacity: true)
    repeat {
      let offset = places[nextPlace].offset
      let cell = PackedInstance.cell(of: bytes.span, at: offset)
      if !copies.isEmpty { copies.removeAll { $0.cell == cell } }
      copies.append((cell, offset))
      nextPlace += 1
    } while nextPlace < places.count && places[nextPlace].id == id
    if copies.count > 1 { copies.sort { $0.cell < $1.cell } }
    return true
  }

  /// Takes the next part.
  ///
  /// - Returns: False after the last.
  private mutating func takePart() throws(ProjectionError) -> Bool {
    if parts == nil {
      parts = SortedParts(try sortPages(), Self.outline(of:at:))
    }
    guard try parts?.next(into: &bytes, at: &places) ?? false else { return false }
    nextPlace = 0
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
      let end = try SortedParts.forEach(in: page, Self.outline(of:at:)) {
        (page, place, id) throws(ProjectionError) in
        try partitions.add(under: id.high) { $0 += page[place] }
      }
      guard end == page.count else { throw damage }
    }
    return partitions
  }

  private static func outline(of page: [UInt8], at offset: Int) -> (length: Int, id: UUID128)? {
    PackedInstance.outline(of: page.span, at: offset)
  }

  private var damage: ProjectionError {
    .damaged(path: file.path, what: "it has a page of instances that isn't one")
  }
}

/// Makes the digests of rows, and those over all rows of each cell.
private struct RowDigests {
  private let keys: KeyRing
  private var cells: [CellID: ChainedDigest] = [:]

  init(by keys: KeyRing) { self.keys = keys }

  mutating func add(rowIn bytes: [UInt8], at offset: Int, of cell: CellID) -> Digest {
    let digest = PackedInstance.digest(of: bytes.span, at: offset, by: keys)
    cells[cell, default: ChainedDigest()].add(digest, by: keys)
    return digest
  }

  func ofCells() -> [CellID: Digest] { cells.mapValues { $0.digest(by: keys) } }
}
