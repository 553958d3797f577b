internal import Cells
internal import Journal
internal import Router

/// The cells that Nova's API database names, by their numbers there, and what is wrong with their
/// addresses.
struct DoctorCells {
  /// A cell of `cell_mappings`.
  struct Cell {
    let number: UInt64
    let id: CellID
    let name: ByteText?
    var database: DatabaseAddress?
    var queue: QueueAddress?
    /// Why its database can't be read.
    var failure: String?

    /// As it is shown to people.
    var label: String { name.map { "\($0) (\(id))" } ?? id.description }
  }

  private(set) var cells: [UInt64: Cell] = [:]
  /// Cells that lead to the database of another, which is read for both.
  private(set) var aliases: [UInt64: UInt64] = [:]
  /// Cells whose database was not read, or not to its end.
  private(set) var unread: Set<UInt64> = []
  private let base: AddressBase

  /// The cells of `rows`; what is wrong with them goes to `found`.
  init(_ rows: [NovaCellRow], base: AddressBase, found: (DoctorFinding) -> Void) {
    self.base = base
    for row in rows {
      guard let id = CellID(row.uuid.string) else {
        unread.insert(row.number)
        found(
          DoctorFinding(
            .malformedUUID, .cell(row.uuid.string),
            "cell_mappings row \(row.number) has no UUID that is one",
            fix: [.shell("nova-manage cell_v2 create_cell, and then move its mappings there")]))
        continue
      }
      let cell = resolved(row, id, found: found)
      cells[row.number] = cell
      if cell.failure != nil { unread.insert(row.number) }
      if row.disabled == nil {
        found(
          DoctorFinding(
            .nullDisabled, .cell(cell.label), cells: [id], "disabled is NULL",
            fix: [
              .api(
                "UPDATE cell_mappings SET disabled = FALSE WHERE id = \(row.number) "
                  + "AND disabled IS NULL;")
            ]))
      }
    }
    if !cells.values.contains(where: { $0.id == .cell0 }) {
      found(
        DoctorFinding(
          .cell0Missing, .cell("cell0"), cells: [.cell0], "cell_mappings has no cell0",
          fix: [
            .shell("nova-manage cell_v2 map_cell0 --database_connection 'ADDRESS OF ITS DATABASE'")
          ]
        ))
    }
    findSharedPlaces(found)
  }

  /// The cells whose databases are to be read, by number; of several with one database the first.
  var toRead: [Cell] {
    cells.values.filter { $0.failure == nil && aliases[$0.number] == nil }
      .sorted { $0.number < $1.number }
  }

  /// The number of the cell with which a cell's database is read.
  func home(_ number: UInt64) -> UInt64 { aliases[number] ?? number }

  func label(_ number: UInt64) -> String { cells[number]?.label ?? "number \(number)" }

  /// Whether a cell's database was read as far as it has been asked for.
  func isRead(_ number: UInt64) -> Bool { !unread.contains(home(number)) }

  mutating func fail(_ number: UInt64, _ why: String) {
    cells[number]?.failure = why
    unread.insert(number)
  }

  /// Takes note that two cells turned out to have one database.
  mutating func share(_ number: UInt64, with first: UInt64, found: (DoctorFinding) -> Void) {
    aliases[number] = first
    guard let cell = cells[number], let other = cells[first] else { return }
    found(
      DoctorFinding(
        .sharedDatabase, .cell(cell.label), cells: [other.id, cell.id],
        "its database is that of \(other.label)", fix: [Self.update(cell)]))
  }

  /// A service or compute node of a cell whose UUID is none.
  func malformedUUID(
    _ text: ByteText, in source: IdentitySource, of number: UInt64
  ) -> DoctorFinding {
    let table = source == .services ? "services" : "compute_nodes"
    return DoctorFinding(
      .malformedUUID, .cell(label(number)), cells: cells[number].map { [$0.id] } ?? [],
      "\(table).uuid holds '\(text)'",
      fix: [
        .cell(
          label(number),
          "UPDATE \(table) SET uuid = 'ITS UUID' WHERE uuid = \(sqlLiteral(text.string)) "
            + "AND deleted = 0;")
      ])
  }

  // MARK: Addresses

  private func resolved(
    _ row: NovaCellRow, _ id: CellID, found: (DoctorFinding) -> Void
  ) -> Cell {
    var cell = Cell(number: row.number, id: id, name: row.name)
    func refuse(_ error: AddressError) -> String {
      found(
        DoctorFinding(
          .addressUnusable, .cell(cell.label), cells: [id], error.description,
          fix: [Self.update(cell)]))
      return error.description
    }
    do throws(AddressError) {
      guard let text = row.database else { throw .empty(.database) }
      cell.database = try DatabaseAddress(
        parsing: AddressField.database.resolved(text, base: base.database))
    } catch {
      cell.failure = refuse(error)
    }
    do throws(AddressError) {
      guard let text = row.queue else { throw .empty(.queue) }
      cell.queue = try QueueAddress(parsing: AddressField.queue.resolved(text, base: base.queue))
    } catch {
      _ = refuse(error)
    }
    if let queue = cell.queue { judge(queue, of: cell, found: found) }
    return cell
  }

  private func judge(_ queue: QueueAddress, of cell: Cell, found: (DoctorFinding) -> Void) {
    switch (cell.id == .cell0, queue.transport == .none) {
    case (true, false):
      found(
        DoctorFinding(
          .cell0Queue, .cell(cell.label), cells: [cell.id],
          "its transport_url is \(queue.publicForm) instead of none:///",
          fix: [
            .api("UPDATE cell_mappings SET transport_url = 'none:///' WHERE id = \(cell.number);")
          ]))
    case (false, true):
      found(
        DoctorFinding(
          .cellWithoutQueue, .cell(cell.label), cells: [cell.id], "its transport_url is none",
          fix: [Self.update(cell)]))
    default: break
    }
  }

  /// Both addresses are named, since `update_cell` replaces the one that isn't by the local
  /// configuration's.
  private static func update(_ cell: Cell) -> DoctorFinding.Step {
    .shell(
      "nova-manage cell_v2 update_cell --cell_uuid \(cell.id) --transport-url 'QUEUE' "
        + "--database_connection 'DATABASE'  # give both: one left out is overwritten")
  }

  private mutating func findSharedPlaces(_ found: (DoctorFinding) -> Void) {
    var owners: [ByteText: UInt64] = [:]
    for cell in cells.values.sorted(by: { $0.number < $1.number }) {
      guard let address = cell.database else { continue }
      let place = address.normalisedLocation(baseDirectory: ByteText(base.folder))
      if let first = owners[place] {
        share(cell.number, with: first, found: found)
      } else {
        owners[place] = cell.number
      }
    }
  }

  /// Names of queues' servers that this machine doesn't find are findings; all are asked at once.
  func checkNames(within patience: Duration, found: (DoctorFinding) -> Void) {
    let deadline = ContinuousClock.now + patience
    var asked: [(cell: Cell, server: ServerAddress, answer: Awaited<Bool>)] = []
    for cell in cells.values.sorted(by: { $0.number < $1.number }) {
      for host in cell.queue?.hosts ?? [] {
        let answer = Awaited<Bool>()
        let server = host.server
        guard OwnThread.start({ answer.give(server.resolves(until: deadline)) }) else { continue }
        asked.append((cell, server, answer))
      }
    }
    for (cell, server, answer) in asked where answer.wait(until: deadline) != true {
      found(
        DoctorFinding(
          .nameUnresolved, .cell(cell.label), cells: [cell.id],
          "\(server.host) of its queue isn't found",
          fix: [.shell("getent hosts \(server.host)  # then mend DNS, /etc/hosts, or the address")])
      )
    }
  }
}

extension DoctorFinding.Step {
  static func shell(_ text: String) -> Self { Self(place: .shell, text: text) }
  static func api(_ text: String) -> Self { Self(place: .api, text: text) }
  static func cell(_ label: String, _ text: String) -> Self {
    Self(place: .cell(label), text: text)
  }
}

/// A text as a literal of SQL, in all three languages.
func sqlLiteral(_ text: String) -> String {
  "'" + text.split(separator: "'", omittingEmptySubsequences: false).joined(separator: "''") + "'"
}

/// A text as one word of a shell.
func shellWord(_ text: String) -> String {
  let isPlain =
    !text.isEmpty
    && text.utf8.allSatisfy { byte in
      switch byte {
      case 0x30...0x39, 0x41...0x5A, 0x61...0x7A: true
      default: "-_.:/".utf8.contains(byte)
      }
    }
  if isPlain { return text }
  return "'"
    + text.split(separator: "'", omittingEmptySubsequences: false).joined(separator: "'\\''") + "'"
}
