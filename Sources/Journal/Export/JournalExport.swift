/// Writes entries of a journal into a file that others can read: JSON lines, or CloudEvents.
///
/// Memory doesn't grow with the journal. It reads old entries, so a serving process leaves it to a
/// child process.
public struct JournalExport {
  /// What a line is.
  public enum Form: String, Sendable, CaseIterable {
    /// A header, the entries with their bytes, and an end: nothing is lost.
    case jsonLines = "jsonl"
    /// A CloudEvent 1.0 for each entry, without its bytes.
    case cloudEvents = "cloudevents"
  }

  /// What was written.
  public struct Result: Hashable, Sendable {
    public let header: ExportHeader
    public let entries: UInt64
    public let bytes: UInt64
  }

  private let journal: EventJournal
  private let header: ExportHeader
  private let selection: ExportSelection
  private let form: Form
  private var paths: InclusionPaths?
  private let file: NewFile
  private var hash = RunningDigest()
  private var bytes: UInt64 = 0
  private var entries: UInt64 = 0

  /// Writes an export; the file has its name once this returns, and is on disk.
  ///
  /// - Parameters:
  ///   - path: Nothing may be there.
  ///   - selection: Within the head that the journal knows; the last index is the size of the tree.
  ///   - hasProofs: Whether each entry gets its path to the root; only with `jsonLines`.
  ///   - sign: Signs a checkpoint of the tree; nil to leave it out.
  /// - Throws: `targetExists`, `beingMade`; `journal` for damage; `file`. There is no file then.
  public static func write(
    _ journal: EventJournal, to path: String, _ selection: ExportSelection, as form: Form,
    hasProofs: Bool = false, sign: ((TreeCheckpoint) -> SignedNote)? = nil
  ) throws(ExportError) -> Result {
    guard let mark = try reading({ () throws(JournalError) in try WorkMark.take(path + ".making") })
    else { throw .beingMade(path: path) }
    return try withExtendedLifetime(mark) { () throws(ExportError) in
      var export = try JournalExport(
        journal, path, selection, form, hasProofs: hasProofs, sign: sign)
      return try export.run()
    }
  }

  /// Removes what a process left that was ended while it made an export; one that is being made stays.
  public static func removeAbandoned(_ path: String) {
    guard let mark = try? WorkMark.take(path + ".making") else { return }
    withExtendedLifetime(mark) { try? WorkFolder.remove(path + ".new") }
  }

  private init(
    _ journal: EventJournal, _ path: String, _ selection: ExportSelection, _ form: Form,
    hasProofs: Bool, sign: ((TreeCheckpoint) -> SignedNote)?
  ) throws(ExportError) {
    self.journal = journal
    self.selection = selection
    self.form = form
    let last = selection.indexes.upperBound
    header = try reading { () throws(JournalError) in
      let checkpoint = try journal.checkpoint(at: last)
      let chunk = try journal.chunk(from: last, through: last)
      return ExportHeader(
        store: journal.store, position: chunk.headers[0].position, root: checkpoint.root,
        first: selection.indexes.lowerBound,
        entities: selection.entities?.map(\.description).sorted {
          $0.utf8.lexicographicallyPrecedes($1.utf8)
        },
        isComplete: selection.indexes.lowerBound == 1 && selection.entities == nil
          && chunk.record(at: 0).count > Int(chunk.headers[0].entryLength),
        hasProofs: hasProofs, checkpoint: sign.map { $0(checkpoint).content })
    }
    paths = hasProofs ? InclusionPaths(of: journal, in: last) : nil
    do throws(FileError) { file = try NewFile(path) } catch {
      throw error.code == FileError.exists ? .targetExists(path: path) : .file(error)
    }
  }

  private mutating func run() throws(ExportError) -> Result {
    if form == .jsonLines { try write(line: header.text) }
    var next = selection.indexes.lowerBound
    while next <= selection.indexes.upperBound {
      let chunk = try reading { () throws(JournalError) in
        try journal.chunk(from: next, through: selection.indexes.upperBound)
      }
      for place in 0..<chunk.count { try write(entry: place, of: chunk) }
      next += UInt64(chunk.count)
    }
    if form == .jsonLines {
      try write(line: ExportEnd(entries: entries, sha256: hash.digest).text)
    }
    do throws(FileError) { try file.finish() } catch {
      throw error.code == FileError.exists ? .targetExists(path: file.path) : .file(error)
    }
    return Result(header: header, entries: entries, bytes: bytes)
  }

  private mutating func write(entry place: Int, of chunk: EntryChunk) throws(ExportError) {
    let index = chunk.headers[place].position.index
    let text: String?
    do throws(EntryError) {
      text =
        try selection.holds(chunk.headers[place], chunk.bytes, at: chunk.starts[place])
        ? try line(of: EntryLine(chunk.bytes, in: chunk.record(at: place))) : nil
    } catch {
      throw .journal(.damagedEntry(index: index, what: error.description))
    }
    guard let text else { return }
    entries += 1
    try write(line: text)
  }

  private mutating func line(of entry: EntryLine) throws(EntryError) -> String {
    var entry = entry
    if form == .cloudEvents { return try CloudEvent.line(of: entry, store: journal.store) }
    // Of some entries only, roots can't be checked, nor are they needed.
    if !header.isComplete { entry.root = nil }
    guard var paths else { return try entry.text() }
    do throws(JournalError) { entry.path = try paths.path(of: entry.index) } catch {
      throw .malformed(error.description)
    }
    self.paths = paths
    return try entry.text()
  }

  private mutating func write(line: String) throws(ExportError) {
    let line = Array(line.utf8) + [UInt8(ascii: "\n")]
    hash.add(line[...])
    bytes += UInt64(line.count)
    try exporting { () throws(FileError) in try file.write(line) }
  }
}
