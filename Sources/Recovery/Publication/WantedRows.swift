internal import Cells
internal import Journal
internal import Projections

/// Turns the map's records into the rows that Nova's tables should have, or says why they can't.
struct WantedRows {
  let dialect: SQLDialect
  let keys: KeyRing
  /// The numbers that the target has, or will have, for its cells.
  private(set) var numbers: [CellID: UInt64] = [:]

  init(dialect: SQLDialect, keys: KeyRing) {
    self.dialect = dialect
    self.keys = keys
  }

  /// What Nova writes for cell0, which has no queue; NULL it can't read.
  private static let noQueue = ByteText("none:///")

  mutating func setNumber(_ number: UInt64?, of cell: CellID) { numbers[cell] = number }

  /// The row of whatever a thing is.
  func row(_ entity: EntityKey, _ row: EntityRow) -> WantedRow? {
    switch (entity, row) {
    case (.cell(let id), .cell(let row)): cell(id, row)
    case (.host(let name), .host(let row)): host(name, row)
    case (.instance(let id), .instance(let row)): instance(id, row)
    default: nil
    }
  }

  func cell(_ id: CellID, _ row: CellRow) -> WantedRow {
    let record = row.record
    var problem: String?
    func clear(_ address: SealedAddress?, _ field: AddressField) -> ByteText? {
      guard let address else { return nil }
      do throws(KeyError) {
        guard let text = ByteText(utf8: try keys.open(address, of: id, field)) else {
          problem = "its \(field) address isn't UTF-8"
          return nil
        }
        return text
      } catch {
        problem = error.description
        return nil
      }
    }
    let database = clear(record.database, .database)
    let queue = clear(record.queue, .queue) ?? (id == .cell0 ? Self.noQueue : nil)
    return WantedRow(
      entity: .cell(id), changedAt: row.changedAt, number: record.row.number,
      values: [
        .text(ByteText(id.description)), SQLValue(record.name), SQLValue(queue),
        SQLValue(database), SQLValue(record.disabled),
      ], createdAt: created(record.row), problem: problem)
  }

  func host(_ name: ByteText, _ row: HostRow) -> WantedRow {
    let number = numbers[row.record.cell]
    return WantedRow(
      entity: .host(name), changedAt: row.changedAt, number: row.record.row.number,
      values: [.text(name), SQLValue(number)], createdAt: created(row.record.row),
      problem: number == nil ? Self.withoutCell(row.record.cell) : nil)
  }

  func instance(_ id: InstanceID, _ row: InstanceRow) -> WantedRow {
    let record = row.record
    let number = record.cell.flatMap { numbers[$0] }
    var problem: String?
    if let cell = record.cell, number == nil { problem = Self.withoutCell(cell) }
    if record.owner.project?.clearText == nil {
      problem = "it has no project, and Nova's table can't be without one"
    }
    return WantedRow(
      entity: .instance(id), changedAt: row.changedAt, number: record.row.number,
      values: [
        .text(ByteText(id.description)), SQLValue(number),
        SQLValue(record.owner.project?.clearText), SQLValue(record.owner.user?.clearText),
        SQLValue(record.isQueuedForDelete),
      ], createdAt: created(record.row), problem: problem)
  }

  private static func withoutCell(_ cell: CellID) -> String {
    "its cell \(cell) isn't in the database"
  }

  /// NULL where Nova had NULL; the time of now for a row that no Nova database was seen to have.
  private func created(_ row: NovaRow) -> ByteText? {
    let time = row.createdAt ?? (row.number == nil ? Timestamp.now.inWholeSeconds : nil)
    guard let time, case .text(let text) = dialect.time(time) else { return nil }
    return text
  }
}
