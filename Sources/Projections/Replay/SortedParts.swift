public import Journal

/// Hands over what was set aside in partitions, part by part in the order of the UUIDs.
///
/// A part is a partition, as long as that has at most an eighth of the partitions' `memoryBytes`. A larger one
/// (the UUIDs share their first bits, as those do that begin with a time) is split by the first bits in which
/// its UUIDs differ, and so on. Only what is said of a single instance comes together at any size.
public struct SortedParts {
  /// How long that is which stands at `offset`, and of which instance it says something; nil if the bytes
  /// end before it does.
  public typealias Outline = (_ bytes: [UInt8], _ offset: Int) -> (length: Int, id: UUID128)?

  private struct Level {
    var partitions: KeyPartitions
    /// The partition that comes next.
    var next: Int
  }

  /// The partitions, then those into which one of them was split, and so on.
  private var levels: [Level]
  private let maximumBytes: Int
  private let memoryBytes: Int
  private let outline: Outline

  /// - Parameter first: The partitions before it are passed over.
  public init(_ partitions: KeyPartitions, from first: Int = 0, _ outline: @escaping Outline) {
    levels = [Level(partitions: partitions, next: first)]
    maximumBytes = partitions.memoryBytes / 8
    // What is not much too large is split without a file.
    memoryBytes = partitions.memoryBytes / 4
    self.outline = outline
  }

  /// How many of the partitions are handed over whole; nil if more of one is to come.
  var wholePartitions: Int? {
    let isWhole = levels.dropFirst().allSatisfy { $0.next >= $0.partitions.count }
    return isWhole ? levels[0].next : nil
  }

  /// Moves the next part into `bytes`, and where what stands in it, by instance and then by what came first, into
  /// `places`; both are emptied before. A part may be empty.
  ///
  /// - Returns: False after the last.
  /// - Throws: `file`; `damaged` if what was set aside reads otherwise.
  public mutating func next(
    into bytes: inout [UInt8], at places: inout [KeyPartitions.Place]
  ) throws(ProjectionError) -> Bool {
    while let level = nextLevel() {
      let partition = levels[level].next
      levels[level].next += 1
      if levels[level].partitions.size(of: partition) > maximumBytes,
        let parts = try levels[level].partitions.split(
          partition, memoryBytes: memoryBytes, outline)
      {
        levels.append(Level(partitions: parts, next: 0))
        continue
      }
      try levels[level].partitions.take(partition, into: &bytes)
      try sort(bytes, into: &places)
      return true
    }
    return false
  }

  /// The innermost level that isn't at its end; nil if none is left.
  private mutating func nextLevel() -> Int? {
    while let last = levels.last, last.next >= last.partitions.count {
      if levels.count == 1 { return nil }
      levels.removeLast()
    }
    return levels.count - 1
  }

  private func sort(
    _ bytes: [UInt8], into places: inout [KeyPartitions.Place]
  ) throws(ProjectionError) {
    places.removeAll(keepingCapacity: true)
    let end = try Self.forEach(in: bytes, outline) { (_, place, id) throws(ProjectionError) in
      places.append(KeyPartitions.Place(id: id, offset: place.lowerBound))
    }
    guard end == bytes.count else { throw levels[0].partitions.incomplete }
    places.sort()
  }

  /// Gets the bytes, where in them something stands, and of which instance it is.
  public typealias Visit = (
    _ bytes: [UInt8], _ place: Range<Int>, _ id: UUID128
  ) throws(ProjectionError) -> Void

  /// Calls `body` with each thing that is whole in `bytes`.
  ///
  /// - Returns: Where the last one ends.
  public static func forEach(
    in bytes: [UInt8], _ outline: Outline, _ body: Visit
  ) throws(ProjectionError) -> Int {
    var offset = 0
    while let (length, id) = outline(bytes, offset) {
      try body(bytes, offset..<offset + length, id)
      offset += length
    }
    return offset
  }
}
