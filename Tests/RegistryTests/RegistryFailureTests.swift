import Foundation
import Journal
import Projections
import Registry
import TestSupport
import Testing

private let isRoot: Bool = getuid() == 0

@Suite struct RegistryFailureTests {
  /// Gives `body` a folder that is a small file system of its own; nothing if that can't be mounted.
  private func withSmallDisk(_ megabytes: Int, _ body: (String) throws -> Void) throws {
    try withTemporaryFolder { folder in
      guard mount("tmpfs", folder, "tmpfs", 0, "size=\(megabytes)m,mode=0700") == 0 else { return }
      defer { umount2(folder, Int32(MNT_DETACH)) }
      try body(folder)
    }
  }

  /// Fills a disk but for some bytes.
  private func fill(_ path: String, leaving bytes: Int = 0) throws {
    let descriptor = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0o600)
    defer { close(descriptor) }
    let block = [UInt8](repeating: 1, count: 4096)
    while write(descriptor, block, block.count) > 0 {}
    let size = lseek(descriptor, 0, SEEK_CUR)
    ftruncate(descriptor, max(0, size - off_t(bytes)))
  }

  /// A process that is just being made may have the file open still, and would keep the space of a removed one.
  private func empty(_ path: String) { #expect(truncate(path, 0) == 0) }

  private func take(_ number: UInt64, _ store: TestStore) throws -> Outcome {
    let observations = (0..<100).map {
      Observation(
        .instance(.number(number * 100 + $0), InstanceRecord(cell: nil, owner: .sample)),
        evidence: nil)
    }
    return try store.submit(bulk: "take", .take(observations), .fresh())
  }

  @Test(.enabled(if: isRoot, "mounting a small file system needs root"))
  func `a full disk fails the group and nothing else, and writing goes on with space`() throws {
    try withSmallDisk(16) { folder in
      let store = try makeStore(folder)
      _ = try take(0, store)
      try store.registry.waitUntilProjected()
      try fill(folder + "/filler", leaving: 300_000)
      var acknowledged: UInt64 = 0
      var failure: (any Error)?
      while failure == nil {
        do {
          _ = try take(acknowledged + 1, store)
          acknowledged += 1
        } catch {
          failure = error
        }
      }
      guard case RegistryError.journal(.full) = try #require(failure) else {
        Issue.record("\(String(describing: failure))")
        return
      }
      let head = try store.journal.refresh().position.index
      #expect(head == 2 + (acknowledged + 1) * 100)
      // What failed is not in the map, what was acknowledged is.
      let lost = InstanceID.number((acknowledged + 1) * 100)
      let kept = InstanceID.number(acknowledged * 100)
      expectRefusal(.unknownInstance(lost)) { try store.submit(.unmapInstance(lost)) }
      #expect(try store.submit(.markForDeletion(kept, false)).entries == nil)

      empty(folder + "/filler")
      #expect(try take(acknowledged + 1, store).entries == head + 1...head + 100)
      try store.expectIndexEqualsReplay()
      try store.registry.close()
    }
  }

  /// Moves the index of a new store to a disk of its own, so that it can fail alone.
  private func withIndexApart(_ body: (TestStore, String) throws -> Void) throws {
    try withStoreFolder { folder in
      let made = try makeStore(folder)
      try made.registry.close()
      try withSmallDisk(32) { disk in
        for name in ["CURRENT", "index-1.sqlite"] {
          try FileManager.default.copyItem(
            atPath: folder + "/store/" + name, toPath: disk + "/" + name)
        }
        let store = try TestStore(made.journal, index: IndexGenerations(folder: disk))
        try body(store, disk)
        try store.registry.close()
      }
    }
  }

  @Test(.enabled(if: isRoot, "mounting a small file system needs root"))
  func `commands are acknowledged while the index's disk is full, and it catches up`() throws {
    try withIndexApart { store, disk in
      _ = try take(0, store)
      try store.registry.waitUntilProjected()
      try fill(disk + "/filler")
      for number in 1...40 as ClosedRange<UInt64> { _ = try take(number, store) }
      #expect(throws: RegistryError.self) { try store.registry.waitUntilProjected() }
      // The lease isn't kept for an index that can't be written.
      try StoreLock(store.journal.files.lock).acquire(command: "other").release()
      expectRefusal(.unknownInstance(.number(9_999))) {
        try store.submit(.unmapInstance(.number(9_999)))
      }
      #expect(store.journal.head.position.index == 2 + 41 * 100)

      empty(disk + "/filler")
      try store.submit(.unmapInstance(.number(4000)))
      try store.expectIndexEqualsReplay()
    }
  }

  @Test(.enabled(if: isRoot, "mounting a small file system needs root"))
  func `commands are acknowledged while the index's disk is read-only, and it catches up`() throws {
    try withIndexApart { store, disk in
      #expect(mount("tmpfs", disk, "tmpfs", UInt(MS_REMOUNT | MS_RDONLY), nil) == 0)
      _ = try take(0, store)
      #expect(throws: RegistryError.self) { try store.registry.waitUntilProjected() }
      _ = try take(1, store)
      expectRefusal(.unknownInstance(.number(9_999))) {
        try store.submit(.unmapInstance(.number(9_999)))
      }
      // The index is opened again with the next lease, so let this one go first.
      try StoreLock(store.journal.files.lock).acquire(command: "other").release()
      #expect(mount("tmpfs", disk, "tmpfs", UInt(MS_REMOUNT), nil) == 0)
      _ = try take(2, store)
      try store.expectIndexEqualsReplay()
    }
  }

  @Test(.enabled(if: isRoot, "mounting a small file system needs root"))
  func `closing tells that the index stayed behind, and loses nothing`() throws {
    try withStoreFolder { folder in
      let made = try makeStore(folder)
      try made.registry.close()
      try withSmallDisk(32) { disk in
        for name in ["CURRENT", "index-1.sqlite"] {
          try FileManager.default.copyItem(
            atPath: folder + "/store/" + name, toPath: disk + "/" + name)
        }
        let index = IndexGenerations(folder: disk)
        let store = try TestStore(made.journal, index: index)
        _ = try take(0, store)
        try store.registry.waitUntilProjected()
        try fill(disk + "/filler")
        for number in 1...20 as ClosedRange<UInt64> { _ = try take(number, store) }
        #expect(throws: RegistryError.self) { try store.registry.close() }
        empty(disk + "/filler")
        let again = try TestStore(made.journal, index: index)
        try again.map(.number(100_000), to: nil)
        try again.expectIndexEqualsReplay()
        try again.registry.close()
      }
    }
  }

  @Test func `a store whose index is missing refuses commands and keeps no lease`() throws {
    try withStore { store in
      try FileManager.default.removeItem(atPath: store.journal.files.current)
      #expect(throws: RegistryError.index(.fault(.noCurrent))) {
        try store.map(.number(1), to: nil)
      }
      try StoreLock(store.journal.files.lock).acquire(command: "other").release()
      let number = try store.index.replay(store.journal)
      try store.index.switchCurrent(to: number)
      try store.map(.number(1), to: nil)
      try store.expectIndexEqualsReplay()
    }
  }
}
