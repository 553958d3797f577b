internal import Journal

/// Rows of an index as its open snapshot has them, each read from the file once: the rules ask for
/// a row, and folding in the entry that they decide on asks for it again.
///
/// Belongs to one thread at a time; its owner says when the snapshot moves.
final class SnapshotRows: MapLookup {
  /// Rows of one kind that are kept; beyond it all are forgotten.
  private static let limit = 4_096

  private let index: IndexReader
  private var cells: [CellID: CellRow?] = [:]
  /// The instance that was asked for last. Keeping more cost more than it saved: an instance is
  /// rarely named twice in a group.
  private var lastInstance: (id: InstanceID, row: InstanceRow?)?
  private var requests: [RequestID: RequestRow?] = [:]

  init(of index: IndexReader) { self.index = index }

  /// Forgets all rows: the snapshot has moved.
  func forget() {
    cells.removeAll(keepingCapacity: true)
    lastInstance = nil
    requests.removeAll(keepingCapacity: true)
  }

  func cell(_ id: CellID) throws(ProjectionError) -> CellRow? {
    if let known = cells[id] { return known }
    let row = try index.cell(id)
    Self.keep(row, under: id, in: &cells)
    return row
  }

  func instance(_ id: InstanceID) throws(ProjectionError) -> InstanceRow? {
    if let known = lastInstance, known.id == id { return known.row }
    let row = try index.instance(id)
    lastInstance = (id, row)
    return row
  }

  func request(_ id: RequestID) throws(ProjectionError) -> RequestRow? {
    if let known = requests[id] { return known }
    let row = try index.request(id)
    Self.keep(row, under: id, in: &requests)
    return row
  }

  func allCells() throws(ProjectionError) -> [CellID: CellRow] { try index.allCells() }
  func host(_ name: ByteText) throws(ProjectionError) -> HostRow? { try index.host(name) }
  func conflict(of entity: EntityKey) throws(ProjectionError) -> ConflictRow? {
    try index.conflict(of: entity)
  }
  func departure(of entity: EntityKey) throws(ProjectionError) -> UInt64? {
    try index.departure(of: entity)
  }

  @inline(__always)
  private static func keep<Key: Hashable, Row>(
    _ row: Row?, under key: Key, in rows: inout [Key: Row?]
  ) {
    if rows.count >= limit { rows.removeAll(keepingCapacity: true) }
    rows.updateValue(row, forKey: key)
  }
}
