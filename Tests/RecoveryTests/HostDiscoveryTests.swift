import Journal
import Projections
import Recovery
import Registry
import Router
import TestSupport
import Testing

@Suite struct HostDiscoveryTests {
  private static let title = HostDiscovery.title(of: nil)

  /// Two cells, each with a host that is mapped and a file that says what it has.
  private func withCells(_ body: (AdoptionBed, [NovaCellFile]) throws -> Void) throws {
    try withBed { bed in
      try bed.addCells()
      try bed.adopt()
      let files = try [1, 2].map { number in
        let file = try NovaCellFile.make(at: bed.folder + "/\(number).sqlite")
        try file.addHost(
          "host\(number)", service: UUID128(high: 0x7000, low: UInt64(number)),
          node: UUID128(high: 0x7001, low: UInt64(number)))
        return file
      }
      try body(bed, files)
    }
  }

  /// - Parameter meanwhile: What others do between the look at the cells and the change.
  private func discover(
    _ bed: AdoptionBed, request: RequestID = RequestID(.random()), meanwhile: () throws -> Void = {}
  ) throws -> (HostDiscovery, Outcome?) {
    let journal = try EventJournal.open(bed.store)
    let generations = IndexGenerations(folder: journal.files.directory)
    let index = try generations.open(store: journal.store).reader
    let basis = try journal.refresh().position
    let cells = try CellRouter(
      journal: journal, index: generations, keys: bed.keys.addresses,
      base: AddressBase(folder: bed.folder)
    ).computeHosts(until: .now + .seconds(30))
    var discovery = try HostDiscovery(of: cells, on: index, basis: basis, keys: bed.keys)
    try meanwhile()
    let registry = MapRegistry(
      journal: journal, lock: journal.lock, command: "test", index: generations, keys: bed.keys)
    defer { try? registry.close() }
    let outcome = try discovery.apply(
      title: Self.title, by: AdoptionBed.actor, request: request, on: index, through: registry)
    return (discovery, outcome)
  }

  @Test func `a host that others mapped meanwhile is a clash, and isn't counted`() throws {
    try withCells { bed, files in
      for name in ["new1", "new2"] {
        try files[0].execute("INSERT INTO compute_nodes (host, deleted) VALUES ('\(name)', 0)")
      }
      let (discovery, outcome) = try discover(bed) { try bed.submit(.mapHost("new1", to: cell(2))) }
      #expect(discovery.new.map(\.host) == ["new2"])
      #expect(discovery.clashes.map(\.host) == ["new1"])
      #expect(discovery.clashes.first?.cells == [cell(1), cell(2)])
      #expect(discovery.clashes.first?.mapped == cell(2))
      #expect(outcome?.finished == ChangeCounts(hosts: 1))
      #expect(try bed.map().host("new1")?.record.cell == cell(2))
    }
  }

  @Test func `one that was stopped ahead of its end is ended when it is given again`() throws {
    try withCells { bed, files in
      _ = try discover(bed)  // the evidence is in
      try files[0].execute("INSERT INTO compute_nodes (host, deleted) VALUES ('new', 0)")
      let request = RequestID(.random())
      let host = Observation(.host("new", HostRecord(cell: cell(1))), evidence: nil)
      try bed.submit(
        .take([host]), request: request,
        bulk: BulkMark(
          title: Self.title, chunk: KeyRange(kind: .host, first: "new", last: "new")))
      let (discovery, outcome) = try discover(bed, request: request)
      #expect(discovery.changesNothing && outcome?.finished != nil)
      #expect(try bed.map().request(request)?.finished != nil)
      let count = try bed.entryCount()
      #expect(try discover(bed, request: request).1?.isRepeated != false)
      #expect(try bed.entryCount() == count)
    }
  }
}
