import Journal
import Testing

@Suite struct UUIDTests {
  @Test func `reads and prints the text form`() {
    let text = "07158ab7-95f3-4183-9b69-13cd87684f34"
    #expect(UUID128(text)?.description == text)
    #expect(UUID128(text.uppercased())?.description == text)
    #expect(UUID128(text).map { UUID128(bytes: $0.bytes) } == UUID128(text))
  }

  @Test(arguments: [
    "", "0x158ab7-95f3-4183-9b69-13cd87684f34", "{07158ab7-95f3-4183-9b69-13cd87684f3}",
    "07158ab7-95f3-4183-9b69-13cd87684f3", "07158ab7-95f3-4183-9b69-13cd87684f345",
    "07158ab795f341839b6913cd87684f34", "07158ab7-95f3-4183-9b69-13cd87684f3g",
    "07158ab7 95f3 4183 9b69 13cd87684f34", "07158ab7-95f3-4183-9b69-13cd8768\u{FF14}",
    "07158ab7-95f3-41839-b69-13cd87684f34",
  ])
  func `refuses everything else`(text: String) { #expect(UUID128(text) == nil) }

  @Test func `takes each byte at each place for the digit that it is, or for none`() {
    let text = Array("0a1b2c3d-4e5f-6071-8293-a4b5c6d7e8f9".utf8)
    let digits = Array("0123456789abcdefABCDEF".utf8)
    for place in text.indices where text[place] != UInt8(ascii: "-") {
      for byte in UInt8.min...UInt8.max {
        var changed = text
        changed[place] = byte
        let found = unsafe changed.withUnsafeBufferPointer { unsafe UUID128(ascii: $0) }
        guard digits.contains(byte) else {
          #expect(found == nil, "byte \(byte) at \(place)")
          continue
        }
        let lower = String(decoding: changed, as: UTF8.self).lowercased()
        #expect(found?.description == lower, "byte \(byte) at \(place)")
      }
    }
    for place in [8, 13, 18, 23] {
      var changed = text
      changed[place] = UInt8(ascii: "0")
      #expect(unsafe changed.withUnsafeBufferPointer { unsafe UUID128(ascii: $0) } == nil)
    }
  }

  @Test func `refuses a text of a million digits`() {
    #expect(UUID128(String(repeating: "0", count: 1_000_000)) == nil)
  }

  @Test func `orders as its text does`() {
    let low = UUID128("00ffffff-ffff-ffff-ffff-ffffffffffff")!
    let high = UUID128("01000000-0000-0000-0000-000000000000")!
    #expect(low < high)
  }

  @Test func `makes identifiers that sort by time`() {
    let early = UUID128.timeOrdered(at: Timestamp(microseconds: 1_000_000))
    let late = UUID128.timeOrdered(at: Timestamp(microseconds: 2_000_000))
    #expect(early < late)
    #expect(late.high >> 12 & 15 == 7 && late.low >> 62 == 2)
  }
}

@Suite struct TimestampTests {
  @Test(arguments: [
    ("2026-01-01 00:00:00.000000", "2026-01-01T00:00:00Z"),
    ("2026-01-01 05:16:48", "2026-01-01T05:16:48Z"),
    ("2026-01-01T05:16:48.25Z", "2026-01-01T05:16:48.250000Z"),
    ("2026-01-01T05:16:48.123456789+02:00", "2026-01-01T03:16:48.123456Z"),
    ("2024-02-29T23:59:59-00:30", "2024-03-01T00:29:59Z"),
    ("1969-12-31T23:59:59.5Z", "1969-12-31T23:59:59.500000Z"),
    ("1600-02-29T00:00:00Z", "1600-02-29T00:00:00Z"),
    ("9999-12-31T23:59:59Z", "9999-12-31T23:59:59Z"),
  ])
  func `reads Nova's form and RFC 3339`(text: String, printed: String) {
    #expect(Timestamp(text)?.description == printed)
  }

  @Test(arguments: [
    "", "2026-01-01", "2026-02-29T00:00:00Z", "2026-13-01T00:00:00Z", "2026-01-01T24:00:00Z",
    "2026-01-01T00:00:60Z", "2026-01-01T00:00:00.", "2026-01-01T00:00:00+0200",
    "2026-01-01T00:00:00Zx", "\u{FF12}026-01-01T00:00:00Z", "2026-00-10T00:00:00Z",
  ])
  func `refuses everything else`(text: String) { #expect(Timestamp(text) == nil) }
}

@Suite struct PositionTests {
  @Test func `reads what it prints`() {
    let position = Position(epoch: 2, index: 42)
    #expect(position.description == "2:42" && Position("2:42") == position)
  }

  @Test(arguments: ["", "42", "0:1", "1:0", "1:2:3", "+1:2", "1: 2", "1:-2", "4294967296:1"])
  func `refuses everything else`(text: String) { #expect(Position(text) == nil) }
}

@Suite struct FoldTests {
  @Test func `adds, changes and removes`() {
    let moved = InstanceRow.folded(
      .moved(from: nil, to: Samples.cell), at: 7,
      into: InstanceRow(record: Samples.bareInstance, changedAt: 3))
    #expect(moved?.record.cell == Samples.cell && moved?.changedAt == 7)
    #expect(InstanceRow.folded(.unmapped(Samples.bareInstance), at: 8, into: moved) == nil)
  }

  @Test func `a sighting leaves the place of the last change`() {
    let seen = InstanceRow.folded(
      .hostSeen(Samples.sighting), at: 9,
      into: InstanceRow(record: Samples.fullInstance, changedAt: 3))
    #expect(seen?.changedAt == 3 && seen?.record.lastSeen == Samples.sighting)
  }

  @Test func `a probe leaves the place of a cell's last change, and a change drops the probe's`() {
    let added = CellRow(record: CellRecord(name: "a"), changedAt: 3)
    let probed = CellRow.folded(
      .probed(ProbeOutcome(passed: true, report: "{}")), at: 5, into: added)
    #expect(probed == CellRow(record: added.record, changedAt: 3, evidenceAt: 5))
    let renamed = CellRow.folded(.renamed(from: "a", to: "b"), at: 6, into: probed)
    #expect(renamed?.changedAt == 6 && renamed?.evidenceAt == nil)
  }

  @Test(arguments: Samples.cellEvents.dropFirst(2))
  func `an event about a cell that isn't there adds none`(event: CellEvent) {
    #expect(CellRow.folded(event, at: 1, into: nil) == nil)
  }
}
