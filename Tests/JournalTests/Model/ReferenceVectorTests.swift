import Foundation
import Journal
import TestServers
import Testing

/// Entries that a second implementation made from docs/journal-format.md alone
/// (Tests/JournalTests/Vectors/journal_reference.py).
@Suite struct ReferenceVectorTests {
  static let vectors: EntryVectors = read("entries.json")

  @Test func `the reference has every kind of event`() {
    #expect(Set(Self.vectors.entries.map(\.entry.kind)) == Set(EventKind.allCases.map(\.rawValue)))
  }

  @Test(arguments: vectors.entries)
  func `reads and writes what the reference wrote`(vector: EntryVectors.Vector) throws {
    let bytes = [UInt8](hexadecimal: vector.bytes)
    let entry = try Entry(decoding: bytes)
    #expect(try entry.encoded() == bytes)
    #expect(entry.event.kind.rawValue == vector.entry.kind)
    #expect(entry.position.index == vector.entry.index)
    #expect(entry.position.epoch == vector.entry.epoch)
  }

  @Test(arguments: vectors.refused)
  func `refuses what the reference refuses`(refused: EntryVectors.Refused) {
    #expect(throws: EntryError.self) {
      try Entry(decoding: [UInt8](hexadecimal: refused.bytes))
    }
  }
}

struct EntryVectors: Decodable {
  struct Vector: Decodable, CustomTestStringConvertible {
    struct Place: Decodable {
      let kind: UInt16
      let index: UInt64
      let epoch: UInt32
    }
    let name: String
    let entry: Place
    let bytes: String
    let digest: String
    let root: String?
    var testDescription: String { "\(entry.index): \(name)" }
  }
  struct Refused: Decodable, CustomTestStringConvertible {
    let why: String
    let bytes: String
    var testDescription: String { why }
  }
  let entries: [Vector]
  let refused: [Refused]
}

/// The content of a vector file.
func read<Content: Decodable>(_ name: String) -> Content {
  let file = Checkout.file("Tests/JournalTests/Vectors/\(name)")
  do {
    return try JSONDecoder().decode(Content.self, from: Data(contentsOf: file))
  } catch {
    preconditionFailure("the vectors in \(file.path) are not readable: \(error)")
  }
}

extension [UInt8] {
  /// The bytes that pairs of hexadecimal digits stand for.
  init(hexadecimal text: String) {
    let digits = text.utf8.map { UInt8($0) }
    self = stride(from: 0, to: digits.count, by: 2).map { at in
      UInt8(String(decoding: digits[at...at + 1], as: UTF8.self), radix: 16)!
    }
  }
}
