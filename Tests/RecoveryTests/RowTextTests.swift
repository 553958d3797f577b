import Journal
import TestSupport
import Testing

@testable import Recovery

/// Digests of rows that are in journals: what they cover never changes.
@Suite struct RowTextTests {
  @Test func `covers each column with its length, and tells NULL from an empty text`() throws {
    try withTemporaryFolder { folder in
      let keys = try KeyRing.create(in: folder + "/keys", store: StoreID(.random()))
      let uuid = try #require(UUID128("0a1b2c3d-4e5f-6071-8293-a4b5c6d7e8f9"))
      let digest = keys.rowDigest { row in
        row.add(uuid)
        row.add(17)
        row.add(Int64.min)
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
        "36:0a1b2c3d-4e5f-6071-8293-a4b5c6d7e8f9" + "2:17" + "20:-9223372036854775808" + "5:über"
        + "0:" + "-1:" + "1:1" + "-1:" + "20:2026-01-01T05:16:48Z"
        + "27:2026-01-01T05:16:48.000042Z" + "20:00-1-01-01T00:00:00Z" + "-1:"
      #expect(digest == keys.digest(of: Array(bytes.utf8)))
    }
  }
}
