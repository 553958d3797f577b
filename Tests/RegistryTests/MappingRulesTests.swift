import Journal
import Projections
import Registry
import Testing

@Suite struct MappingRulesTests {
  @Test func `what cells hold is counted anew behind each thing that one command changes`() throws {
    try withStore { store in
      for number in 1...3 as ClosedRange<UInt64> { try store.addCell(.number(number)) }
      try store.submit(.mapHost("host", to: .number(2)))
      try store.map(.number(9), to: .number(3))
      try store.take(
        .cell(.number(1), nil), .host("host", nil), .cell(.number(2), nil),
        .instance(.number(9), nil), .cell(.number(3), nil))
      #expect(try store.caughtUpIndex().allCells().keys.sorted() == [.cell0])
      for number in 1...2 as ClosedRange<UInt64> { try store.addCell(.number(number)) }
      expectRefusal(.cellNotEmpty(.number(1), hosts: 1, instances: 0)) {
        try store.take(
          .cell(.number(2), nil), .host("host", HostRecord(cell: .number(1))),
          .cell(.number(1), nil))
      }
    }
  }

  @Test func `refuses a host name of another cell, and says which`() throws {
    try withStore { store in
      try store.addCell(.number(1))
      try store.addCell(.number(2))
      try store.submit(.mapHost("compute-1", to: .number(1)))
      expectRefusal(.hostElsewhere("compute-1", cell: .number(1))) {
        try store.submit(.mapHost("compute-1", to: .number(2)))
      }
      let again = try store.submit(.mapHost("compute-1", to: .number(1)))
      #expect(again.entries == nil)
    }
  }

  @Test func `refuses to unmap a host that isn't there`() throws {
    try withStore { store in
      expectRefusal(.unknownHost("compute-1")) { try store.submit(.unmapHost("compute-1")) }
    }
  }

  @Test func `refuses hosts in cell0, observed ones too`() throws {
    try withStore { store in
      let refusal = Refusal.cell0("holds instances that never got a host; it can't hold hosts")
      expectRefusal(refusal) { try store.submit(.mapHost("compute-1", to: .cell0)) }
      try store.addCell(.number(1))
      try store.submit(.mapHost("compute-1", to: .number(1)))
      expectRefusal(refusal) { try store.take(.host("compute-1", HostRecord(cell: .cell0))) }
    }
  }

  @Test func `an observed host may have moved`() throws {
    try withStore { store in
      try store.addCell(.number(1))
      try store.addCell(.number(2))
      try store.take(.host("compute-1", HostRecord(cell: .number(1))))
      try store.take(.host("compute-1", HostRecord(cell: .number(2))))
      #expect(try store.caughtUpIndex().host("compute-1")?.record.cell == .number(2))
    }
  }

  @Test func `the observations of one command see each other`() throws {
    try withStore { store in
      let record = InstanceRecord(cell: .number(1), owner: .sample)
      let outcome = try store.take(
        .cell(.number(1), CellDraft(name: nil, addresses: AddressDraft())),
        .host("compute-1", HostRecord(cell: .number(1))), .instance(.number(1), record),
        .instance(.number(1), record))
      #expect(outcome.entries == 3...5)
    }
  }

  @Test func `a command whose later observation is refused leaves nothing of the earlier ones`()
    throws
  {
    try withStore { store in
      let record = InstanceRecord(cell: nil, owner: .sample)
      let lost = InstanceRecord(cell: .number(9), owner: .sample)
      expectRefusal(.unknownCell(.number(9))) {
        try store.take(.instance(.number(1), record), .instance(.number(2), lost))
      }
      expectRefusal(.unknownInstance(.number(1))) {
        try store.submit(.markForDeletion(.number(1), true))
      }
      #expect(try store.map(.number(1), to: nil).entries == 3...3)
      try store.expectIndexEqualsReplay()
    }
  }

  @Test func `mapping elsewhere must be asked for as a remap`() throws {
    try withStore { store in
      try store.addCell(.number(1))
      try store.addCell(.number(2))
      try store.map(.number(1), to: .number(1))
      expectRefusal(.instanceElsewhere(.number(1), cell: .number(1))) {
        try store.map(.number(1), to: .number(2))
      }
      try store.submit(.remapInstance(.number(1), to: .number(2)))
      #expect(try store.caughtUpIndex().instance(.number(1))?.record.cell == .number(2))
    }
  }

  @Test func `refuses a mapping with another owner`() throws {
    try withStore { store in
      try store.map(.number(1), to: nil)
      expectRefusal(.ownerDiffers(.number(1))) {
        try store.submit(
          .mapInstance(
            .number(1),
            InstanceDraft(cell: nil, owner: InstanceOwner(project: "project", user: "other"))))
      }
    }
  }

  @Test func `a disabled cell takes no first mapping but for a test, and keeps what it has`() throws
  {
    try withStore { store in
      try store.addCell(.number(1))
      try store.addCell(.number(2))
      try store.map(.number(1), to: .number(1))
      try store.map(.number(2), to: .number(2))
      try store.map(.number(3), to: nil)
      try store.submit(.disableCell(.number(1)))
      expectRefusal(.cellDisabled(.number(1))) { try store.map(.number(4), to: .number(1)) }
      expectRefusal(.cellDisabled(.number(1))) { try store.map(.number(3), to: .number(1)) }
      expectRefusal(.cellDisabled(.number(1))) {
        try store.submit(.remapInstance(.number(3), to: .number(1)))
      }
      try store.map(.number(4), to: .number(1), isTest: true)
      try store.submit(.remapInstance(.number(2), to: .number(1)))
      #expect(try store.caughtUpIndex().countInstances(in: .number(1)) == 3)
    }
  }

  @Test func `refuses changes of an instance that isn't mapped`() throws {
    try withStore { store in
      let sighting = HostSighting(host: "compute-1", at: .now, source: "test")
      let changes: [Change] = [
        .remapInstance(.number(1), to: nil), .setOwner(.number(1), .sample),
        .markForDeletion(.number(1), true), .unmapInstance(.number(1)),
        .recordSighting(.number(1), sighting),
      ]
      for change in changes {
        expectRefusal(.unknownInstance(.number(1))) { try store.submit(change) }
      }
    }
  }

  @Test func `an operator's change wants a reason, a service's doesn't`() throws {
    try withStore { store in
      for reason in [nil, "", " \n\u{00A0}"] as [ByteText?] {
        var author = TestStore.author
        author.reason = reason
        var command = Command(
          .addCell(id: nil, CellDraft(name: nil, addresses: AddressDraft())), by: author,
          request: .fresh())
        expectRefusal(.reasonMissing) { try store.registry.submit(command) }
        command.isByOperator = false
        _ = try store.registry.submit(command)
      }
    }
  }

  @Test func `refuses more pieces than one commit takes`() throws {
    try withStore { store in
      try store.addCell(.number(1))
      try store.submit(.beginRemovingCell(.number(1)))
      let many = (0..<10_001).map { InstanceID.number($0) }
      expectRefusal(.tooLarge("at most 10000 hosts, instances and cells at once")) {
        try store.submit(
          bulk: "remove", .emptyCell(.number(1), hosts: [], instances: many), .fresh())
      }
    }
  }
}
