import Journal
import Recovery
import Router
import TestServers
import TestSupport
import Testing

/// The doctor on servers: the same findings as on files.
@Suite(
  .enabled(
    if: TestServer.areInstalled,
    "MariaDB or PostgreSQL isn't installed; tools/setup --servers installs both"))
struct DoctorServerTests {
  @Test(arguments: ServerEngine.allCases)
  func `finds in servers' databases what it finds in files`(_ engine: ServerEngine) throws {
    let api = try NovaServerDatabase.makeAPI(on: .shared(engine))
    let cells = try [0, 1, 2].map { _ in try NovaServerDatabase.makeCell(on: .shared(engine)) }
    try grant(api, "CREATE TABLE build_requests (instance_uuid VARCHAR(36))", "build_requests")
    for (number, file) in cells.enumerated() {
      try grant(file, "CREATE TABLE shadow_instances (uuid VARCHAR(36))", "shadow_instances")
      let id = number == 0 ? CellID.cell0 : cell(number)
      let queue = number == 0 ? "none:///" : "rabbit://nova:s3cret@127.0.0.1/"
      let address = try #require(file.text().exposedText())
      try api.add(
        to: "cell_mappings",
        [
          "id": "\(number + 1)", "uuid": quoted("\(id)"), "name": quoted("cell\(number)"),
          "database_connection": quoted(address), "transport_url": quoted(queue),
          "disabled": "FALSE",
        ])
    }
    try cells[1].addHost(
      "Host", service: UUID128(high: 0x7000, low: 1), node: UUID128(high: 0x7001, low: 1))
    // MariaDB takes the two names for one; Nova's services don't.
    try api.add(to: "host_mappings", ["id": "1", "host": "'host'", "cell_id": "2"])
    func map(_ number: Int, _ uuid: String, to cell: Int?) throws {
      try api.add(
        to: "instance_mappings",
        [
          "id": "\(number)", "instance_uuid": quoted(uuid),
          "cell_id": cell.map { "\($0)" } ?? "NULL", "project_id": "'p'", "user_id": "'u'",
          "queued_for_delete": "FALSE",
        ])
    }
    for number in 1...6 { try map(number, "\(instance(number))", to: number == 4 ? nil : 2) }
    for number in [1, 6] { try cells[1].add(instance(number)) }
    try cells[2].add(instance(2))
    try cells[2].add(instance(6))
    try cells[1].execute("INSERT INTO shadow_instances VALUES ('\(instance(5))')")
    try cells[2].add(to: "instances", ["uuid": "'no uuid'", "deleted": "0"])
    try cells[2].add(instance(7), ["hidden": "TRUE"])
    try map(8, "\(instance(8))", to: nil)
    try api.execute("INSERT INTO build_requests VALUES ('\(instance(8))')")
    let address = try api.address()
    let doctor = MapDoctor(
      base: AddressBase(folder: "/"), patience: .seconds(20)
    ) { () throws(AdoptionError) in try NovaAPIDatabase(address, relativeTo: "/") }
    var findings: [DoctorFinding] = []
    let report = try doctor.examine { findings.append($0) }
    #expect(report.isComplete, "\(report.cells)")
    #expect(
      report.counts == [
        .wrongCell: 1, .rowMissing: 1, .mappingWithoutBuildRequest: 1, .rowArchived: 1,
        .twoVisibleCopies: 1, .malformedUUID: 1, .loneHiddenCopy: 1, .ghostHost: 1,
        .unmappedHost: 1,
      ], "\(findings)")
    // Its SQL is that of both servers. What may be the row without a UUID isn't told to go before it.
    #expect(findings.first { $0.kind == .rowMissing }?.fix.map(\.place) == [.shell])
    for step in findings.filter({ $0.kind == .malformedUUID }).flatMap(\.fix) {
      try run(step, api, cells)
    }
    findings = []
    _ = try doctor.examine { findings.append($0) }
    for step in findings.flatMap(\.fix) { try run(step, api, cells) }
    let left = try doctor.examine { _ in }.counts
    #expect(left == [.ghostHost: 1, .unmappedHost: 1, .unmappedInstance: 1])
  }

  private func run(
    _ step: DoctorFinding.Step, _ api: NovaServerDatabase, _ cells: [NovaServerDatabase]
  ) throws {
    switch step.place {
    case .shell: break
    case .api: try api.execute(step.text)
    case .cell(let label):
      let number = try #require(label.split(separator: " ").first?.last?.wholeNumberValue)
      try cells[number].execute(step.text)
    }
  }

  private func grant(_ database: NovaServerDatabase, _ sql: String, _ table: String) throws {
    try database.execute(sql)
    if database.server.engine == .postgresql {
      try database.execute("GRANT SELECT ON \(table) TO \(database.user)")
    }
  }
}
