internal import Cells
internal import Journal

/// What of an instance's row in a cell bears on its mapping.
struct InstanceTrace: Hashable, Sendable {
  let id: InstanceID
  let isDeleted: Bool
  let isHidden: Bool
}

/// The next rows of a cell's `instances`, in the order of their UUIDs.
struct TracePage: Sendable {
  var traces: [InstanceTrace] = []
  /// Texts in the column of UUIDs that aren't any.
  var malformed: [String] = []
  /// When the newest of them was made.
  var newest: Timestamp?
  /// The last text of the page, after which the next one begins.
  var last: ByteText?
  var count = 0
}

extension CellConnection {
  private var traceColumns: String {
    "uuid, deleted, \(hasHidden ? "hidden" : "0 AS hidden"), created_at"
  }

  private func trace(_ row: SQLRow, _ id: InstanceID) throws(DatabaseError) -> InstanceTrace {
    InstanceTrace(
      id: id, isDeleted: try row.integerIfPresent(1) ?? 0 != 0,
      isHidden: try row.flag(2) ?? false)
  }

  /// A page by key. Texts that are no UUIDs have whatever place the database gives them: those that
  /// are come in the order of their values among themselves.
  func traces(after last: ByteText?, limit: Int) throws(CellError) -> TracePage {
    var query = SQLQuery(dialect, on: .instances, "SELECT \(traceColumns) FROM instances ")
    let uuid = try uuidOrder()
    if let last { query.append("WHERE \(uuid) > \(query.bind(.text(last))) ") }
    query.append("ORDER BY \(uuid) LIMIT \(limit)")
    var page = TracePage()
    try forEachRow(of: query) { (row) throws(DatabaseError) in
      let text = try row.requiredText(0)
      page.count += 1
      page.last = text
      // A time that isn't one says nothing; the row counts all the same.
      let time = try row.text(3).flatMap { Timestamp($0.string) }
      page.newest = CellTally.later(page.newest, time)
      if let id = InstanceID(text.string), id.description == text.string {
        page.traces.append(try trace(row, id))
      } else {
        page.malformed.append(text.string)
      }
    }
    return page
  }

  /// The rows of some instances.
  func traces(of instances: [InstanceID]) throws(CellError) -> [InstanceTrace] {
    var traces: [InstanceTrace] = []
    try forEachRow(of: query(traceColumns, of: instances, on: .instances)) {
      (row) throws(DatabaseError) in
      guard let id = InstanceID(try row.requiredText(0).string) else { return }
      traces.append(try trace(row, id))
    }
    return traces
  }

  /// Those of the instances whose rows were archived.
  func archived(among instances: [InstanceID]) throws(CellError) -> Set<InstanceID> {
    var found: Set<InstanceID> = []
    try forEachRow(of: query("uuid", of: instances, on: .shadowInstances)) {
      (row) throws(DatabaseError) in
      if let id = try row.text(0).flatMap({ InstanceID($0.string) }) { found.insert(id) }
    }
    return found
  }

  private func query(_ columns: String, of instances: [InstanceID], on table: NovaTable) -> SQLQuery
  {
    var query = SQLQuery(dialect, on: table, "SELECT \(columns) FROM \(table) WHERE uuid IN (")
    let values = instances.map { query.bind(.text(ByteText($0.description))) }
    query.append(values.joined(separator: ", ") + ")")
    return query
  }
}
