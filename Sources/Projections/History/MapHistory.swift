public import Journal

/// The past of a map: which entries were about a thing, and what the map said of it at any position.
///
/// The journal holds every version; the history file beside it says where. The file is kept by those who
/// ask: what it lacks is taken in when it is opened, or read at the journal's end where that is little.
/// A file that is missing, damaged or of another history is made again, and where it can't be written,
/// the journal itself is read instead: slower, and the same answers.
///
/// Belongs to one thread, and answers as of the head at its opening or its last `refresh`.
public final class MapHistory {
  public let journal: EventJournal
  /// The last entry that answers take into account.
  public private(set) var head = Position.start
  /// Why the file could not be brought up, if it couldn't; nil also while another process is at it.
  public private(set) var failure: ProjectionError?

  private let keeping: HistoryKeeping
  private var file: HistoryFile?
  /// Entries that the file may lack, by hash.
  private var tail: [Int64: [UInt64]] = [:]
  private let progress: (UInt64) -> Void

  /// Entries at the journal's end that are read rather than taken into the file: some milliseconds.
  public static let maximumTail: UInt64 = 4_096

  /// Opens the history of a journal.
  ///
  /// Blocks for about two seconds for each million entries that the file lacks; takes no lease and holds
  /// up no writer.
  ///
  /// - Parameter progress: Is told, now and then, the last entry that was taken in.
  /// - Throws: `journal` for damage, `unreadableEntry` for an event of a newer program, `file` if the
  ///   folder can't be read.
  public init(
    of journal: EventJournal, progress: @escaping (UInt64) -> Void = { _ in }
  ) throws(ProjectionError) {
    self.journal = journal
    self.progress = progress
    keeping = HistoryKeeping(journal)
    try refresh()
  }

  /// Moves on to the journal's head.
  ///
  /// - Throws: As `init`.
  public func refresh() throws(ProjectionError) {
    _ = try reading { () throws(JournalError) in try journal.refresh() }
    var serving = try keeping.serving()
    let reached = serving?.checkpoint.position.index ?? 0
    if journal.head.position.index - reached > Self.maximumTail, try bringUp() {
      serving = try keeping.serving()
    }
    file = serving?.file
    try readTail(after: serving?.checkpoint.position.index ?? 0)
  }

  /// - Returns: Whether the file is up; if not, the journal is read.
  private func bringUp(again: Bool = false) throws(ProjectionError) -> Bool {
    failure = nil
    do throws(ProjectionError) {
      return try keeping.catchUp(again: again, progress: progress)
    } catch {
      switch error {
      case .damaged where !again: return try bringUp(again: true)
      case .file, .sqlite, .busy, .damaged, .fileExists, .journal(.file):
        failure = error
        return false
      default: throw error
      }
    }
  }

  private func readTail(after index: UInt64) throws(ProjectionError) {
    head = journal.head.position
    tail.removeAll(keepingCapacity: true)
    try keeping.scan(after: index, progress) { (touches, _) in
      for touch in touches { tail[touch.entity, default: []].append(touch.entry) }
    }
  }

  // MARK: Entries

  /// The indexes of the entries that are about a thing, ascending, up to the one at `last`.
  ///
  /// - Parameter last: nil for the head.
  /// - Throws: As `init`.
  public func indexes(
    of entity: EntityKey, upTo last: UInt64? = nil
  ) throws(ProjectionError) -> [UInt64] {
    // Two things may share a hash: the entries tell.
    try entries(of: entity, upTo: last).map(\.position.index)
  }

  /// The entries that are about a thing, in order, up to the one at `last`.
  ///
  /// - Throws: As `init`.
  public func entries(
    of entity: EntityKey, upTo last: UInt64? = nil
  ) throws(ProjectionError) -> [Entry] {
    try entries(under: HistoryTouch.mark(of: entity), upTo: last)
      .filter { $0.event.entity == entity }
  }

  /// The last entry about a thing, up to the one at `last`, of which `tells` says so; read from the end,
  /// so that a long past before it costs nothing.
  ///
  /// - Throws: As `init`.
  public func lastEntry(
    of entity: EntityKey, upTo last: UInt64, where tells: (Entry) -> Bool
  ) throws(ProjectionError) -> Entry? {
    var rest = try touched(HistoryTouch.mark(of: entity)).filter { $0 <= min(last, head.index) }[
      ...]
    while !rest.isEmpty {
      let part = Array(rest.suffix(Self.entriesOfOneReading))
      rest = rest.dropLast(part.count)
      let entries = try reading { () throws(JournalError) in try journal.entries(at: part) }
      let found = entries.last { $0.event.entity == entity && tells($0) }
      if let found { return found }
    }
    return nil
  }

  /// The entries that brought things of a kind into the map; of cells and hosts alone.
  func arrivals(
    of kind: EntityKey.Kind, upTo last: UInt64
  ) throws(ProjectionError) -> [Entry] {
    try entries(under: HistoryTouch.catalogue(of: kind), upTo: last)
  }

  private func entries(
    under mark: Int64, upTo last: UInt64?
  ) throws(ProjectionError) -> [Entry] {
    let end = min(last ?? head.index, head.index)
    let indexes = try touched(mark).filter { $0 <= end }
    return try reading { () throws(JournalError) in try journal.entries(at: indexes) }
  }

  /// What the map held of some things after the entry at `index`, of those of which it held anything.
  ///
  /// - Throws: As `init`.
  public func rows(
    of entities: [EntityKey], at index: UInt64
  ) throws(ProjectionError) -> [EntityKey: EntityRow] {
    let end = min(index, head.index)
    var indexes: Set<UInt64> = []
    for entity in entities {
      for entry in try touched(HistoryTouch.mark(of: entity)) where entry <= end {
        indexes.insert(entry)
      }
    }
    let wanted = Set(entities)
    var rows: [EntityKey: EntityRow] = [:]
    var rest = indexes.sorted()[...]
    while !rest.isEmpty {
      // Some at a time, so that many entries don't take more memory than few.
      let part = Array(rest.prefix(Self.entriesOfOneReading))
      rest = rest.dropFirst(part.count)
      for entry in try reading({ () throws(JournalError) in try journal.entries(at: part) }) {
        let entity = entry.event.entity
        guard wanted.contains(entity) else { continue }
        rows[entity] = EntityRow.folded(
          entry.event, at: entry.position.index, into: rows[entity])
      }
    }
    return rows
  }

  private static let entriesOfOneReading = 1_000

  private func touched(_ mark: Int64) throws(ProjectionError) -> [UInt64] {
    guard let file else { return tail[mark] ?? [] }
    let answer: (entries: [UInt64], checkpoint: IndexCheckpoint)
    do throws(ProjectionError) {
      answer = try file.entries(under: mark)
    } catch .damaged {
      try replaceFile()
      return try touched(mark)
    }
    let reached = answer.checkpoint.position.index
    return answer.entries + (tail[mark] ?? []).filter { $0 > reached }
  }

  /// Makes a damaged file again; where that can't be, goes on without one.
  private func replaceFile() throws(ProjectionError) {
    file = nil
    guard try bringUp(again: true) else { return try readTail(after: 0) }
    let serving = try keeping.serving()
    file = serving?.file
    try readTail(after: serving?.checkpoint.position.index ?? 0)
  }
}

extension MapHistory {
  /// The history file of a store; nil if it has none, or one of another history.
  ///
  /// - Throws: As `init`.
  public static func find(of journal: EventJournal) throws(ProjectionError) -> FoundHistory? {
    let keeping = HistoryKeeping(journal)
    return try keeping.serving().map {
      FoundHistory(path: keeping.files.path(of: $0.number), checkpoint: $0.checkpoint)
    }
  }

  /// Makes the history file again from the journal; the old one serves until the new one does.
  ///
  /// - Returns: false if another process is writing it.
  /// - Throws: As `HistoryKeeping.catchUp`: what the journal holds, or why the file can't be written.
  public static func makeAgain(
    of journal: EventJournal, progress: (UInt64) -> Void = { _ in }
  ) throws(ProjectionError) -> Bool {
    _ = try reading { () throws(JournalError) in try journal.refresh() }
    return try HistoryKeeping(journal).catchUp(again: true, progress: progress)
  }

  /// Compares the history file, row by row, with what the journal says up to the file's checkpoint.
  ///
  /// Reads both whole: about a second for each million entries.
  ///
  /// - Returns: The digest of its content, and how far it has come; nil if there is none.
  /// - Throws: `damaged` with the first thing found; as `init`.
  public static func check(
    of journal: EventJournal
  ) throws(ProjectionError) -> (digest: Digest, checkpoint: IndexCheckpoint)? {
    let keeping = HistoryKeeping(journal)
    guard let (_, file, _) = try keeping.serving() else {
      try keeping.checkReadable()
      return nil
    }
    let (found, checkpoint) = try file.check()
    _ = try reading { () throws(JournalError) in try journal.refresh() }
    var expected = HistoryBuckets()
    func add(_ touches: [HistoryTouch], _: Position) {
      for touch in touches where touch.entry <= checkpoint.position.index { expected.add(touch) }
    }
    try keeping.scan(after: 0, batch: 1 << 16, { _ in }, add)
    if let number = expected.difference(from: found) {
      throw .damaged(
        path: file.path, what: "bucket \(number) isn't what the journal says")
    }
    return (found.digest, checkpoint)
  }
}
