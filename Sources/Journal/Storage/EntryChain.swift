/// Follows entries in order and refuses one that can't come next.
struct EntryChain: Equatable, Sendable {
  /// The last entry's; `.start` before the first.
  private(set) var position: Position
  private(set) var orderedAt: Timestamp

  static let start = EntryChain(
    position: .start, orderedAt: Timestamp(microseconds: Int64.min))

  /// Where an entry goes, and its time in the order of entries.
  mutating func next(
    opening epoch: UInt32?, observedAt: Timestamp
  ) -> (position: Position, orderedAt: Timestamp) {
    precondition(
      epoch.map { $0 > position.epoch } ?? (position.epoch > 0),
      "an epoch opens once, and nothing comes before the first")
    position = Position(epoch: epoch ?? position.epoch, index: position.index + 1)
    orderedAt = max(orderedAt, observedAt)
    return (position, orderedAt)
  }

  /// Takes the record of an entry as the next one.
  ///
  /// - Returns: Its header, and the root that stands behind it, if one does.
  /// - Throws: `missingEntry` if another should come, `damagedEntry`, `newerFormat`.
  // Hot path: once an entry on read.
  mutating func accept(
    _ bytes: [UInt8], in range: Range<Int>, key: UInt64, path: @autoclosure () -> String
  ) throws(JournalError) -> (header: EntryHeader, root: Digest?) {
    let index = position.index + 1
    guard key == index else { throw .missingEntry(index: index) }
    let header = try EntryChain.header(bytes, in: range, index: index, path: path())
    let opensEpoch = header.kind == EventKind.epochOpened.rawValue
    guard header.position.index == index else {
      throw .damagedEntry(index: index, what: "it says that it is \(header.position.index)")
    }
    guard
      opensEpoch
        ? header.position.epoch > position.epoch
        : header.position.epoch == position.epoch && position.epoch > 0
    else { throw .damagedEntry(index: index, what: "its epoch is \(header.position.epoch)") }
    guard header.orderedAt >= orderedAt else {
      throw .damagedEntry(index: index, what: "it is earlier than the one before")
    }
    position = header.position
    orderedAt = header.orderedAt
    return (header, EntryChain.root(bytes, in: range, behind: header))
  }

  static func header(
    _ bytes: [UInt8], in range: Range<Int>, index: UInt64, path: @autoclosure () -> String
  ) throws(JournalError) -> EntryHeader {
    guard range.count >= EntryHeader.length else {
      throw .damagedEntry(index: index, what: "it is shorter than its fixed part")
    }
    let header: EntryHeader
    do throws(EntryError) {
      header = try EntryHeader(bytes, at: range.lowerBound)
    } catch .newerFormat(let format) {
      throw .newerFormat(path: path(), version: UInt32(format))
    } catch .malformed(let what) {
      throw .damagedEntry(index: index, what: what)
    } catch {
      throw .damagedEntry(index: index, what: "its fixed part")
    }
    let rest = range.count - Int(header.entryLength)
    guard rest == 0 || rest == 32 else {
      throw .damagedEntry(index: index, what: "\(rest) bytes stand behind it")
    }
    return header
  }

  static func root(_ bytes: [UInt8], in range: Range<Int>, behind header: EntryHeader) -> Digest? {
    let end = range.lowerBound + Int(header.entryLength)
    return end < range.upperBound ? bytes.digest(at: end) : nil
  }
}
