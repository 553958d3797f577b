import Journal
import Projections
import Registry
import Testing

@Suite struct CellRulesTests {
  private func draft(_ database: String?, name: ByteText? = nil) throws -> CellDraft {
    CellDraft(
      name: name, addresses: AddressDraft(database: try database.map(databaseAddress)))
  }

  @Test func `adds a cell under the UUID that was given`() throws {
    try withStore { store in
      let outcome = try store.submit(.addCell(id: .number(1), draft(nil, name: "one")))
      #expect(outcome.entity == .cell(.number(1)))
      #expect(outcome.entries == 3...3)
      #expect(try store.caughtUpIndex().cell(.number(1))?.record.name == "one")
    }
  }

  @Test func `gives a cell without UUID a random one, and says which`() throws {
    try withStore { store in
      let first = try store.submit(.addCell(id: nil, draft(nil)))
      let second = try store.submit(.addCell(id: nil, draft(nil)))
      #expect(first.entity != nil && first.entity != second.entity)
    }
  }

  @Test func `refuses a second cell of the same UUID`() throws {
    try withStore { store in
      try store.addCell(.number(1))
      expectRefusal(.cellExists(.number(1))) {
        try store.submit(.addCell(id: .number(1), draft(nil)))
      }
    }
  }

  @Test func `refuses a name that another cell has`() throws {
    try withStore { store in
      try store.addCell(.number(1), "one")
      expectRefusal(.cellNameTaken("one", by: .number(1))) {
        try store.submit(.addCell(id: .number(2), draft(nil, name: "one")))
      }
      try store.addCell(.number(2), "two")
      expectRefusal(.cellNameTaken("one", by: .number(1))) {
        try store.submit(.renameCell(.number(2), to: "one"))
      }
    }
  }

  @Test func `refuses the same database under two cells, however it is written`() throws {
    try withStore { store in
      try store.submit(
        .addCell(id: .number(1), draft("mysql+pymysql://nova:one@db:3306/cell")))
      let other = "mysql+pymysql://other:two@DB/cell"
      expectRefusal(.databaseTaken(try databaseAddress(other).publicForm, by: .number(1))) {
        try store.submit(.addCell(id: .number(2), draft(other)))
      }
      try store.addCell(.number(2))
      expectRefusal(.databaseTaken(try databaseAddress(other).publicForm, by: .number(1))) {
        try store.submit(
          .setCellAddresses(.number(2), AddressDraft(database: databaseAddress(other))))
      }
    }
  }

  @Test func `refuses two observed cells with the same database, in one command too`() throws {
    try withStore { store in
      let same = try draft("sqlite:////srv/cell.db")
      let database = try databaseAddress("sqlite:////srv/cell.db").publicForm
      expectRefusal(.databaseTaken(database, by: .number(1))) {
        try store.take(.cell(.number(1), same), .cell(.number(2), same))
      }
      #expect(try store.caughtUpIndex().cell(.number(1)) == nil)
      #expect(store.journal.head.position.index == 2)
    }
  }

  @Test func `refuses an observed change to another cell's database`() throws {
    try withStore { store in
      try store.take(.cell(.number(1), draft("sqlite:////a.db")))
      try store.take(.cell(.number(2), draft("sqlite:////b.db")))
      let database = try databaseAddress("sqlite:////a.db").publicForm
      expectRefusal(.databaseTaken(database, by: .number(1))) {
        try store.take(.cell(.number(2), draft("sqlite:////a.db")))
      }
    }
  }

  @Test func `allows two cells to share a queue`() throws {
    try withStore { store in
      let queue = try queueAddress("rabbit://nova:secret@mq/")
      for number in 1...2 as ClosedRange<UInt64> {
        try store.submit(
          .addCell(
            id: .number(number),
            CellDraft(name: nil, addresses: AddressDraft(queue: queue))))
      }
    }
  }

  @Test func `renaming, disabling and enabling leave the addresses alone`() throws {
    try withStore { store in
      try store.submit(.addCell(id: .number(1), draft("sqlite:////a.db", name: "one")))
      let before = try #require(try store.caughtUpIndex().cell(.number(1))).record
      try store.submit(.renameCell(.number(1), to: "two"))
      try store.submit(.disableCell(.number(1)))
      let after = try #require(try store.caughtUpIndex().cell(.number(1))).record
      #expect(after.addresses == before.addresses)
      #expect(after.name == "two" && after.disabled == true)
      try store.submit(.enableCell(.number(1), force: true))
      let enabled = try #require(try store.caughtUpIndex().cell(.number(1))).record
      #expect(enabled.addresses == before.addresses && enabled.disabled == false)
    }
  }

  @Test func `setting the address that is there changes nothing`() throws {
    try withStore { store in
      let address = try databaseAddress("mysql+pymysql://nova:secret@db/cell")
      try store.addCell(.number(1))
      let change = Change.setCellAddresses(.number(1), AddressDraft(database: address))
      #expect(try store.submit(change).entries != nil)
      #expect(try store.submit(change).entries == nil)
      let other = try databaseAddress("mysql+pymysql://nova:changed@db/cell")
      #expect(
        try store.submit(.setCellAddresses(.number(1), AddressDraft(database: other))).entries
          != nil)
    }
  }

  @Test func `a disabled cell is enabled once its last entry is a passed probe, or by force`()
    throws
  {
    try withStore { store in
      try store.addCell(.number(1))
      let probe = { (passed: Bool) in
        Change.recordProbe(
          .number(1), ProbeOutcome(passed: passed, report: "{}"), [], accepting: false)
      }
      let (disable, enable) = (
        Change.disableCell(.number(1)), Change.enableCell(.number(1), force: false)
      )
      #expect(try store.submit(enable).entries == nil, "it is enabled")
      try store.submit(disable)
      let refusal = Refusal.cellNotProbed(.number(1))
      expectRefusal(refusal) { try store.submit(enable) }
      try store.submit(probe(false))
      expectRefusal(refusal) { try store.submit(enable) }
      try store.submit(probe(true))
      #expect(try store.submit(enable).entries != nil)
      // A change of the cell wants another probe.
      try store.submit(probe(true))
      try store.submit(disable)
      expectRefusal(refusal) { try store.submit(enable) }
      try store.submit(probe(true))
      try store.submit(.renameCell(.number(1), to: "two"))
      expectRefusal(refusal) { try store.submit(enable) }
      #expect(try store.submit(.enableCell(.number(1), force: true)).entries != nil)
    }
  }

  @Test func `refuses to disable or remove cell0`() throws {
    try withStore { store in
      let disable = Refusal.cell0("holds instances that never got a host; it can't be disabled")
      let remove = Refusal.cell0("holds instances that never got a host; it can't be removed")
      expectRefusal(disable) { try store.submit(.disableCell(.cell0)) }
      expectRefusal(remove) { try store.submit(.removeCell(.cell0)) }
      expectRefusal(remove) { try store.submit(.beginRemovingCell(.cell0)) }
      expectRefusal(remove) { try store.take(.cell(.cell0, nil)) }
      let enabled = try store.submit(.enableCell(.cell0, force: false))
      #expect(enabled.entries == nil)
    }
  }

  @Test func `refuses to remove a cell with hosts or mappings, and counts them`() throws {
    try withStore { store in
      try store.addCell(.number(1))
      try store.submit(.mapHost("compute-1", to: .number(1)))
      for number in 1...3 as ClosedRange<UInt64> {
        try store.map(.number(number), to: .number(1))
      }
      let refusal = Refusal.cellNotEmpty(.number(1), hosts: 1, instances: 3)
      expectRefusal(refusal) { try store.submit(.removeCell(.number(1))) }
      expectRefusal(refusal) { try store.take(.cell(.number(1), nil)) }
    }
  }

  @Test func `removes an empty cell`() throws {
    try withStore { store in
      try store.addCell(.number(1))
      try store.submit(.removeCell(.number(1)))
      #expect(try store.caughtUpIndex().cell(.number(1)) == nil)
    }
  }

  @Test func `refuses what names a cell that isn't there`() throws {
    try withStore { store in
      let unknown = Refusal.unknownCell(.number(9))
      let identity = CellIdentity(services: [], computeNodes: [], server: nil)
      let changes: [Change] = [
        .renameCell(.number(9), to: "x"), .setCellAddresses(.number(9), AddressDraft()),
        .disableCell(.number(9)), .beginRemovingCell(.number(9)),
        .removeCell(.number(9)), .recordIdentity(.number(9), identity),
        .setCoverage(.number(9), true), .mapHost("compute-1", to: .number(9)),
        .mapInstance(.number(1), InstanceDraft(cell: .number(9), owner: .sample)),
      ]
      for change in changes { expectRefusal(unknown) { try store.submit(change) } }
    }
  }

  @Test func `a cell that is being removed takes nothing new and can't be enabled`() throws {
    try withStore { store in
      try store.addCell(.number(1))
      try store.map(.number(5), to: nil)
      try store.submit(.beginRemovingCell(.number(1)))
      let refusal = Refusal.cellBeingRemoved(.number(1))
      expectRefusal(refusal) { try store.submit(.enableCell(.number(1), force: false)) }
      expectRefusal(refusal) { try store.submit(.mapHost("compute-1", to: .number(1))) }
      expectRefusal(refusal) { try store.map(.number(1), to: .number(1)) }
      expectRefusal(refusal) { try store.map(.number(1), to: .number(1), isTest: true) }
      expectRefusal(refusal) { try store.submit(.remapInstance(.number(5), to: .number(1))) }
      let record = InstanceRecord(cell: .number(1), owner: .sample)
      expectRefusal(refusal) { try store.take(.instance(.number(1), record)) }
      let host = HostRecord(cell: .number(1))
      expectRefusal(refusal) { try store.take(.host("compute-1", host)) }
    }
  }

  @Test func `refuses to empty a cell that isn't being removed`() throws {
    try withStore { store in
      try store.addCell(.number(1))
      expectRefusal(.cellNotBeingRemoved(.number(1))) {
        try store.submit(
          bulk: "remove", .emptyCell(.number(1), hosts: [], instances: []), .fresh())
      }
    }
  }

  @Test func `refuses an address or evidence that no entry can hold`() throws {
    try withStore { store in
      try store.addCell(.number(1))
      let long = try databaseAddress("sqlite:////" + String(repeating: "a", count: 5000))
      expectRefusal(.tooLarge("an address of more than 4096 bytes")) {
        try store.submit(.setCellAddresses(.number(1), AddressDraft(database: long)))
      }
      let many = (0..<2001).map { UUID128(high: 1, low: $0) }
      expectRefusal(.tooLarge("at most 2000 UUIDs of evidence at once")) {
        try store.submit(
          .recordIdentity(
            .number(1), CellIdentity(services: many, computeNodes: [], server: nil)))
      }
    }
  }
}
