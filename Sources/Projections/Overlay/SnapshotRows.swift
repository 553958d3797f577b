internal import Journal

/// Rows of an index as its open snapshot has them, each read from the file once: the rules ask for
/// a row, and folding in the entry that they decide on asks for it again.
///
/// Belongs to one thread at a time; its owner says when the snapshot moves.
final class SnapshotRows<Index: MapLookup>: MapLookup {
  /// Rows of one kind that are kept; beyond it all are forgotten.
  private static var limit: Int { 4_096 }

  private let index: Index
  private var cells: [CellID: CellRow?] = [:]
  private var instances: [InstanceID: InstanceRow?] = [:]
  private var requests: [RequestID: RequestRow?] = [:]

  init(of index: Index) { self.index = index }

  /// Forgets all rows: the snapshot has moved.
  func forget() {
    cells.removeAll(keepingCapacity: true)
    instances.removeAll(keepingCapacity: true)
    requests.removeAll(keepingCapacity: true)
  }

  func cell(_ id: CellID) throws(ProjectionError) -> CellRow? {
    if let known = cells[id] { return known }
    let row = try index.cell(id)
    Self.keep(row, under: id, in: &cells)
    return row
  }

  func instance(_ id: InstanceID) throws(ProjectionError) -> InstanceRow? {
    if let known = instances[id] { return known }
    let row = try index.instance(id)
    Self.keep(row, under: id, in: &instances)
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
  func departure(of entity: EntityKey) throws(ProjectionError) -> UInt64? {
    try index.departure(of: entity)
  }

  private static func keep<Key: Hashable, Row>(
    _ row: Row?, under key: Key, in rows: inout [Key: Row?]
  ) {
    if rows.count >= limit { rows.removeAll(keepingCapacity: true) }
    rows.updateValue(row, forKey: key)
  }
}
