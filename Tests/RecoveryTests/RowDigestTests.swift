import Journal
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

  @Test func `a row that lost bytes, or says that it has others, is none`() throws {
    for row in try Self.rows() {
      var packed: [UInt8] = []
      row.pack(into: &packed)
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
