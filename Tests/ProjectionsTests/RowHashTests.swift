import Projections
import Testing

@Suite struct RowHashTests {
  /// A row of every kind of column.
  private func hash(
    table: UInt64 = 3, key: (high: UInt64, low: UInt64) = (1, 2), text: [UInt8] = Array("né".utf8),
    integer: Int64? = -5, blob: [UInt8] = Array(0..<40)
  ) -> RowHash {
    var hasher = RowHasher(table: table)
    hasher.add(key: key)
    hasher.add(text: text.span.bytes)
    hasher.add(integer)
    hasher.add(blob: blob.span.bytes)
    return hasher.finish()
  }

  @Test func `is the documented function`() {
    #expect(RowHasher(table: 0).finish().value == 0x1845_364a_cbe5_1454_ae29_a278_706e_bf7f)
    #expect(hash().value == 0x4915_4d4b_69e4_2758_ac81_074d_19e9_a899)
  }

  @Test func `takes a key as the blob of its bytes`() {
    var bytes = RowHasher(table: 1)
    let blob: [UInt8] = [0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 2]
    bytes.add(blob: blob.span.bytes)
    var halves = RowHasher(table: 1)
    halves.add(key: (1, 2))
    #expect(bytes.finish() == halves.finish())
  }

  @Test func `differs for NULL, zero, empty text and empty blob`() {
    var hashes: Set<RowHash> = []
    var null = RowHasher(table: 1)
    null.addNull()
    var zero = RowHasher(table: 1)
    zero.add(0)
    var text = RowHasher(table: 1)
    text.add(text: [UInt8]().span.bytes)
    var blob = RowHasher(table: 1)
    blob.add(blob: [UInt8]().span.bytes)
    for hasher in [null, zero, text, blob] {
      hashes.insert(hasher.finish())
      #expect(hasher.finish().checksum != RowHasher(table: 1).finish().checksum)
    }
    #expect(hashes.count == 4)
  }

  @Test func `differs for the same bytes cut into columns elsewhere`() {
    #expect(
      hash(text: Array("ab".utf8), blob: [99]) != hash(text: Array("a".utf8), blob: [98, 99]))
  }

  @Test(arguments: 0..<40)
  func `changes in its checksum with every bit of a text`(length: Int) {
    let text = (0..<length).map { UInt8($0) }
    var seen: Set<Int64> = [hash(text: text).checksum]
    for bit in 0..<(length * 8) {
      var changed = text
      changed[bit / 8] ^= 1 << (bit % 8)
      #expect(seen.insert(hash(text: changed).checksum).inserted)
    }
  }
}
