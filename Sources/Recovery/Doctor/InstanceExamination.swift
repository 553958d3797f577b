internal import Cells
internal import Journal

/// Compares `instance_mappings` with the rows of all cells: both in the order of UUIDs, page by page.
///
/// What looks wrong is looked at again before it is believed: in a running cloud the cells are read
/// later than the API database. Memory doesn't grow with the cloud.
struct InstanceExamination {
  private let source: NovaAPIDatabase
  private let reopen: () throws(AdoptionError) -> NovaAPIDatabase
  private let readings: [UInt64: CellReading]
  private let order: [UInt64]
  private let cellsWithShadows: Set<UInt64>
  private(set) var cells: DoctorCells
  /// What was found of each cell whose database was read; `newestMapped` is that of the newest mapping
  /// without a row that wasn't queued for delete.
  private(set) var tallies: [UInt64: CellTally] = [:]
  /// Mappings without a row that weren't queued for delete, by the cells that they name.
  private(set) var missing: [UInt64: UInt64] = [:]
  /// Rows whose UUIDs can't be read, by cell.
  private(set) var malformed: [UInt64: UInt64] = [:]
  private var suspects: [InstanceID] = []
  private var nulls: [DoctorFinding.Kind: UInt64] = [:]

  private static let pageRows = 2000
  /// Instances that are looked at again together.
  private static let suspectsAtOnce = 500

  init(
    _ source: NovaAPIDatabase, reopen: @escaping () throws(AdoptionError) -> NovaAPIDatabase,
    _ readings: [UInt64: CellReading], withShadows: Set<UInt64>, _ cells: DoctorCells
  ) {
    self.source = source
    self.reopen = reopen
    self.readings = readings
    order = readings.keys.sorted()
    cellsWithShadows = withShadows
    self.cells = cells
  }

  typealias Sink = (DoctorFinding) -> Void

  mutating func run(
    _ report: inout DoctorReport, progress: (UInt64) -> Void, found: Sink
  ) throws(AdoptionError) {
    for number in order { readings[number]?.begin() }
    var last: ByteText?
    repeat {
      let page = try source.instances(after: last, limit: Self.pageRows)
      for row in page { try take(row, &report, found) }
      report.mappings += UInt64(page.count)
      progress(report.mappings)
      last = page.count < Self.pageRows ? nil : page.last?.uuid
    } while last != nil
    try takeUnmapped(before: nil, &report, found)
    try lookAgain(&report, found)
    tellNulls(found)
  }

  // MARK: Merging

  private mutating func take(
    _ row: NovaInstanceRow, _ report: inout DoctorReport, _ found: Sink
  ) throws(AdoptionError) {
    if row.isMarker {
      return found(
        DoctorFinding(
          .markerRow, .instance(row.uuid.string),
          "instance_mappings row \(row.number) of project \(row.project)",
          // map_instances goes on from its marker, in the cell that it hasn't mapped yet.
          fix: [.api("DELETE FROM instance_mappings WHERE id = \(row.number);")],
          relyingOn: .allRead))
    }
    if let number = row.cellNumber { tallies[cells.home(number), default: CellTally()].mapped += 1 }
    if row.queuedForDelete == nil { nulls[.nullQueuedForDelete, default: 0] += 1 }
    if row.user == nil { nulls[.nullUser, default: 0] += 1 }
    guard let id = InstanceID(row.uuid.string), id.description == row.uuid.string else {
      return found(malformed(row))
    }
    try takeUnmapped(before: id, &report, found)
    var entry = InstanceCase(id: id, mapping: row)
    for number in order {
      guard let reading = readings[number], let trace = current(reading, number, found),
        trace.id == id
      else { continue }
      entry.rows.append((number, trace))
      reading.advance()
    }
    try judge(entry, &report, found)
  }

  private func malformed(_ row: NovaInstanceRow) -> DoctorFinding {
    let meant = InstanceID(row.uuid.string)
    let statement =
      meant.map { "UPDATE instance_mappings SET instance_uuid = '\($0)'" }
      ?? "DELETE FROM instance_mappings"
    let whole = row.cellNumber.map { Reliance.whole([cells.home($0)]) } ?? .allWhole
    return DoctorFinding(
      .malformedUUID, .instance(row.uuid.string), "instance_mappings row \(row.number)",
      fix: [.api("\(statement) WHERE id = \(row.number);")],
      relyingOn: meant == nil ? whole : .nothing)
  }

  /// Takes the rows of cells that come before a mapping, or all that are left.
  private mutating func takeUnmapped(
    before limit: InstanceID?, _ report: inout DoctorReport, _ found: Sink
  ) throws(AdoptionError) {
    while true {
      var least: InstanceID?
      for number in order {
        guard let reading = readings[number], let trace = current(reading, number, found)
        else { continue }
        least = min(least ?? trace.id, trace.id)
      }
      guard let least, limit.map({ least < $0 }) ?? true else { return }
      var entry = InstanceCase(id: least)
      for number in order {
        guard let reading = readings[number], let trace = current(reading, number, found),
          trace.id == least
        else { continue }
        entry.rows.append((number, trace))
        reading.advance()
      }
      // Nova's own upgrade leaves such a row in every cell.
      if !least.isNovaMarker { try judge(entry, &report, found) }
    }
  }

  private mutating func current(
    _ reading: CellReading, _ number: UInt64, _ found: Sink
  ) -> InstanceTrace? {
    let label = cells.label(number)
    var unread: UInt64 = 0
    let trace = reading.current { texts in
      unread += UInt64(texts.count)
      for text in texts {
        found(
          DoctorFinding(
            .malformedUUID, .instance(text), cells: cells.cells[number].map { [$0.id] } ?? [],
            "a row of instances in \(label)", fix: [.cell(label, Self.mend(text))]))
      }
    }
    if unread > 0 { malformed[number, default: 0] += unread }
    noteFailure(of: reading, number)
    return trace
  }

  /// A UUID in capitals is a server's; what is none is nobody's, unless a guest runs by it.
  private static func mend(_ text: String) -> String {
    let place = "WHERE uuid = \(sqlLiteral(text));"
    guard let id = InstanceID(text) else {
      return "DELETE FROM instances \(place)  -- if no guest runs by that name"
    }
    return "UPDATE instances SET uuid = '\(id)' \(place)"
  }

  private mutating func noteFailure(of reading: CellReading, _ number: UInt64) {
    if let why = reading.failure, !cells.unread.contains(number) { cells.fail(number, why) }
  }

  private mutating func judge(
    _ entry: InstanceCase, _ report: inout DoctorReport, _ found: Sink
  ) throws(AdoptionError) {
    switch entry.verdict(cells) {
    case .fine: return
    case .undecided: report.undecided += 1
    case .finding:
      suspects.append(entry.id)
      if suspects.count == Self.suspectsAtOnce { try lookAgain(&report, found) }
    }
  }

  // MARK: Looking again

  /// Reads everything about the suspects anew, and tells what is still wrong.
  private mutating func lookAgain(
    _ report: inout DoctorReport, _ found: Sink
  ) throws(AdoptionError) {
    guard !suspects.isEmpty else { return }
    let ids = suspects
    suspects = []
    let now = try reopen()
    let mappings = try now.instances(among: ids)
    let building = try now.buildRequests(among: ids)
    var entries = Dictionary(
      uniqueKeysWithValues: ids.map {
        ($0, InstanceCase(id: $0, mapping: mappings[$0], hasBuildRequest: building.contains($0)))
      })
    for (number, traces) in answers({ (connection) throws(CellError) in
      try connection.traces(of: ids)
    }) {
      for trace in traces { entries[trace.id]?.rows.append((number, trace)) }
    }
    let without = ids.filter { entries[$0]?.rows.isEmpty ?? false }
    if !without.isEmpty {
      for (_, archived) in answers(
        of: cellsWithShadows,
        { (connection) throws(CellError) in
          try connection.archived(among: without)
        })
      {
        for id in archived { entries[id]?.isArchived = true }
      }
    }
    for id in ids {
      switch entries[id]?.verdict(cells) {
      // What is being built looked wrong only for want of asking.
      case .fine?, nil: report.settled += building.contains(id) ? 0 : 1
      case .undecided?: report.undecided += 1
      case .finding(let finding)?:
        if finding.kind == .rowMissing { noteMissing(entries[id]?.mapping) }
        found(finding)
      }
    }
  }

  /// What was queued for delete is gone sooner or later; what wasn't shows that a database isn't whole.
  private mutating func noteMissing(_ mapping: NovaInstanceRow?) {
    guard let mapping, mapping.queuedForDelete != true, let number = mapping.cellNumber else {
      return
    }
    let home = cells.home(number)
    missing[home, default: 0] += 1
    let newest = tallies[home]?.newestMapped
    tallies[home, default: CellTally()].newestMapped = CellTally.later(newest, mapping.createdAt)
  }

  /// What all cells that can be read, or some of them, answer, asked at once.
  private mutating func answers<Answer: Sendable>(
    of some: Set<UInt64>? = nil,
    _ body: @escaping @Sendable (CellConnection) throws(CellError) -> Answer
  ) -> [(UInt64, Answer)] {
    let asked = order.filter { some?.contains($0) ?? true }.compactMap { number in
      readings[number].flatMap { reading in
        reading.failure == nil ? (number, reading, reading.ask(body)) : nil
      }
    }
    var answers: [(UInt64, Answer)] = []
    for (number, reading, question) in asked {
      if let answer = reading.answer(question) { answers.append((number, answer)) }
      noteFailure(of: reading, number)
    }
    return answers
  }

  private func tellNulls(_ found: Sink) {
    for kind in [DoctorFinding.Kind.nullQueuedForDelete, .nullUser] {
      guard let count = nulls[kind] else { continue }
      let column = kind == .nullUser ? "user_id" : "queued_for_delete"
      found(
        DoctorFinding(
          kind, .rows(table: "instance_mappings"),
          "\(count) rows have NULL in \(column); every cell must be up for the migration",
          fix: [.shell("nova-manage db online_data_migrations")], count: count))
    }
  }
}
