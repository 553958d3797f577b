import Foundation
import Journal
import TestSupport
import Testing

@Suite struct MasterRotationTests {
  private let store = StoreID(.random())
  private let secret = Array("mysql://nova:pass@db/nova".utf8)

  private func withKeys(_ body: (String, KeyRing) throws -> Void) throws {
    try withTemporaryFolder { folder in
      try body(folder + "/keys", KeyRing.create(in: folder + "/keys", store: store))
    }
  }

  private func cell(_ number: UInt64) -> CellID { CellID(UUID128(high: 7, low: number)) }

  private func seal(_ ring: KeyRing, _ number: UInt64) throws -> SealedAddress {
    try ring.seal(secret, publicForm: "x", of: cell(number), .database)
  }

  private func expectReadable(
    _ addresses: [SealedAddress], in folder: String,
    sourceLocation: SourceLocation = #_sourceLocation
  ) throws {
    let ring = try KeyRing.open(in: folder, store: store)
    for (number, address) in addresses.enumerated() {
      let text = try ring.open(address, of: cell(UInt64(number)), .database)
      #expect(text == secret, sourceLocation: sourceLocation)
    }
    try ring.addresses.check()
  }

  @Test func `another master opens every address, and the old one none`() throws {
    try withKeys { folder, ring in
      let addresses = try (0..<3).map { try seal(ring, UInt64($0)) }
      let old = try #require(FileManager.default.contents(atPath: folder + "/master"))
      let outcome = try MasterRotation.run(in: folder, of: store)
      #expect(outcome.dataKeys == 3 && !outcome.wasBegun && outcome.old != outcome.new)
      try expectReadable(addresses, in: folder)
      #expect(try ring.open(addresses[0], of: cell(0), .database) == secret)
      try old.write(to: URL(fileURLWithPath: folder + "/master"))
      let stale = try KeyRing.open(in: folder, store: store)
      let error = #expect(throws: KeyError.self) {
        try stale.open(addresses[0], of: cell(0), .database)
      }
      let key = "\(folder)/data-\(addresses[0].key)"
      let told = try #require(error).description
      #expect(
        told.hasPrefix("\(key), under another master, does not open: it was changed"), "\(told)")
    }
  }

  @Test func `broken off after any step, every address can be read, and it goes on`() throws {
    try withKeys { folder, ring in
      let addresses = try (0..<4).map { try seal(ring, UInt64($0)) }
      let files = FileManager.default
      let done = folder + "-done"
      try files.copyItem(atPath: folder, toPath: done)
      let new = try MasterRotation.run(in: done, of: store).new
      // As it is when so many keys are wrapped again, and the next master isn't in its place.
      for count in 0...4 {
        let half = "\(folder)-\(count)"
        try files.copyItem(atPath: folder, toPath: half)
        try files.copyItem(atPath: done + "/master", toPath: half + "/master-next")
        for address in addresses.prefix(count) {
          try files.removeItem(atPath: "\(half)/data-\(address.key)")
          try files.copyItem(
            atPath: "\(done)/data-\(address.key)", toPath: "\(half)/data-\(address.key)")
        }
        try expectReadable(addresses, in: half)
        // Made meanwhile, by whoever changes an address.
        let later = try seal(KeyRing.open(in: half, store: store), 4)
        let outcome = try MasterRotation.run(in: half, of: store)
        #expect(outcome.wasBegun && outcome.new == new && outcome.dataKeys == 5)
        try expectReadable(addresses + [later], in: half)
        #expect(!files.fileExists(atPath: half + "/master-next"))
      }
    }
  }

  @Test func `a process that knew the old master makes keys under the new one`() throws {
    try withKeys { folder, ring in
      let first = try seal(ring, 0)
      _ = try MasterRotation.run(in: folder, of: store)
      try expectReadable([first, try seal(ring, 1)], in: folder)
    }
  }

  @Test func `a key that can't be read stops a rotation before anything is changed`() throws {
    try withKeys { folder, ring in
      let address = try seal(ring, 0)
      let path = "\(folder)/data-\(address.key)"
      var bytes = try #require(FileManager.default.contents(atPath: path))
      bytes[80] ^= 1
      try bytes.write(to: URL(fileURLWithPath: path))
      let before = try FileManager.default.contentsOfDirectory(atPath: folder).sorted()
      #expect(throws: KeyError.damaged(path)) { try MasterRotation.run(in: folder, of: store) }
      #expect(try FileManager.default.contentsOfDirectory(atPath: folder).sorted() == before)
    }
  }
}
