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

  @Test func `a changed key, or another store's, is refused before it signs or seals`() throws {
    try withRing { ring in
      _ = try sealed(ring)
      _ = try CheckpointSigner.make(in: folder, store: store, by: "t")
      let other = folder + "-other"
      defer { try? FileManager.default.removeItem(atPath: other) }
      _ = try KeyRing.create(in: other, store: StoreID(.random()))
      func expectDamaged(_ name: String) {
        #expect(throws: KeyError.damaged("\(folder)/\(name)"), "\(name)") {
          _ = try KeyRing.open(in: folder, store: store)
          _ = try CheckpointSigner.open(in: folder, store: store)
        }
      }
      for name in ["master", "hmac", "checkpoint"] {
        let path = "\(folder)/\(name)"
        let whole = try #require(FileManager.default.contents(atPath: path))
        for place in whole.indices {
          var bytes = whole
          bytes[place] ^= 4
          try bytes.write(to: URL(fileURLWithPath: path))
          expectDamaged(name)
        }
        for length in [0, 8, whole.count - 1] {
          try whole.prefix(length).write(to: URL(fileURLWithPath: path))
          expectDamaged(name)
        }
        if let foreign = FileManager.default.contents(atPath: "\(other)/\(name)") {
          try foreign.write(to: URL(fileURLWithPath: path))
          expectDamaged(name)
        }
        // As they were written before there was a check.
        var bare = whole.prefix(56)
        bare.replaceSubrange(0..<8, with: Data("CELLKEY1".utf8))
        try bare.write(to: URL(fileURLWithPath: path))
        #expect(try KeyRing.open(in: folder, store: store).digest(of: [1]) == ring.digest(of: [1]))
        try whole.write(to: URL(fileURLWithPath: path))
      }
      #expect(try CheckpointSigner.open(in: folder, store: store) != nil)
    }
  }

  @Test func `a damaged data key takes away its own cell alone`() throws {
    try withRing { ring in
      let address = try sealed(ring)
      let other = try ring.seal(secret, publicForm: "x", of: Samples.other, .database)
      let path = "\(folder)/data-\(address.key)"
      var bytes = try #require(FileManager.default.contents(atPath: path))
      bytes[70] ^= 1
      try bytes.write(to: URL(fileURLWithPath: path))
      try FileManager.default.removeItem(atPath: folder + "/hmac")
      // Routes want no HMAC key.
      let keys = try AddressKeys.open(in: folder, store: store)
      #expect(try keys.open(other, of: Samples.other, .database) == secret)
      #expect(throws: KeyError.damaged(path)) {
        try keys.open(address, of: Samples.cell, .database)
      }
      #expect(throws: KeyError.damaged(path)) { try keys.check() }
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
