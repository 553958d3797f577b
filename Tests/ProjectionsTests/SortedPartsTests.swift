import Foundation
import Journal
import TestSupport
import Testing

@testable import Projections

@Suite struct SortedPartsTests {
  /// Something that is said of an instance.
  private struct Item: Hashable {
    let id: UUID128
    let number: Int
    let filler: Int

    var bytes: [UInt8] {
      let words = [UInt64(filler), id.high, id.low, UInt64(number)]
      return words.flatMap { word in (0..<8).map { UInt8(truncatingIfNeeded: word >> (8 * $0)) } }
        + [UInt8](repeating: 7, count: filler)
    }

    init(_ id: UUID128, _ number: Int, filler: Int) {
      self.id = id
      self.number = number
      self.filler = filler
    }

    init?(in bytes: [UInt8], at offset: Int) {
      guard bytes.count - offset >= 32 else { return nil }
      let words = (0..<4).map { place in
        (0..<8).reduce(0) { $0 | UInt64(bytes[offset + 8 * place + $1]) << UInt64(8 * $1) }
      }
      self.init(
        UUID128(high: words[1], low: words[2]), Int(words[3]), filler: Int(words[0]))
      guard bytes.count - offset >= 32 + filler else { return nil }
    }

    static func outline(of bytes: [UInt8], at offset: Int) -> (length: Int, id: UUID128)? {
      Item(in: bytes, at: offset).map { (32 + $0.filler, $0.id) }
    }
  }

  /// UUIDs of which the first `shared` bits are the same, and half of them share 20 more.
  private func items(_ count: Int, shared: Int, seed: UInt64) -> [Item] {
    var generator = SeededGenerator(seed: seed)
    let prefix = UUID128(high: generator.next(), low: generator.next())
    var ids: [UUID128] = []
    return (0..<count).map { number in
      let random = UUID128(high: generator.next(), low: generator.next())
      let bits = number.isMultiple(of: 2) ? shared : min(shared + 20, 124)
      var id = random.sharing(bits, of: prefix)
      // Of some instances more than one thing is said.
      if number % 5 == 4 { id = ids[Int(random.low % UInt64(ids.count))] }
      ids.append(id)
      return Item(id, number, filler: Int(random.high % 90))
    }
  }

  @Test func `what comes in the order of the UUIDs takes no more memory`() throws {
    let items = items(20_000, shared: 0, seed: 5).sorted { $0.id < $1.id }
    let memoryBytes = 1 << 16
    try withTemporaryFolder { folder in
      var partitions = KeyPartitions(entries: 1, folder: folder, memoryBytes: memoryBytes)
      var most = 0
      for item in items {
        try partitions.add(under: item.id.high) { $0 += item.bytes }
        most = max(most, partitions.capacity)
      }
      #expect(partitions.spilledBytes > 20 * UInt64(memoryBytes))
      #expect(most <= 4 * memoryBytes)
    }
  }

  private func setAside(
    _ items: [Item], in folder: String, memoryBytes: Int, keptAt path: String? = nil
  ) throws -> KeyPartitions {
    var partitions =
      if let path {
        try KeyPartitions(entries: UInt64(items.count), keptAt: path, memoryBytes: memoryBytes)
      } else {
        KeyPartitions(entries: UInt64(items.count), folder: folder, memoryBytes: memoryBytes)
      }
    for item in items {
      try partitions.add(under: item.id.high) { $0 += item.bytes }
      if path != nil, partitions.isFull { try partitions.spill() }
    }
    return partitions
  }

  private func parts(
    of partitions: KeyPartitions, from first: Int = 0
  ) throws -> [(items: [Item], bytes: Int, whole: Int?)] {
    var parts = SortedParts(partitions, from: first, Item.outline)
    var bytes: [UInt8] = []
    var places: [KeyPartitions.Place] = []
    var found: [(items: [Item], bytes: Int, whole: Int?)] = []
    while try parts.next(into: &bytes, at: &places) {
      let items = try places.map { try #require(Item(in: bytes, at: $0.offset)) }
      found.append((items, bytes.count, parts.wholePartitions))
    }
    return found
  }

  /// A plain sort, by the UUID and then by what came first.
  private func sorted(_ items: [Item]) -> [Item] {
    items.sorted { $0.id != $1.id ? $0.id < $1.id : $0.number < $1.number }
  }

  // Of 100 bytes all that is split is in a file, and of a megabyte nothing is.
  @Test(arguments: [0, 12, 30, 64, 100], [100, 4_000, 60_000, 1 << 20])
  func `hands everything over in order, in parts under the bound`(
    shared: Int, memoryBytes: Int
  ) throws {
    try withTemporaryFolder { folder in
      let items = items(6_000, shared: shared, seed: 1)
      let partitions = try setAside(items, in: folder, memoryBytes: memoryBytes)
      let found = try parts(of: partitions)
      #expect(found.flatMap(\.items) == sorted(items))
      for part in found where Set(part.items.map(\.id)).count > 1 {
        #expect(part.bytes <= memoryBytes / 8)
      }
      // One after the other, and each at the end of one.
      #expect(found.compactMap(\.whole) == Array(1...partitions.count))
      #expect(try FileManager.default.contentsOfDirectory(atPath: folder).isEmpty)
    }
  }

  @Test func `what is said of one instance comes together, however much it is`() throws {
    try withTemporaryFolder { folder in
      var items = items(500, shared: 70, seed: 2)
      let one = items[3].id
      for number in 500..<2_500 { items.append(Item(one, number, filler: 40)) }
      // Longer than what is read of a file at once.
      items.append(Item(one, 2_500, filler: 2_500_000))
      items.append(Item(one, 2_501, filler: 0))
      let found = try parts(of: setAside(items, in: folder, memoryBytes: 8_000))
      #expect(found.flatMap(\.items) == sorted(items))
      let large = found.filter { $0.bytes > 1_000 }
      #expect(large.count == 1 && large.allSatisfy { Set($0.items.map(\.id)) == [one] })
    }
  }

  @Test func `a file that is kept isn't changed by what is split`() throws {
    try withTemporaryFolder { folder in
      let path = folder + "/kept"
      let items = items(3_000, shared: 12, seed: 3)
      var partitions = try setAside(items, in: folder, memoryBytes: 8_000, keptAt: path)
      try partitions.spill()
      let before = try Data(contentsOf: URL(filePath: path))
      let (end, hash) = (partitions.spilledBytes, partitions.spillHash)
      #expect(try parts(of: partitions).flatMap(\.items) == sorted(items))
      #expect(try Data(contentsOf: URL(filePath: path)) == before)
      #expect(partitions.spilledBytes == end && partitions.spillHash == hash)
      #expect(try FileManager.default.contentsOfDirectory(atPath: folder) == ["kept"])
      let filled = Int(items[0].id.high >> 60)
      #expect(try parts(of: partitions, from: filled + 1).flatMap(\.items).isEmpty)
    }
  }

  @Test func `what reads otherwise than it was set aside is damage`() throws {
    try withTemporaryFolder { folder in
      let item = Item(UUID128(high: 5, low: 5), 0, filler: 60)
      for isSplit in [false, true] {
        var partitions = KeyPartitions(
          entries: 1, folder: folder, memoryBytes: isSplit ? 80 : 8_000)
        try partitions.add(under: item.id.high) { $0 += item.bytes.dropLast() }
        #expect {
          _ = try parts(of: partitions)
        } throws: { error in
          if case .damaged? = error as? ProjectionError { true } else { false }
        }
      }
    }
  }
}
