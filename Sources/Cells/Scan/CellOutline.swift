public import Journal

/// What is looked at before a cell is read from beginning to end.
public struct CellOutline: Sendable {
  /// The last `id` of `instances`; nil if it has none.
  public let lastRow: Int64?
  /// The revision of its schema; nil where the table of it is missing or may not be read.
  public let schema: ByteText?

  /// Whether Nova 2023.1 to 34 has such a schema; also true of one that isn't known.
  public var isKnownSchema: Bool { schema.map { Self.schemas.contains($0) } ?? true }

  /// The revisions of Nova's main database, from its first in alembic to that of 34.
  private static let schemas: Set<ByteText> = [
    "8f2f1571d55b", "16f1fbcab42b", "1b91788ec3a6", "ccb0fa1a2252", "960aac0e09ea",
    "1acf2c98e646", "13863f4e1612", "d60bddf7a903", "2903cd72dc14", "ab450ba04102",
  ]
}

extension CellConnection {
  /// How far a scan will have to go, and through which schema.
  public func outline() throws(CellError) -> CellOutline {
    var lastRow: Int64?
    let last = SQLQuery(dialect, on: .instances, "SELECT max(id) FROM instances")
    try forEachRow(of: last) { (row) throws(DatabaseError) in
      lastRow = try row.integerIfPresent(0)
    }
    return CellOutline(lastRow: lastRow, schema: try schema())
  }

  private func schema() throws(CellError) -> ByteText? {
    var schema: ByteText?
    let query = SQLQuery(
      dialect, on: .alembicVersion, "SELECT version_num FROM alembic_version")
    do throws(CellError) {
      try forEachRow(of: query) { (row) throws(DatabaseError) in schema = try row.text(0) }
    } catch .notACell, .database(_, .permissionDenied) {
      return nil
    }
    return schema
  }
}
