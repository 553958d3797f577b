/// Walks the entries of a snapshot in order, wherever they are: in an archive, or in the journal's file.
///
/// As a `TreeCursor` over the entries: after a successful `seek` or `next` it stands on a record.
struct EntryCursor {
  private let snapshot: JournalSnapshot
  private var inFile: TreeCursor
  /// The tile in which it stands, if that is archived.
  private var archived: ArchivedTile?
  private var tile: UInt64 = 0
  private var place = 0

  private static let width = UInt64(TileLayout.width)

  init(_ snapshot: JournalSnapshot) {
    self.snapshot = snapshot
    inFile = TreeCursor(snapshot.entries, of: snapshot.file)
  }

  var key: UInt64 {
    archived == nil ? inFile.key : tile * Self.width + UInt64(place) + 1
  }
  var range: Range<Int> { archived?.records[place] ?? inFile.range }
  /// The buffer that holds the value.
  var bytes: [UInt8] { archived?.bytes ?? inFile.bytes }
  /// The file that it stands in.
  var path: String {
    archived == nil ? snapshot.file.path : snapshot.archive?.segment(ofTile: tile).path ?? ""
  }

  /// An error about the entry it stands on, which names the archive's file if that has it.
  func naming(_ error: JournalError) -> JournalError {
    guard archived != nil, case .damagedEntry(let index, let what) = error else { return error }
    return .archiveDamaged(path: path, what: "entry \(index) in it: \(what)")
  }

  /// Moves to the entry of an index, or the first one after it; false if there is none.
  ///
  /// The last archived entry is in the journal's file as well, and is read there.
  ///
  /// - Throws: `corrupt`, `truncated`, `archiveMissing`, `archiveDamaged`, `file`.
  mutating func seek(_ index: UInt64) throws(JournalError) -> Bool {
    guard index < snapshot.record.firstIndex else { return try seekInFile(index) }
    let wanted = max(index, 1) - 1
    try load(tile: wanted / Self.width)
    place = Int(wanted % Self.width)
    return true
  }

  private mutating func seekInFile(_ index: UInt64) throws(JournalError) -> Bool {
    archived = nil
    return try inFile.seek(index)
  }

  private mutating func load(tile: UInt64) throws(JournalError) {
    if archived != nil, self.tile == tile { return }
    guard let archive = snapshot.archive else {
      preconditionFailure("a journal that begins later names its archives")
    }
    archived = try archive.segment(ofTile: tile).tile(tile)
    self.tile = tile
  }

  /// Moves to the next entry; false at the end. Only after a successful move.
  mutating func next() throws(JournalError) -> Bool {
    guard archived != nil else { return try inFile.next() }
    if place + 1 < TileLayout.width {
      place += 1
      return true
    }
    let index = key + 1
    guard index <= snapshot.archivedCount else { return try seekInFile(index) }
    try load(tile: tile + 1)
    place = 0
    return true
  }
}
