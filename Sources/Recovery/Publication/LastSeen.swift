internal import Cells
internal import Journal
internal import Projections

/// What the database that is published to was last seen to hold of a thing: what the map held of it when
/// that database was last read, or last made equal to the map.
///
/// Belongs to one thread at a time.
final class LastSeen {
  private let history: MapHistory
  private let database: ByteText
  /// The last entry of the map that is published.
  private let end: UInt64
  /// The last time that map and database were compared whole; nil if they never were.
  private let comparison: Comparison?
  /// Where entries come from, and whether that is the database.
  private var known: [ByteText: Bool] = [:]

  private struct Comparison {
    let index: UInt64
    let at: Timestamp
    let request: RequestID
  }

  /// - Parameters:
  ///   - database: The public form of the database's address.
  ///   - end: The last entry of the map that is published; `history` has reached it.
  init(
    in database: ByteText, history: MapHistory, upTo end: UInt64
  ) throws(ProjectionError) {
    self.database = database
    self.history = history
    self.end = end
    let last = try history.lastEntry(of: .store, upTo: end) { entry in
      Self.transfer(entry).map { Self.isSame($0.database, database) } ?? false
    }
    comparison = last.flatMap { entry in
      Self.transfer(entry).map {
        Comparison(
          index: entry.position.index, at: $0.snapshotAt, request: entry.draft.request.id)
      }
    }
  }

  private static func transfer(_ entry: Entry) -> MapTransfer? {
    switch entry.event {
    case .store(.adopted(let transfer)), .store(.published(let transfer)): transfer
    default: nil
    }
  }

  /// - Returns: What it held, in the map's words, nil for nothing, and the entry that says so; nil as a
  ///   whole if it was never read nor written.
  func row(of entity: EntityKey) throws(ProjectionError) -> (held: EntityRow?, at: UInt64)? {
    let entries = try history.entries(of: entity, upTo: end)
    guard let last = entries.lastIndex(where: isSeen) else {
      return comparison.map { (nil, $0.index) }
    }
    var row: EntityRow?
    for entry in entries[...last] {
      row = EntityRow.folded(entry.event, at: entry.position.index, into: row)
    }
    return (row, entries[last].position.index)
  }

  /// Whether the database held what an entry says: it was read there, or both were compared since.
  private func isSeen(_ entry: Entry) -> Bool {
    if isRead(entry) { return true }
    guard let comparison, entry.position.index < comparison.index else { return false }
    // What others decided while the comparison went on wasn't in it.
    return entry.orderedAt <= comparison.at || entry.draft.request.id == comparison.request
  }

  /// Readings have entries also where they were stopped before their end.
  private func isRead(_ entry: Entry) -> Bool {
    guard let evidence = entry.draft.evidence else {
      // What has no row any more.
      return ObservedInterval(of: entry) != nil
    }
    guard Self.mappingTables.contains(evidence.table) else { return false }
    if let answer = known[evidence.source] { return answer }
    let answer = Self.isSame(evidence.source, database)
    known[evidence.source] = answer
    return answer
  }

  private static let mappingTables = Set(
    PublishedTable.mapped.map { ByteText($0.table.rawValue) })

  /// Whether two public forms may be of one database: a replica has another server, and others may read
  /// it as another user.
  static func isSame(_ one: ByteText, _ other: ByteText) -> Bool {
    if one == other { return true }
    guard let one = try? DatabaseAddress(parsing: Secret(one.string)),
      let other = try? DatabaseAddress(parsing: Secret(other.string))
    else { return false }
    return one.engine == other.engine && one.database != "" && one.database == other.database
  }
}
