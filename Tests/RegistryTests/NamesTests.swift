import Foundation
import Journal
import Projections
@testable import Registry
import Testing

@Suite struct NamesTests {
  private static let bad = [
    "", "a\u{0}b", "a\u{1B}[31m", "a\u{7F}", "a\u{85}", "\u{200E}a", "a\u{200F}", "a\u{202E}b",
    "a\u{2066}b", "a\u{2028}b", "a\u{061C}", String(repeating: "x", count: 256),
    String(repeating: "x", count: 1 << 20),
  ]

  private func isBadName(_ error: any Error) -> Bool {
    if case RegistryError.refused(.badName) = error { true } else { false }
  }

  private func expectBadName(_ body: () throws -> Outcome) {
    do {
      _ = try body()
      Issue.record("accepted")
    } catch {
      #expect(isBadName(error), "\(error)")
      let text = "\(error)"
      #expect(text.utf8.count < 1000)
      #expect(!text.unicodeScalars.contains(where: NameRules.controls))
    }
  }

  @Test(arguments: bad)
  func `refuses a name that controls a terminal, and shows it harmlessly`(text: String) throws {
    try withStore { store in
      let name = ByteText(text)
      expectBadName {
        try store.submit(.addCell(id: nil, CellDraft(name: name, addresses: AddressDraft())))
      }
      for owner in [
        InstanceOwner(project: name, user: "u"), InstanceOwner(project: "p", user: name),
      ] {
        expectBadName {
          try store.submit(.mapInstance(.number(1), InstanceDraft(cell: nil, owner: owner)))
        }
        expectBadName {
          try store.take(.instance(.number(1), InstanceRecord(cell: nil, owner: owner)))
        }
      }
      #expect(store.journal.head.position.index == 2)
    }
  }

  @Test func `refuses Nova's marker rows, observed ones too`() throws {
    try withStore { store in
      try store.addCell(.number(1))
      let zero = InstanceID(.zero)
      let marker = InstanceOwner(project: "INSTANCE_MIGRATION_MARKER", user: nil)
      let draft = InstanceDraft(cell: .number(1), owner: .sample)
      expectBadName { try store.submit(.mapInstance(zero, draft)) }
      expectBadName {
        try store.take(.instance(zero, InstanceRecord(cell: .number(1), owner: .sample)))
      }
      expectBadName {
        try store.submit(
          .mapInstance(.number(1), InstanceDraft(cell: .number(1), owner: marker)))
      }
      try store.submit(.mapInstance(.number(1), draft))
      expectBadName { try store.submit(.setOwner(.number(1), marker)) }
    }
  }

  @Test(arguments: bad + ["a b", "é", "a/b", "a\nb", "１"])
  func `refuses a host name that no host has, and shows it harmlessly`(text: String) throws {
    try withStore { store in
      try store.addCell(.number(1))
      expectBadName { try store.submit(.mapHost(ByteText(text), to: .number(1))) }
      do {
        try store.submit(.unmapHost(ByteText(text)))
      } catch {
        let shown = "\(error)"
        #expect(shown.utf8.count < 1000)
        #expect(!shown.unicodeScalars.contains(where: NameRules.controls))
      }
    }
  }

  @Test func `keeps canonically equal names apart`() throws {
    try withStore { store in
      let composed: ByteText = "caf\u{E9}"
      let decomposed: ByteText = "cafe\u{301}"
      try store.addCell(.number(1), composed)
      try store.addCell(.number(2), decomposed)
      let index = try store.caughtUpIndex()
      #expect(try index.cell(.number(1))?.record.name == composed)
      #expect(try index.cell(.number(2))?.record.name == decomposed)
      try store.submit(.renameCell(.number(2), to: nil))
      try store.submit(.renameCell(.number(1), to: decomposed))
      #expect(try store.caughtUpIndex().cell(.number(1))?.record.name == decomposed)
    }
  }

  @Test func `keeps SQL in every field as it is`() throws {
    try withStore { store in
      let sql: ByteText = "'; DROP TABLE instance; --\" %s ?1 \\"
      let owner = InstanceOwner(project: sql, user: sql)
      var author = TestStore.author
      (author.actor, author.program, author.reason, author.correlation) = (sql, sql, sql, sql)
      let options = AddressDraft(options: sql)
      let id = InstanceID.number(1)
      let sighting = HostSighting(host: "h", at: .now, source: sql)
      let changes: [Change] = [
        .addCell(id: .number(1), CellDraft(name: sql, addresses: options)),
        .mapInstance(id, InstanceDraft(cell: .number(1), owner: owner)),
        .recordSighting(id, sighting),
        .recordIdentity(.number(1), CellIdentity(services: [], computeNodes: [], server: sql)),
      ]
      for change in changes {
        _ = try store.registry.submit(Command(change, by: author, request: .fresh()))
      }
      let index = try store.caughtUpIndex()
      let cell = try #require(try index.cell(.number(1))).record
      #expect(cell.name == sql && cell.options == sql)
      let instance = try #require(try index.instance(id)).record
      #expect(instance.owner == owner && instance.lastSeen == sighting)
      #expect(try index.identities(of: .number(1)).first?.server == sql)
      let entry = try #require(try store.journal.entry(at: 4))
      #expect(entry.draft.authorship == author)
      try store.expectIndexEqualsReplay()
    }
  }

  @Test func `refuses controls in what says who and why`() throws {
    try withStore { store in
      let bad: ByteText = "a\u{1B}[2J"
      let change = Change.addCell(id: nil, CellDraft(name: nil, addresses: AddressDraft()))
      for field in [\Authorship.actor, \.program] as [WritableKeyPath<Authorship, ByteText>] {
        var author = TestStore.author
        author[keyPath: field] = bad
        expectBadName {
          try store.registry.submit(Command(change, by: author, request: .fresh()))
        }
      }
      for (field, text) in [
        (\Authorship.reason, bad), (\.correlation, bad),
        (\.reason, ByteText(String(repeating: "x", count: 4097))),
      ] as [(WritableKeyPath<Authorship, ByteText?>, ByteText)] {
        var author = TestStore.author
        author[keyPath: field] = text
        expectBadName {
          try store.registry.submit(Command(change, by: author, request: .fresh()))
        }
      }
    }
  }

  @Test func `a command whose entry would be too long fails no other of its group`() throws {
    try withStore { store in
      let long = HostSighting(
        host: "h", at: .now, source: ByteText(String(repeating: "s", count: 70_000)))
      for number in 1...8 as ClosedRange<UInt64> { try store.map(.number(number), to: nil) }
      let results = inParallel(8) { number -> Result<Outcome, RegistryError> in
        let id = InstanceID.number(UInt64(number + 1))
        let change: Change = number == 3 ? .recordSighting(id, long) : .markForDeletion(id, true)
        return Result { () throws(RegistryError) in
          try store.registry.submit(
            Command(change, by: TestStore.author, request: .fresh()))
        }
      }
      for (number, result) in results.enumerated() {
        switch result {
        case .success: #expect(number != 3)
        case .failure(.refused(.tooLarge)): #expect(number == 3)
        case .failure(let error): Issue.record("\(error)")
        }
      }
      try store.expectIndexEqualsReplay()
    }
  }
}
