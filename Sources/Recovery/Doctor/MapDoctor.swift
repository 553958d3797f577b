internal import Cells
public import Journal
public import Router

/// Examines the map that a Nova cloud has: its API database against the cells that it names.
///
/// Needs no store and writes nothing. Every cell is asked at once, and none is waited for longer than
/// `patience` at a time: one that is down is named, and what depends on it is left undecided.
public struct MapDoctor {
  private let base: AddressBase
  private let patience: Duration
  let notRestored: Set<CellID>
  private let open: () throws(AdoptionError) -> NovaAPIDatabase

  /// - Parameters:
  ///   - base: What this controller fills templates in from.
  ///   - patience: How long one answer of a cell may take.
  ///   - notRestored: Cells that look restored or empty, and are whole.
  ///   - open: Opens the API database; called again to look at what seemed wrong.
  public init(
    base: AddressBase, patience: Duration, notRestored: Set<CellID> = [],
    open: @escaping () throws(AdoptionError) -> NovaAPIDatabase
  ) {
    self.base = base
    self.patience = patience
    self.notRestored = notRestored
    self.open = open
  }

  /// Hands out each finding as it is made, and returns their counts.
  ///
  /// Blocks for as long as reading every cell takes; memory doesn't grow with the cloud, but with its
  /// cells and hosts.
  ///
  /// - Parameters:
  ///   - progress: Is told how many mappings have been compared.
  /// - Throws: `unreadable` and `notNovaAPI` of the API database; a cell's failure is in the report.
  public func examine(
    progress: (_ mappings: UInt64) -> Void = { _ in }, _ found: (DoctorFinding) -> Void
  ) throws(AdoptionError) -> DoctorReport {
    let source = try open()
    var report = DoctorReport(database: source.publicForm, snapshotAt: source.snapshotAt)
    var counts: [DoctorFinding.Kind: UInt64] = [:]
    let held = HeldFindings()
    func tell(_ finding: DoctorFinding) {
      counts[finding.kind, default: 0] += finding.count
      found(finding)
    }
    func count(_ finding: DoctorFinding) {
      if let finding = held.hold(finding) { tell(finding) }
    }
    var cells = DoctorCells(try source.cells(), base: base, found: count)
    cells.checkNames(within: patience, found: count)
    let readings = readings(of: &cells)
    let censuses = takeCensuses(readings, &cells, found: count)
    let own = readings.filter { censuses[$0.key] != nil && cells.aliases[$0.key] == nil }
    let withShadows = Set(censuses.filter { $0.value.hasShadows }.keys)
    var instances = InstanceExamination(
      source, reopen: open, own, withShadows: withShadows, cells)
    try instances.run(&report, progress: progress, found: count)
    let hosts = HostExamination(
      cells: instances.cells, found: censuses.filter { own[$0.key] != nil }.mapValues(\.hosts))
    let rows = try allHosts(source)
    try examine(hosts, rows, &report, found: count)
    let trust = trust(
      after: instances, own, withShadows: withShadows, hostless: hosts.hostless(rows))
    held.tell(trust, tell)
    report.counts = counts
    report.cells = instances.cells.cells.values.sorted { $0.number < $1.number }.map { cell in
      DoctorReport.Cell(
        id: cell.id, name: cell.name, instances: own[cell.number]?.rowCount ?? 0,
        failure: cell.failure,
        sharedWith: instances.cells.aliases[cell.number].flatMap { instances.cells.cells[$0]?.id },
        doubt: trust.doubts[cell.number])
    }
    return report
  }

  // MARK: Cells

  private func readings(of cells: inout DoctorCells) -> [UInt64: CellReading] {
    var readings: [UInt64: CellReading] = [:]
    for cell in cells.toRead {
      guard let address = cell.database else { continue }
      do throws(CellError) {
        let location = try CellDatabaseLocation(address, of: cell.id, relativeTo: base.folder)
        readings[cell.number] = CellReading(cell.id, at: location, patience: patience)
      } catch {
        cells.fail(cell.number, error.description)
      }
    }
    return readings
  }

  private struct Census: Sendable {
    let hosts: [CellHost]
    let identity: Set<UUID128>
    /// What stands for a UUID and is none, in `services` and `compute_nodes`.
    let malformed: [(source: IdentitySource, text: ByteText)]
    var hasShadows = false
  }

  /// What the cells have besides instances. Two in which the same services or nodes report are one
  /// database under two addresses.
  private func takeCensuses(
    _ readings: [UInt64: CellReading], _ cells: inout DoctorCells, found: (DoctorFinding) -> Void
  ) -> [UInt64: Census] {
    let asked = readings.sorted { $0.key < $1.key }.map { number, reading in
      let census = reading.ask { (connection) throws(CellError) in
        var malformed: [(source: IdentitySource, text: ByteText)] = []
        let identity = try connection.identity { malformed.append(($0, $1)) }
        return Census(
          hosts: try connection.computeHosts(),
          identity: Set(identity.services + identity.computeNodes), malformed: malformed)
      }
      let shadows = reading.ask { (connection) throws(CellError) in
        try connection.readShadows()
      }
      return (number, reading, census, shadows)
    }
    var censuses: [UInt64: Census] = [:]
    var owners: [UUID128: UInt64] = [:]
    for (number, reading, census, shadows) in asked {
      // Without the table, or the right to read it, what is missing isn't known to be archived.
      let hasShadows = reading.answer(shadows) { error in
        switch error {
        case .notACell, .database(_, .permissionDenied): false
        default: nil
        }
      }
      guard var answer = reading.answer(census), let hasShadows else {
        cells.fail(number, reading.failure ?? "it did not answer")
        continue
      }
      answer.hasShadows = hasShadows
      censuses[number] = answer
      if let first = answer.identity.compactMap({ owners[$0] }).min() {
        cells.share(number, with: first, found: found)
      } else {
        for uuid in answer.identity { owners[uuid] = number }
        for (source, text) in answer.malformed {
          found(cells.malformedUUID(text, in: source, of: number))
        }
      }
    }
    return censuses
  }

  // MARK: Hosts

  /// What was mapped or unmapped while the cells were read is no finding.
  private func examine(
    _ hosts: HostExamination, _ rows: [NovaHostRow], _ report: inout DoctorReport,
    found: (DoctorFinding) -> Void
  ) throws(AdoptionError) {
    report.hosts = UInt64(rows.count)
    let findings = hosts.findings(rows)
    if findings.isEmpty { return }
    let now = try open()
    for finding in findings {
      if case .host(let host) = finding.subject,
        finding.kind == .ghostHost
          ? try !now.hasHost(host)
          : finding.kind == .unmappedHost ? try now.hasHost(host) : false
      {
        report.settled += 1
      } else {
        found(finding)
      }
    }
  }

  private func allHosts(_ source: NovaAPIDatabase) throws(AdoptionError) -> [NovaHostRow] {
    var rows: [NovaHostRow] = []
    var last: ByteText?
    repeat {
      let page = try source.hosts(after: last, limit: 1000)
      rows += page
      last = page.last?.host
    } while last != nil
    return rows
  }
}

extension CellConnection {
  /// Returns true if the database has Nova's table of archived instances, and it may be read.
  fileprivate func readShadows() throws(CellError) -> Bool {
    let query = SQLQuery(
      dialect, on: .shadowInstances, "SELECT uuid FROM shadow_instances LIMIT 1")
    try forEachRow(of: query) { (_) throws(DatabaseError) in }
    return true
  }
}
