import Journal
import Testing

@Suite struct EntryCodingTests {
  @Test func `samples hold every kind of event`() {
    #expect(Set(Samples.events.map(\.kind)) == Set(EventKind.allCases))
  }

  @Test(arguments: Samples.entries)
  func `reads what it wrote`(entry: Entry) throws {
    let bytes = try entry.encoded()
    #expect(try Entry(decoding: bytes) == entry)
    #expect(try Entry.change(decoding: bytes) == entry.change)
  }

  @Test(arguments: Samples.entries)
  func `finds every length cut short`(entry: Entry) throws {
    let bytes = try entry.encoded()
    for length in 0..<bytes.count {
      #expect(throws: EntryError.self) { try Entry(decoding: Array(bytes[..<length])) }
    }
  }

  /// Whatever bytes are accepted are the bytes that the accepted entry has: one form for one meaning.
  @Test func `accepts only the canonical form`() throws {
    var generator = SeededGenerator(seed: 20_261_123)
    var accepted = 0
    for entry in Samples.entries {
      let bytes = try entry.encoded()
      for _ in 0..<400 {
        var changed = bytes
        let place = Int.random(in: 0..<bytes.count, using: &generator)
        changed[place] ^= 1 << UInt8.random(in: 0...7, using: &generator)
        guard let read = try? Entry(decoding: changed) else { continue }
        accepted += 1
        let length = Int(try EntryHeader(changed).entryLength)
        #expect(try read.encoded() == Array(changed[..<length]), "flipped byte \(place)")
      }
    }
    #expect(accepted > 1000)
  }

  @Test func `tells a newer layout, a newer event and an unknown kind apart`() throws {
    let bytes = try Samples.entries[0].encoded()
    #expect(throws: EntryError.newerFormat(2)) {
      try Entry(decoding: [2] + Array(bytes[1...]))
    }
    #expect(throws: EntryError.unknownEvent(kind: 0x0101, schemaVersion: 9, index: 1)) {
      try Entry(decoding: [1, 9] + Array(bytes[2...]))
    }
    #expect(throws: EntryError.unknownEvent(kind: 0x01FF, schemaVersion: 1, index: 1)) {
      try Entry(decoding: [1, 1, 0x01, 0xFF] + Array(bytes[4...]))
    }
  }

  @Test func `refuses an entry longer than the limit and takes it back`() throws {
    var authorship = Samples.bareAuthorship
    authorship.reason = String(repeating: "x", count: EntryHeader.maximumEntryLength).text
    let draft = EntryDraft(
      event: Samples.events[0], authorship: authorship, request: Samples.bareRequest)
    var buffer: [UInt8] = [1, 2, 3]
    #expect(throws: EntryError.self) {
      try draft.append(
        to: &buffer, at: Position(epoch: 1, index: 1), orderedAt: Samples.time)
    }
    #expect(buffer == [1, 2, 3])
  }

  @Test func `keeps canonically equal texts apart`() throws {
    let composed: ByteText = "\u{E9}"
    let decomposed: ByteText = "e\u{301}"
    #expect(composed != decomposed)
    let entry = try Samples.renaming(from: composed, to: decomposed).encoded()
    #expect(
      try Entry(decoding: entry).event
        == .cell(Samples.cell, .renamed(from: composed, to: decomposed)))
  }
}

extension Samples {
  static func renaming(from: ByteText?, to: ByteText?) -> Entry {
    Entry(
      position: Position(epoch: 1, index: 1), orderedAt: time,
      draft: EntryDraft(
        event: .cell(cell, .renamed(from: from, to: to)), authorship: bareAuthorship,
        request: bareRequest))
  }
}

/// SplitMix64: small, and the same everywhere.
struct SeededGenerator: RandomNumberGenerator {
  private var state: UInt64
  init(seed: UInt64) { state = seed }

  mutating func next() -> UInt64 {
    state &+= 0x9E37_79B9_7F4A_7C15
    var mixed = state
    mixed = (mixed ^ (mixed >> 30)) &* 0xBF58_476D_1CE4_E5B9
    mixed = (mixed ^ (mixed >> 27)) &* 0x94D0_49BB_1331_11EB
    return mixed ^ (mixed >> 31)
  }
}
