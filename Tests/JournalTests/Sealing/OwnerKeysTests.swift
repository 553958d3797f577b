import Foundation
import Journal
import TestSupport
import Testing

@Suite struct OwnerKeysTests {
  private let store = StoreID(.random())
  private let owner = InstanceOwner(project: "project-Canary", user: "user-Canary")

  private func withKeys(_ body: (String, KeyRing) throws -> Void) throws {
    try withTemporaryFolder { folder in
      let keys = folder + "/keys"
      try body(keys, KeyRing.create(in: keys, store: store, sealsOwners: true))
    }
  }

  private func files(_ folder: String) throws -> [String] {
    try FileManager.default.contentsOfDirectory(atPath: folder).filter { $0.hasPrefix("project-") }
  }

  @Test func `equal owners have equal bytes, and open again`() throws {
    try withKeys { folder, ring in
      let sealed = try ring.owners.sealed(owner, over: nil)
      #expect(sealed.project?.clearText == nil && sealed.user?.clearText == nil)
      #expect(sealed.project?.key == sealed.user?.key)
      let other = try KeyRing.open(in: folder, store: store).owners
      #expect(try other.sealed(owner, over: nil) == sealed)
      #expect(other.opened(sealed) == owner && ring.owners.opened(sealed) == owner)
      #expect(try other.sealed(sealed, over: nil) == sealed)
      #expect(try files(folder).count == 1)
    }
  }

  @Test func `nothing is equal across fields, projects and stores`() throws {
    try withKeys { folder, ring in
      let same = InstanceOwner(project: "x", user: "x")
      let sealed = try ring.owners.sealed(same, over: nil)
      #expect(sealed.project != sealed.user)
      let other = try ring.owners.sealed(InstanceOwner(project: "y", user: "x"), over: nil)
      #expect(other.user != sealed.user && other.user?.key != sealed.user?.key)
      // A part of one field, project or store doesn't open as another's.
      let swapped = InstanceOwner(project: sealed.user, user: sealed.project)
      #expect(ring.owners.opened(swapped) == swapped)
      guard case .sealed(let key, let bytes)? = sealed.user,
        case .sealed(let otherKey, _)? = other.user
      else {
        Issue.record("nothing is sealed")
        return
      }
      let moved = InstanceOwner(
        project: nil, user: PersonalText.sealed(key: otherKey, bytes: bytes))
      #expect(ring.owners.opened(moved) == moved)
      for place in bytes.indices {
        var changed = bytes
        changed[place] ^= 1
        let owner = InstanceOwner(project: nil, user: PersonalText.sealed(key: key, bytes: changed))
        #expect(ring.owners.opened(owner) == owner)
      }
      let elsewhere = OwnerKeys(in: folder, store: StoreID(.random()))
      #expect(elsewhere.opened(sealed) == sealed)
    }
  }

  @Test func `instances without a project have a key of their own, and nobody needs none`() throws {
    try withKeys { folder, ring in
      let nobody = InstanceOwner(project: nil as PersonalText?, user: nil)
      #expect(try ring.owners.sealed(nobody, over: nil) == nobody)
      #expect(try files(folder).isEmpty)
      let user = InstanceOwner(project: nil, user: "u")
      let sealed = try ring.owners.sealed(user, over: nil)
      #expect(ring.owners.opened(sealed) == user)
      // The project became known: the user goes with it.
      let known = try ring.owners.sealed(
        InstanceOwner(project: .clear("p"), user: sealed.user), over: sealed)
      let given = try ring.owners.sealed(InstanceOwner(project: "p", user: "u"), over: nil)
      #expect(known == given)
    }
  }

  @Test func `a store that doesn't seal owners leaves them as they are`() throws {
    try withTemporaryFolder { folder in
      let ring = try KeyRing.create(in: folder + "/keys", store: store)
      #expect(!ring.owners.seals)
      #expect(try ring.owners.sealed(owner, over: nil) == owner)
      #expect(ring.owners.opened(owner) == owner)
      #expect(try files(folder + "/keys").isEmpty)
    }
  }

  @Test func `no file of a key says whose it is`() throws {
    try withKeys { folder, ring in
      _ = try ring.owners.sealed(owner, over: nil)
      for name in try FileManager.default.contentsOfDirectory(atPath: folder) {
        let bytes = try Data(contentsOf: URL(filePath: "\(folder)/\(name)"))
        #expect(!name.contains("Canary") && bytes.range(of: Data("Canary".utf8)) == nil)
      }
    }
  }

  @Test func `what a key has sealed is shredded once its file is gone`() throws {
    try withKeys { folder, ring in
      let sealed = try ring.owners.sealed(owner, over: nil)
      let key = try #require(sealed.project?.key)
      #expect(!ring.owners.isShredded(sealed))
      try FileManager.default.removeItem(atPath: folder + "/project-\(key)")
      #expect(ring.owners.isShredded(sealed))
      let opened = ring.owners.opened(sealed)
      #expect(opened == InstanceOwner(project: .shredded(key: key), user: .shredded(key: key)))
      #expect(opened.isShredded)
      // Put back as it was sealed, and never sealed anew by accident.
      #expect(try ring.owners.sealed(opened, over: sealed) == sealed)
      #expect(throws: KeyError.ownerShredded(key)) {
        try ring.owners.sealed(
          InstanceOwner(project: sealed.project, user: .clear("other")), over: sealed)
      }
      // The project itself lives on, under another key.
      let anew = try ring.owners.sealed(owner, over: nil)
      #expect(anew.project?.key != key && ring.owners.opened(anew) == owner)
    }
  }

  @Test func `a key that is being shredded seals nothing, and another is not made beside it`()
    throws
  {
    try withKeys { folder, ring in
      let key = try #require(try ring.owners.sealed(owner, over: nil).project?.key)
      let mark = folder + "/shredding-\(key)"
      try Data().write(to: URL(filePath: mark))
      #expect(throws: KeyError.busy(key)) { try ring.owners.sealed(owner, over: nil) }
      try FileManager.default.removeItem(atPath: mark)
      #expect(try ring.owners.sealed(owner, over: nil).project?.key == key)
    }
  }

  @Test func `a damaged key seals nothing, and no second one is made for its project`() throws {
    try withKeys { folder, ring in
      let sealed = try ring.owners.sealed(owner, over: nil)
      let path = folder + "/" + (try files(folder)[0])
      var bytes = try Data(contentsOf: URL(filePath: path))
      bytes[60] ^= 1
      try bytes.write(to: URL(filePath: path))
      let again = OwnerKeys(in: folder, store: store)
      #expect(again.opened(sealed) == sealed)
      #expect(throws: KeyError.damaged(path)) { try again.sealed(owner, over: nil) }
      #expect(try files(folder).count == 1)
    }
  }

  @Test func `many who need a project's key at once make one`() throws {
    try withKeys { (folder, _) throws in
      DispatchQueue.concurrentPerform(iterations: 8) { _ in
        let keys = OwnerKeys(in: folder, store: store)
        for number in 0..<5 {
          _ = try? keys.sealed(InstanceOwner(project: ByteText("p\(number)"), user: nil), over: nil)
        }
      }
      #expect(try files(folder).count == 5)
    }
  }

  @Test func `a rotated master wraps projects' keys, and opened keys go on`() throws {
    try withKeys { folder, ring in
      let sealed = try ring.owners.sealed(owner, over: nil)
      let outcome = try MasterRotation.run(in: folder, of: store)
      #expect(outcome.dataKeys == 1)
      #expect(ring.owners.opened(sealed) == owner)
      let again = OwnerKeys(in: folder, store: store)
      #expect(again.opened(sealed) == owner)
      #expect(try again.sealed(owner, over: nil) == sealed)
      let other = InstanceOwner(project: "second", user: nil)
      let made = try ring.owners.sealed(other, over: nil)
      #expect(OwnerKeys(in: folder, store: store).opened(made) == other)
    }
  }

  @Test func `a filter finds what it asks for, and says what it can't tell`() throws {
    try withKeys { folder, ring in
      let (keys, other) = (ring.owners, InstanceOwner(project: "other", user: "user-Canary"))
      let (sealed, foreign) = (try keys.sealed(owner, over: nil), try keys.sealed(other, over: nil))
      let project = try keys.filter(project: "project-Canary", user: nil)
      #expect(project.verdict(sealed) == .yes && project.verdict(owner) == .yes)
      #expect(project.verdict(foreign) == .no && project.verdict(other) == .no)
      let user = try keys.filter(project: nil, user: "user-Canary")
      #expect(user.verdict(sealed) == .yes && user.verdict(foreign) == .yes)
      let both = try keys.filter(project: "other", user: "user-Canary")
      #expect(both.verdict(sealed) == .no && both.verdict(foreign) == .yes)
      #expect(try keys.filter(project: "nobody's", user: nil).verdict(sealed) == .no)
      // A user without a project stands under another key.
      let lone = try keys.sealed(InstanceOwner(project: nil, user: "user-Canary"), over: nil)
      let (anyone, ofOther) = (
        try keys.filter(project: nil, user: "user-Canary"),
        try keys.filter(project: "other", user: "user-Canary")
      )
      #expect(ofOther.verdict(lone) == .unknown && anyone.verdict(lone) == .yes)
      #expect(try keys.filter(project: "other", user: "nobody").verdict(lone) == .no)
      let key = try #require(sealed.project?.key)
      try FileManager.default.removeItem(atPath: folder + "/project-\(key)")
      let later = try keys.filter(project: "project-Canary", user: nil)
      #expect(later.verdict(sealed) == .unknown && later.verdict(foreign) == .no)
    }
  }
}
