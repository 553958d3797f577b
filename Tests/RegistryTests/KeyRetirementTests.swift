import Foundation
import Journal
import Projections
import Registry
import TestSupport
import Testing

@Suite struct KeyRetirementTests {
  private let cell = CellID.number(1)
  private let secret = "mysql://nova:pass@db/nova"

  private func withCell(_ body: (TestStore, SealedAddress) throws -> Void) throws {
    try withStore { store in
      try store.submit(
        .addCell(
          id: cell,
          CellDraft(
            name: "a",
            addresses: AddressDraft(
              database: try databaseAddress(secret),
              queue: try queueAddress("rabbit://nova:word@q/")))))
      try body(store, try address(store))
    }
  }

  private func address(_ store: TestStore) throws -> SealedAddress {
    try #require(try store.caughtUpIndex().cell(cell)?.record.database)
  }

  private func shred(_ key: KeyID, _ store: TestStore) throws -> Outcome {
    try KeyRetirement.shred(
      [key], of: cell, named: key, in: store.journal, by: store.registry
    ) { Command($0, by: TestStore.author, request: .fresh()) }
  }

  private func keyFile(_ key: KeyID, _ store: TestStore) -> String {
    "\(store.journal.files.keys)/data-\(key)"
  }

  private func marks(_ store: TestStore) throws -> [String] {
    try FileManager.default.contentsOfDirectory(atPath: store.journal.files.keys)
      .filter { $0.hasPrefix("shredding-") }
  }

  @Test func `a resealed cell has the same addresses under another key`() throws {
    try withCell { store, old in
      let outcome = try store.submit(.resealCell(cell))
      #expect(outcome.entries?.count == 2)
      let new = try address(store)
      #expect(new.key != old.key && new.publicForm == old.publicForm)
      for address in [old, new] {
        #expect(try store.keys.open(address, of: cell, .database) == Array(secret.utf8))
      }
      try store.expectIndexEqualsReplay()
    }
  }

  @Test func `another key for an address is no other answer, and nobody's doing`() throws {
    try withCell { store, _ in
      func address(_ database: String) throws -> UInt64 {
        try store.submit(
          .setCellAddresses(cell, AddressDraft(database: try databaseAddress(database)))
        ).position.index
      }
      let first = try address("mysql://nova:first@db/nova")
      let resealed = try #require(try store.submit(.resealCell(cell)).entries)
      let history = try MapHistory(of: store.journal)
      func origin(at index: UInt64) throws -> UInt64? {
        try history.origins(of: .cell(cell), at: index).first { $0.field.name == "database" }?
          .entry.position.index
      }
      #expect(try origin(at: resealed.upperBound) == first)
      let positions = try [first, resealed.upperBound].map {
        try #require(try store.journal.position(at: .index($0)))
      }
      let difference = try history.difference(from: positions[0], to: positions[1])
      #expect(difference?.differences.isEmpty == true && difference?.unchanged == 1)
      for question in [PastQuestion.cell(cell), .cells] {
        #expect(
          try history.firstChange(of: question, after: first, upTo: positions[1].index) == nil)
      }
      // The same words with another secret are another address, whatever key they are under.
      let second = try address("mysql://nova:second@db/nova")
      let later = try MapHistory(of: store.journal)
      for question in [PastQuestion.cell(cell), .cells] {
        let change = try later.firstChange(of: question, after: first, upTo: second)
        #expect(change?.step.entry.position.index == second)
        #expect(change?.changes.map(\.name) == ["database"])
      }
    }
  }

  @Test func `a key that seals a present address is not shredded`() throws {
    try withCell { (store, address) throws in
      expectRefusal(.keyInUse(address.key, cell: cell)) { try shred(address.key, store) }
      #expect(try store.keys.open(address, of: cell, .database) == Array(secret.utf8))
      #expect(try marks(store) == [])
    }
  }

  @Test func `a shredded key is gone, and the journal whole`() throws {
    try withCell { store, old in
      try store.submit(.resealCell(cell))
      let outcome = try shred(old.key, store)
      #expect(outcome.entries?.count == 1)
      #expect(throws: KeyError.shredded(old.key, cell: cell)) {
        try store.keys.open(old, of: cell, .database)
      }
      let present = try address(store)
      #expect(try store.keys.open(present, of: cell, .database) == Array(secret.utf8))
      #expect(try marks(store) == [])
      _ = try store.journal.verify()
      try store.expectIndexEqualsReplay()
      let items = try KeyInventory(of: store.journal).items.filter { $0.cell == cell }
      #expect(items.map(\.state) == [.shredded, .current])
      #expect(items.map(\.entries) == [3, 2])
      #expect(items.map(\.fields) == [[], [.database, .queue]])
    }
  }

  @Test func `the keys of a removed cell go, and index and replay agree`() throws {
    try withCell { store, old in
      try store.submit(.removeCell(cell))
      _ = try shred(old.key, store)
      #expect(throws: KeyError.self) { try store.keys.open(old, of: cell, .database) }
      try store.expectIndexEqualsReplay()
    }
  }

  @Test func `killed behind the entry, the next who opens the keys destroys it`() throws {
    try withCell { store, old in
      try store.submit(.resealCell(cell))
      let head = try store.journal.refresh().position.index
      let path = "\(store.journal.files.keys)/shredding-\(old.key)"
      try "\(head)".write(toFile: path, atomically: false, encoding: .utf8)
      try store.submit(.shredKeys(cell, named: old.key, [old.key]))
      try expectFinished(store, old.key, isShredded: true)
    }
  }

  @Test func `killed before the entry, the key stays`() throws {
    try withCell { store, old in
      let path = "\(store.journal.files.keys)/shredding-\(old.key)"
      try "1".write(toFile: path, atomically: false, encoding: .utf8)
      try expectFinished(store, old.key, isShredded: false)
      let keys = try KeyRing.open(of: store.journal)
      #expect(try keys.open(old, of: cell, .database) == Array(secret.utf8))
    }
  }

  private func expectFinished(_ store: TestStore, _ key: KeyID, isShredded: Bool) throws {
    let path = "\(store.journal.files.keys)/shredding-\(key)"
    #expect(FileManager.default.fileExists(atPath: path))
    #expect(FileManager.default.fileExists(atPath: keyFile(key, store)))
    _ = try KeyRing.open(of: store.journal)
    #expect(try marks(store) == [])
    #expect(FileManager.default.fileExists(atPath: keyFile(key, store)) == !isShredded)
  }
}
