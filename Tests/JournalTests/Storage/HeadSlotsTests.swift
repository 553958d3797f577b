import Foundation
@testable import Journal
import Testing

@Suite struct HeadSlotsTests {
  static let vectors: HeadVectors = read("head.json")

  @Test(arguments: vectors.heads)
  func `reads what the reference wrote`(vector: HeadVectors.Vector) throws {
    try withTemporaryDirectory { folder in
      let path = folder + "/HEAD"
      try Data([UInt8](hexadecimal: vector.file)).write(to: URL(filePath: path))
      let witness = try HeadSlots.read(path)
      #expect(witness?.store.description == vector.head?.store)
      #expect(witness?.position.epoch == vector.head?.epoch)
      #expect(witness?.position.index == vector.head?.index.value)
      #expect(witness?.root.description == vector.head?.root)
      #expect(witness?.sequence == vector.head?.sequence.value)
    }
  }

  @Test func `writes the slots in turn, also after others have written`() throws {
    try withTemporaryDirectory { folder in
      let path = folder + "/HEAD"
      let writers = [HeadSlots(path), HeadSlots(path)]
      let store = StoreID(.random())
      for index in 1...20 as ClosedRange<UInt64> {
        let before = try? Data(contentsOf: URL(filePath: path))
        try writers[Int(index / 2) % 2].write(
          store: store, position: Position(epoch: 1, index: index), root: TreeHash.empty, at: .now)
        #expect(try HeadSlots.read(path)?.position.index == index)
        #expect(try HeadSlots.read(path)?.sequence == index)
        let after = try Data(contentsOf: URL(filePath: path))
        let kept = index % 2 == 0 ? 512..<1024 : 0..<512
        if let before, before.count == 1024 { #expect(before[kept] == after[kept]) }
      }
      try writers[0].sync()
    }
  }

  @Test func `a missing, empty, short or long file says nothing`() throws {
    try withTemporaryDirectory { folder in
      let path = folder + "/HEAD"
      #expect(try HeadSlots.read(path) == nil)
      for count in [0, 1, 512, 1023, 1025, 100_000] {
        try Data(repeating: 0, count: count).write(to: URL(filePath: path))
        #expect(try HeadSlots.read(path) == nil)
      }
    }
  }
}

struct HeadVectors: Decodable {
  struct Vector: Decodable, CustomTestStringConvertible {
    struct Head: Decodable {
      let epoch: UInt32
      let store: String
      let index: WholeNumber
      let root: String
      let sequence: WholeNumber
    }
    let name: String
    let file: String
    let head: Head?
    var testDescription: String { name }
  }
  let heads: [Vector]
}

/// A number that stands as text where JSON readers would round it.
struct WholeNumber: Decodable {
  let value: UInt64

  init(from decoder: any Decoder) throws {
    let container = try decoder.singleValueContainer()
    if let number = try? container.decode(UInt64.self) {
      value = number
    } else {
      value = try #require(UInt64(try container.decode(String.self)))
    }
  }
}
