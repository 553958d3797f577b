import Foundation
import Journal
import TestSupport
import Testing

@Suite struct DataKeyTests {
  private let store = StoreID(.random())
  private let secret = Array("mysql://nova:pass@db/nova".utf8)

  private func withKeys(_ body: (String, KeyRing) throws -> Void) throws {
    try withTemporaryFolder { folder in
      try body(folder + "/keys", KeyRing.create(in: folder + "/keys", store: store))
    }
  }

  private func seal(_ ring: KeyRing, _ field: AddressField = .database) throws -> SealedAddress {
    try ring.seal(secret, publicForm: "x", of: Samples.cell, field)
  }

  @Test func `a key is newer than the one before, whatever the clock says`() throws {
    let late = Timestamp(microseconds: 4_000_000_000_000_000)
    for earlier in [UUID128.timeOrdered(at: late), .timeOrdered(at: .now), .zero] {
      for _ in 0..<100 { #expect(UUID128.timeOrdered(at: .now, after: earlier) > earlier) }
    }
    try withKeys { folder, ring in
      // Made in one millisecond or in several.
      var address = try seal(ring)
      for _ in 0..<20 {
        let next = try ring.reseal([(.database, address)], of: Samples.cell)[0]
        #expect(next.key > address.key)
        #expect(try seal(ring).key == next.key, "the newest key seals")
        address = next
      }
    }
  }

  @Test func `sealing anew takes another key each time, and both open`() throws {
    try withKeys { folder, ring in
      let addresses = [
        (AddressField.database, try seal(ring)), (.queue, try seal(ring, .queue)),
      ]
      let second = try ring.reseal(addresses, of: Samples.cell)
      #expect(Set(second.map(\.key)).count == 1 && second[0].key > addresses[0].1.key)
      let third = try ring.reseal(
        [(.database, second[0]), (.queue, second[1])], of: Samples.cell)
      #expect(third[0].key > second[0].key)
      let again = try KeyRing.open(in: folder, store: store)
      for address in [addresses[0].1, second[0], third[0]] {
        #expect(try again.open(address, of: Samples.cell, .database) == secret)
      }
      #expect(try again.open(third[1], of: Samples.cell, .queue) == secret)
    }
  }

  @Test func `a key that a killed rotation made is the one that the next one takes`() throws {
    try withKeys { folder, ring in
      let first = try seal(ring)
      let unused = try ring.reseal([(.database, first)], of: Samples.cell)[0]
      #expect(try ring.reseal([(.database, first)], of: Samples.cell)[0].key == unused.key)
    }
  }

  @Test func `nothing is sealed by a key that is being shredded, nor opened by one that was`()
    throws
  {
    try withKeys { folder, ring in
      let first = try seal(ring)
      let path = "\(folder)/data-\(first.key)"
      let kept = folder + "-kept"
      try FileManager.default.linkItem(atPath: path, toPath: kept)
      let shredding = try #require(try KeyShredding.begin(first.key, in: folder, after: 0))
      #expect(try KeyShredding.begin(first.key, in: folder, after: 0) == nil)
      #expect(try seal(ring).key != first.key)
      #expect(try ring.open(first, of: Samples.cell, .database) == secret)
      try shredding.destroy()
      #expect(!FileManager.default.fileExists(atPath: path))
      let zeros = try #require(FileManager.default.contents(atPath: kept))
      #expect(zeros.count == 116 && zeros.allSatisfy { $0 == 0 })
      for keys in [ring, try KeyRing.open(in: folder, store: store)] {
        #expect(throws: KeyError.shredded(first.key, cell: Samples.cell)) {
          try keys.open(first, of: Samples.cell, .database)
        }
      }
    }
  }

  @Test func `keys stay known while their whole folder is away`() throws {
    try withKeys { folder, ring in
      let address = try seal(ring)
      try FileManager.default.moveItem(atPath: folder, toPath: folder + "-away")
      #expect(try ring.open(address, of: Samples.cell, .database) == secret)
    }
  }
}
