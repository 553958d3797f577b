import Journal
import Projections
import TestSupport
import Testing

@testable import Recovery

/// Digests of rows that are in journals: what they cover never changes.
@Suite struct RowDigestTests {
  @Test func `covers each column with its length, and tells NULL from an empty text`() throws {
    try withTemporaryFolder { folder in
      let keys = try KeyRing.create(in: folder + "/keys", store: StoreID(.random()))
      let uuid = try #require(UUID128("0a1b2c3d-4e5f-6071-8293-a4b5c6d7e8f9"))
      let digest = keys.rowDigest { row in
        row.add(uuid)
        row.add("über" as ByteText?)
        row.add("" as ByteText?)
        row.add(nil as ByteText?)
        row.add(true)
        row.add(nil as Bool?)
        row.add(Timestamp(microseconds: 1_767_244_608_000_000))
        row.add(Timestamp(microseconds: 1_767_244_608_000_042))
        row.add(Timestamp(microseconds: -62_198_755_200_000_000))
        row.add(nil as Timestamp?)
      }
      let bytes =
        "36:0a1b2c3d-4e5f-6071-8293-a4b5c6d7e8f9" + "5:über"
        + "0:" + "-1:" + "1:1" + "-1:" + "20:2026-01-01T05:16:48Z"
        + "27:2026-01-01T05:16:48.000042Z" + "20:00-1-01-01T00:00:00Z" + "-1:"
      #expect(digest == keys.digest(of: Array(bytes.utf8)))
    }
  }

  /// A row with each column, and one with none.
  private static func rows() throws -> [StagedInstance] {
    let id = InstanceID(try #require(UUID128("0a1b2c3d-4e5f-6071-8293-a4b5c6d7e8f9")))
    let cell = CellID(try #require(UUID128("01020304-0506-0708-090a-0b0c0d0e0f10")))
    let full = StagedInstance(
      id: id, cell: cell, rowID: 17, project: "p", user: "", host: "über", vmState: "active",
      taskState: "deleting", isDeleted: true, isHidden: false,
      createdAt: Timestamp(microseconds: 1), updatedAt: Timestamp(microseconds: -2),
      deletedAt: Timestamp(microseconds: .max), launchedAt: Timestamp(microseconds: 4),
      readAt: Timestamp(microseconds: 5))
    let empty = StagedInstance(
      id: id, cell: cell, rowID: -1, isDeleted: false, isHidden: true,
      readAt: Timestamp(microseconds: .min))
    return [full, empty]
  }

  private static func bytes(of hexadecimal: String) -> [UInt8] {
    let digits = Array(hexadecimal.utf8).map { Character(Unicode.Scalar($0)).hexDigitValue ?? 0 }
    return stride(from: 0, to: digits.count, by: 2).map {
      UInt8(digits[$0] << 4 | digits[$0 + 1])
    }
  }

  @Test func `of an instance covers what was read of its row, and not by whom`() throws {
    try withTemporaryFolder { folder in
      let keys = try KeyRing.create(in: folder + "/keys", store: StoreID(.random()))
      let uuid = "71605f4e3d2c1b0a" + "f9e8d7c6b5a49382"
      let full =
        uuid + "1100000000000000" + "fd07" + "0100000000000000" + "feffffffffffffff"
        + "ffffffffffffff7f" + "0400000000000000" + "0100000070" + "00000000"
        + "05000000c3bc626572" + "06000000616374697665" + "0800000064656c6574696e67"
      let empty = uuid + "ffffffffffffffff" + "0200"
      for (row, covered) in zip(try Self.rows(), [full, empty]) {
        let expected = keys.digest(of: Self.bytes(of: covered))
        var changed = row
        changed.cell = CellID(.random())
        changed.readAt = .now
        for row in [row, changed] {
          var packed: [UInt8] = [7]
          row.pack(into: &packed)
          #expect(PackedInstance.digest(of: packed.span, at: 1, by: keys) == expected)
          #expect(StagedInstance(packedIn: packed, at: 1) == row)
        }
      }
    }
  }

  @Test func `of each instance is in the evidence of its entry`() throws {
    try withRebuildBed { bed in
      try bed.rebuild()
      let journal = try EventJournal.open(bed.store)
      let keys = try KeyRing.open(in: journal.files.keys, store: journal.store)
      var count = 0
      for index in 1...journal.head.position.index {
        guard let entry = try journal.entry(at: index),
          case .instance(let id, .mapped) = entry.event
        else { continue }
        let evidence = try #require(entry.draft.evidence)
        let number = try #require(RebuildBed.cells.firstIndex { $0 == evidence.cell })
        let row = try Self.row(evidence.rowKey.string, of: bed.path(number))
        #expect(row.id == id)
        var packed: [UInt8] = []
        row.pack(into: &packed)
        #expect(PackedInstance.digest(of: packed.span, at: 0, by: keys) == evidence.rowDigest)
        count += 1
      }
      #expect(count > 20)
    }
  }

  /// A row of Nova's, read without the scan; where and when it was read are left out.
  private static func row(_ number: String, of path: String) throws -> StagedInstance {
    let statement = try SQLiteConnection(path: path, mode: .readOnly).prepare(
      "SELECT uuid, id, deleted != 0, coalesce(hidden, 0), project_id, user_id, host, vm_state, "
        + "task_state, created_at, updated_at, deleted_at, launched_at FROM instances "
        + "WHERE id = \(number)")
    let isThere = try statement.step()
    try #require(isThere)
    func time(_ column: Int) throws -> Timestamp? {
      try statement.textIfPresent(column).flatMap { Timestamp($0.string) }
    }
    let uuid = try #require(UUID128(try statement.text(0).string))
    return StagedInstance(
      id: InstanceID(uuid), cell: .cell0, rowID: try statement.integer(1),
      project: try statement.textIfPresent(4), user: try statement.textIfPresent(5),
      host: try statement.textIfPresent(6), vmState: try statement.textIfPresent(7),
      taskState: try statement.textIfPresent(8), isDeleted: try statement.integer(2) != 0,
      isHidden: try statement.integer(3) != 0, createdAt: try time(9), updatedAt: try time(10),
      deletedAt: try time(11), launchedAt: try time(12), readAt: .now)
  }

  @Test(arguments: [true, false])
  func `a batch gives each instance its rows, with their digests or without`(_ hasDigests: Bool)
    throws
  {
    var batch = StagedBatch()
    let row = try Self.rows()[1]
    for number in 0..<4 {
      var next = row
      next.rowID = Int64(number)
      batch.rows.append(next)
      let digest = Digest(bytes: [UInt8](repeating: UInt8(number), count: 32))
      if hasDigests { batch.digests.append(try #require(digest)) }
    }
    batch.ends = [1, 3, 4]
    var found: [[Int64]] = []
    batch.forEachInstance { copies in
      found.append(copies.rows.map(\.rowID))
      if hasDigests {
        let digests = copies.rows.indices.map { Int64(copies.digests[$0].bytes[0]) }
        #expect(digests == found.last)
      } else {
        #expect(copies.digests.isEmpty)
      }
    }
    #expect(found == [[0], [1, 2], [3]])
  }

  @Test func `a row that lost bytes, has more, or has columns that there aren't, is none`() throws {
    for row in try Self.rows() {
      var packed: [UInt8] = []
      row.pack(into: &packed)
      var more = packed + [0]
      more[0] += 1
      #expect(StagedInstance(packedIn: more, at: 0) == nil)
      var unknown = packed
      unknown[53] |= 0x80
      #expect(StagedInstance(packedIn: unknown, at: 0) == nil)
      if row.host != nil {
        let place = try #require(packed.firstIndex(of: 0xC3))
        packed[place] = 0xFF
        #expect(StagedInstance(packedIn: packed, at: 0) == nil)
        packed[place] = 0xC3
      }
      for count in 0..<packed.count {
        #expect(StagedInstance(packedIn: Array(packed[..<count]), at: 0) == nil)
        var shorter = Array(packed[..<count])
        if count >= 4 { shorter.replaceSubrange(0..<4, with: [UInt8(count), 0, 0, 0]) }
        #expect(StagedInstance(packedIn: shorter, at: 0) == nil)
      }
    }
  }

  @Test func `that over a cell covers each of its rows' and their order`() throws {
    try withTemporaryFolder { folder in
      let keys = try KeyRing.create(in: folder + "/keys", store: StoreID(.random()))
      let all = (0..<300).map { keys.digest(of: [UInt8($0 & 255), UInt8($0 >> 8)]) }
      for count in [1, 127, 128, 129, 256, 300] {
        var chained = ChainedDigest()
        for digest in all[..<count] { chained.add(digest, by: keys) }
        var expected = [UInt8](repeating: 0, count: 32)
        for start in stride(from: 0, to: count, by: 128) {
          for digest in all[start..<min(start + 128, count)] { digest.append(to: &expected) }
          expected = keys.digest(of: expected).bytes
        }
        #expect(chained.digest(by: keys).bytes == expected, "\(count)")
      }
    }
  }
}
