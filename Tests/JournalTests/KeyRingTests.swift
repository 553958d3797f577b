import Foundation
import Journal
import Testing

@Suite struct KeyRingTests {
  private let store = StoreID(.random())
  private let folder = FileManager.default.temporaryDirectory.path + "/keys-\(UUID())"
  private let secret = Array("mysql+pymysql://nova:p%2Fss@db/nova".utf8)

  private func withRing(_ body: (KeyRing) throws -> Void) throws {
    defer { try? FileManager.default.removeItem(atPath: folder) }
    try body(KeyRing.create(in: folder, store: store))
  }

  private func sealed(_ ring: KeyRing) throws -> SealedAddress {
    try ring.seal(secret, publicForm: "mysql://db/nova", of: Samples.cell, .database)
  }

  @Test func `opens what it sealed, also after the files were read again`() throws {
    try withRing { ring in
      let address = try sealed(ring)
      #expect(try ring.open(address, of: Samples.cell, .database) == secret)
      let again = try KeyRing.open(in: folder, store: store)
      #expect(try again.open(address, of: Samples.cell, .database) == secret)
      #expect(again.digest(of: [1]) == ring.digest(of: [1]))
    }
  }

  @Test func `binds what it sealed to cell, field and store`() throws {
    try withRing { ring in
      let address = try sealed(ring)
      #expect(throws: KeyError.self) { try ring.open(address, of: Samples.other, .database) }
      #expect(throws: KeyError.self) { try ring.open(address, of: Samples.cell, .queue) }
      #expect(throws: KeyError.self) {
        try KeyRing.open(in: folder, store: StoreID(.random()))
      }
    }
  }

  @Test func `finds every flipped bit of what it sealed`() throws {
    try withRing { ring in
      let address = try sealed(ring)
      for place in address.sealed.indices {
        var bytes = address.sealed
        bytes[place] ^= 1
        let changed = SealedAddress(
          publicForm: address.publicForm, key: address.key, sealed: bytes)
        #expect(throws: KeyError.self) { try ring.open(changed, of: Samples.cell, .database) }
      }
    }
  }

  @Test func `says that a key is gone`() throws {
    try withRing { ring in
      let address = try sealed(ring)
      try FileManager.default.removeItem(atPath: folder + "/data-\(address.key)")
      let again = try KeyRing.open(in: folder, store: store)
      #expect(throws: KeyError.shredded(address.key, cell: Samples.cell)) {
        try again.open(address, of: Samples.cell, .database)
      }
    }
  }

  @Test func `says that the master is missing`() throws {
    try withRing { _ in
      try FileManager.default.removeItem(atPath: folder + "/master")
      #expect(throws: KeyError.missing(folder + "/master")) {
        try KeyRing.open(in: folder, store: store)
      }
    }
  }

  @Test func `keeps its files to its owner and holds no clear secret`() throws {
    try withRing { ring in
      _ = try sealed(ring)
      for name in try FileManager.default.contentsOfDirectory(atPath: folder) {
        let path = folder + "/" + name
        let mode = try FileManager.default.attributesOfItem(atPath: path)[.posixPermissions]
        #expect(mode as? Int == 0o600)
        let bytes = try #require(FileManager.default.contents(atPath: path))
        #expect(bytes.range(of: Data("p%2Fss".utf8)) == nil)
      }
    }
  }
}
