internal import Journal
internal import Projections

/// Which of Nova's columns a cell's database has, and how a row is read by them.
struct SQLiteCellSchema {
  /// What routes, scans and identity read, and every release from 2023.1 to 34 has.
  static let needed: [(table: String, columns: [String])] = [
    (
      "instances",
      [
        "id", "uuid", "host", "node", "vm_state", "task_state", "deleted", "project_id", "user_id",
        "display_name", "created_at", "updated_at", "deleted_at", "launched_at",
      ]
    ),
    ("services", ["id", "uuid", "host", "binary", "deleted"]),
    ("compute_nodes", ["id", "uuid", "host", "hypervisor_hostname", "deleted"]),
  ]

  /// `instances.hidden`, which the oldest schemas lack.
  let hasHidden: Bool

  /// - Throws: `notACell` naming the first table or column that is missing.
  init(of connection: SQLiteConnection, cell: CellID) throws(CellError) {
    var instanceColumns: Set<ByteText> = []
    for (table, columns) in Self.needed {
      let found = try Self.columns(of: table, in: connection, cell: cell)
      if found.isEmpty { throw .notACell(cell: cell, missing: "table \(table)") }
      for column in columns where !found.contains(ByteText(column)) {
        throw .notACell(cell: cell, missing: "column \(table).\(column)")
      }
      if table == "instances" { instanceColumns = found }
    }
    hasHidden = instanceColumns.contains("hidden")
  }

  private static func columns(
    of table: String, in connection: SQLiteConnection, cell: CellID
  ) throws(CellError) -> Set<ByteText> {
    do throws(ProjectionError) {
      let statement = try connection.prepare("PRAGMA table_info(\(table))")
      var names: Set<ByteText> = []
      while try statement.step() { names.insert(try statement.text(1)) }
      return names
    } catch {
      throw CellError(error, of: cell, table: table)
    }
  }

  var placementSQL: String {
    "SELECT host, vm_state, task_state, deleted, \(hidden) FROM instances WHERE uuid = ?1"
  }

  var instanceSQL: String {
    "SELECT host, vm_state, task_state, deleted, \(hidden), node, display_name, project_id, "
      + "user_id, created_at, updated_at, deleted_at, launched_at FROM instances WHERE uuid = ?1"
  }

  private var hidden: String { hasHidden ? "hidden" : "0 AS hidden" }

  @inline(__always)
  func placement(in row: SQLiteCellRow) throws(CellError) -> InstancePlacement {
    let host = try row.text(0)
    return InstancePlacement(
      // Nova takes an empty host for none.
      host: host == "" ? nil : host, vmState: try row.text(1), taskState: try row.text(2),
      isDeleted: try row.integer(3) != 0, isHidden: try row.flag(4) ?? false)
  }

  func instance(_ id: InstanceID, in row: SQLiteCellRow) throws(CellError) -> CellInstance {
    CellInstance(
      id: id, placement: try placement(in: row), node: try row.text(5),
      displayName: try row.text(6), project: try row.text(7), user: try row.text(8),
      createdAt: try row.time(9), updatedAt: try row.time(10), deletedAt: try row.time(11),
      launchedAt: try row.time(12))
  }
}

/// The current row of a statement on a cell's table; a value of another type than Nova's throws
/// `badValue` with the names of table and column.
struct SQLiteCellRow {
  let statement: SQLiteStatement
  let cell: CellID
  let table: StaticString

  @inline(__always)
  func integer(_ column: Int) throws(CellError) -> Int64 {
    do throws(ProjectionError) { return try statement.integer(column) } catch {
      throw failure(error)
    }
  }

  @inline(__always)
  func flag(_ column: Int) throws(CellError) -> Bool? {
    do throws(ProjectionError) { return try statement.flagIfPresent(column) } catch {
      throw failure(error)
    }
  }

  @inline(__always)
  func text(_ column: Int) throws(CellError) -> ByteText? {
    do throws(ProjectionError) { return try statement.textIfPresent(column) } catch {
      throw failure(error)
    }
  }

  func time(_ column: Int) throws(CellError) -> Timestamp? {
    guard let text = try text(column) else { return nil }
    guard let time = Timestamp(text.string) else {
      throw badValue(column, "text that is no time")
    }
    return time
  }

  func uuid(_ column: Int) throws(CellError) -> UUID128? {
    guard let text = try text(column) else { return nil }
    guard let uuid = UUID128(text.string) else { throw badValue(column, "text that is no UUID") }
    return uuid
  }

  private func badValue(_ column: Int, _ found: String) -> CellError {
    .badValue(
      cell: cell, column: "\(table).\(statement.columnName(column))", found: found)
  }

  @inline(never)
  private func failure(_ error: ProjectionError) -> CellError {
    CellError(error, of: cell, table: table.description)
  }
}
