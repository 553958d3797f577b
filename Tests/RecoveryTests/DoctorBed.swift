import Journal
import Projections
import Recovery
import Router
import TestSupport
import Testing

/// A cloud of Nova's databases in files: cell0 and two cells, each with a mapped host.
final class DoctorBed {
  let folder: String
  let api: NovaAPIFile
  let cell0: NovaCellFile
  let cells: [NovaCellFile]

  init(in folder: String) throws {
    self.folder = folder
    api = try NovaAPIFile.make(at: folder + "/api.sqlite")
    try api.execute("CREATE TABLE build_requests (instance_uuid VARCHAR(36))")
    try api.addCell(1, .cell0, name: "cell0", database: "sqlite:///cell0.sqlite")
    cell0 = try NovaCellFile.make(at: folder + "/cell0.sqlite")
    cells = try [1, 2].map { number in
      let file = try NovaCellFile.make(at: folder + "/\(number).sqlite")
      try file.execute("CREATE TABLE shadow_instances (uuid VARCHAR(36))")
      try file.addHost(
        "host\(number)", service: UUID128(high: 0x7000, low: UInt64(number)),
        node: UUID128(high: 0x7001, low: UInt64(number)))
      return file
    }
    for number in [1, 2] {
      try api.addCell(
        number + 1, cell(number), name: "cell\(number)", database: "sqlite:///\(number).sqlite",
        queue: "rabbit://nova:s3cret@127.0.0.1:5672/")
      try api.addHost(number, "host\(number)", cell: number + 1)
    }
  }

  /// Maps an instance and adds its row to cell 1 or 2.
  func add(_ number: Int, in place: Int, _ values: [String: String] = [:]) throws {
    try api.addInstance(number, "\(instance(number))", cell: place + 1)
    try cells[place - 1].add(instance(number), values)
  }

  /// What an examination found, in order, and its report.
  func examine(
    base: AddressBase? = nil, patience: Duration = .seconds(5), notRestored: Set<CellID> = [],
    beforeReopening: () -> Void = {}
  ) throws -> (findings: [DoctorFinding], report: DoctorReport) {
    var findings: [DoctorFinding] = []
    let report = try withoutActuallyEscaping(beforeReopening) { beforeReopening in
      var opened = 0
      let doctor = MapDoctor(
        base: base ?? AddressBase(folder: folder), patience: patience, notRestored: notRestored
      ) { [api] () throws(AdoptionError) in
        opened += 1
        if opened > 1 { beforeReopening() }
        return try NovaAPIDatabase(path: api.path, publicForm: "sqlite:///api.sqlite")
      }
      return try doctor.examine { findings.append($0) }
    }
    let counted = findings.reduce(into: [:]) { $0[$1.kind, default: 0] += $1.count }
    #expect(report.counts == counted)
    return (findings, report)
  }

  /// The only finding; its SQL is run where it says, and then nothing is found any more.
  @discardableResult
  func onlyFinding(_ kind: DoctorFinding.Kind, mends: Bool = true) throws -> DoctorFinding {
    let (findings, report) = try examine()
    #expect(findings.map(\.kind) == [kind] && report.isComplete, "\(findings)")
    let finding = try #require(findings.first)
    #expect(!finding.fix.isEmpty)
    guard mends else { return finding }
    for step in finding.fix {
      switch step.place {
      case .shell: break
      case .api: try api.execute(step.text)
      case .cell(let label):
        let file = label.hasPrefix("cell1") ? cells[0] : label.hasPrefix("cell2") ? cells[1] : cell0
        try file.execute(step.text)
      }
    }
    let left = try examine().findings
    #expect(left.isEmpty, "\(left)")
    return finding
  }
}

func withDoctorBed(_ body: (DoctorBed) throws -> Void) throws {
  try withTemporaryFolder { folder in try body(DoctorBed(in: folder)) }
}
