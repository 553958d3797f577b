/// What some entries in a row are, in numbers.
public struct EntrySummary: Sendable {
  /// One entry of them.
  public struct Item: Sendable {
    public let position: Position
    public let orderedAt: Timestamp
    public let kind: String
  }

  public private(set) var count: UInt64 = 0
  public private(set) var first: Item?
  public private(set) var last: Item?
  /// How many entries there are of each kind, by name.
  public private(set) var kinds: [String: UInt64] = [:]
  /// How many entries each actor wrote.
  public private(set) var actors: [String: UInt64] = [:]

  /// Reads the entries of a journal after `index`, up to the head that it knows.
  ///
  /// An event of a newer program is counted under its number.
  ///
  /// - Throws: The errors of damage.
  public init(of journal: EventJournal, after index: UInt64) throws(JournalError) {
    try journal.forEachEntry(after: index) { (header, bytes, start) throws(JournalError) in
      let end = start + Int(header.entryLength)
      var reader = FieldReader(bytes, from: start + EntryHeader.length, to: end)
      let actor: ByteText
      do throws(EntryError) { actor = try reader.text(.actor).required(.actor) } catch {
        throw .damagedEntry(index: header.position.index, what: "it names no actor")
      }
      add(header, by: actor)
    }
  }

  private mutating func add(_ header: EntryHeader, by actor: ByteText) {
    let kind = EventKind(rawValue: header.kind)?.name ?? "kind \(header.kind)"
    let item = Item(position: header.position, orderedAt: header.orderedAt, kind: kind)
    count += 1
    if first == nil { first = item }
    last = item
    kinds[kind, default: 0] += 1
    actors[actor.string, default: 0] += 1
  }
}
