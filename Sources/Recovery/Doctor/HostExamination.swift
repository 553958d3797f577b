internal import Cells
internal import Journal

/// Compares `host_mappings` with the compute nodes and nova-compute services of the cells.
struct HostExamination {
  let cells: DoctorCells
  /// The hosts of the cells that were read, by the cells' numbers.
  let found: [UInt64: [CellHost]]

  /// What is wrong with the hosts; those that are in one place and mapped there are left out.
  func findings(_ rows: [NovaHostRow]) -> [DoctorFinding] {
    var owners: [ByteText: [UInt64]] = [:]
    var findings: [DoctorFinding] = []
    let mapped = Dictionary(rows.map { ($0.host, $0) }) { first, _ in first }
    for (number, hosts) in found.sorted(by: { $0.key < $1.key }) {
      for host in hosts {
        if cells.cells[number]?.id == .cell0 {
          findings.append(inCell0(host, number))
        } else {
          owners[host.name, default: []].append(number)
        }
      }
    }
    for (host, numbers) in owners.sorted(by: { $0.key < $1.key }) {
      // Which of several has it is for an operator to say, not for a discovery in one of them.
      if numbers.count > 1 {
        findings.append(twins(host, numbers, mapped[host]))
      } else if mapped[host] == nil, let number = numbers.first {
        findings.append(unmapped(host, number))
      }
    }
    for row in rows {
      if let finding = judge(row, owners[row.host] ?? []) { findings.append(finding) }
    }
    return findings
  }

  /// How many hosts are mapped to each cell that was read and has none at all.
  func hostless(_ rows: [NovaHostRow]) -> [UInt64: Int] {
    var counts: [UInt64: Int] = [:]
    for row in rows where found[cells.home(row.cellNumber)]?.isEmpty == true {
      counts[cells.home(row.cellNumber), default: 0] += 1
    }
    return counts
  }

  private func judge(_ row: NovaHostRow, _ owners: [UInt64]) -> DoctorFinding? {
    guard let cell = cells.cells[row.cellNumber] else {
      if cells.unread.contains(row.cellNumber) { return nil }
      return finding(
        .unknownCell, row.host, owners,
        "mapped to a cell number \(row.cellNumber) that isn't there",
        [.api("DELETE FROM host_mappings WHERE id = \(row.number);")]
          + owners.prefix(1).map(discover), relyingOn: owners.isEmpty ? .allWhole : .nothing)
    }
    if owners.contains(cells.home(row.cellNumber)) || !cells.isRead(row.cellNumber) { return nil }
    let remove = DoctorFinding.Step.shell(
      "nova-manage cell_v2 delete_host --cell_uuid \(cell.id) --host \(shellWord(row.host.string))")
    guard let owner = owners.first else {
      return finding(
        .ghostHost, row.host, [row.cellNumber],
        "mapped to \(cell.label), which has neither compute node nor nova-compute of it", [remove],
        relyingOn: .allWhole)
    }
    return finding(
      .hostInWrongCell, row.host, [row.cellNumber, owner],
      "mapped to \(cell.label), and \(cells.label(owner)) has it", [remove, discover(owner)],
      relyingOn: .whole([cells.home(row.cellNumber)]))
  }

  private func twins(
    _ host: ByteText, _ numbers: [UInt64], _ row: NovaHostRow?
  ) -> DoctorFinding {
    let labels = numbers.map(cells.label).joined(separator: " and ")
    let kept = row.map { "it is mapped to \(cells.label($0.cellNumber))" } ?? "it is mapped to none"
    return finding(
      .twinHost, host, numbers, "\(labels) have it; \(kept)",
      [
        .shell(
          "# on the machine that is to have another name: [DEFAULT] host = NEWNAME in nova.conf; restart "
            + "nova-compute; in the old name's cell delete its service"),
        .shell("nova-manage cell_v2 discover_hosts --by-service"),
      ])
  }

  private func unmapped(_ host: ByteText, _ number: UInt64) -> DoctorFinding {
    let entry = found[number]?.first { $0.name == host }
    guard entry?.service == nil else {
      return finding(
        .unmappedHost, host, [number], "\(cells.label(number)) has it, and it isn't mapped",
        [discover(number)])
    }
    let uuid = cells.cells[number]?.id.description ?? "UUID"
    return finding(
      .unmappedHost, host, [number],
      "\(cells.label(number)) has a compute node of it and no nova-compute, and it isn't mapped",
      [
        .cell(
          cells.label(number),
          "UPDATE compute_nodes SET mapped = 0 WHERE host = \(sqlLiteral(host.string)) "
            + "AND deleted = 0;"),
        .shell("nova-manage cell_v2 discover_hosts --cell_uuid \(uuid)"),
      ])
  }

  private func inCell0(_ host: CellHost, _ number: UInt64) -> DoctorFinding {
    let name = sqlLiteral(host.name.string)
    return finding(
      .hostInCell0, host.name, [number], "its compute service or node is in cell0's database",
      [
        .shell("# on that machine: [database] connection of its own cell in nova.conf; restart"),
        .cell(
          cells.label(number),
          "UPDATE services SET deleted = id WHERE host = \(name) AND deleted = 0;"),
        .cell(
          cells.label(number),
          "UPDATE compute_nodes SET deleted = id WHERE host = \(name) AND deleted = 0;"),
      ])
  }

  /// By service, for a node that some map once had isn't discovered again.
  private func discover(_ number: UInt64) -> DoctorFinding.Step {
    let uuid = cells.cells[number]?.id.description ?? "UUID"
    return .shell("nova-manage cell_v2 discover_hosts --by-service --cell_uuid \(uuid)")
  }

  private func finding(
    _ kind: DoctorFinding.Kind, _ host: ByteText, _ numbers: [UInt64], _ detail: String,
    _ fix: [DoctorFinding.Step], relyingOn reliance: Reliance = .nothing
  ) -> DoctorFinding {
    DoctorFinding(
      kind, .host(host), cells: numbers.compactMap { cells.cells[$0]?.id }, detail, fix: fix,
      relyingOn: reliance)
  }
}
