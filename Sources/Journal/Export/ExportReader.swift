internal import Glibc

/// Walks a complete export from its first to its last line, and checks all of it: each line against the
/// entry in it, each entry after the one before, each root, each proof, the end.
struct ExportReader {
  let path: String
  let header: ExportHeader
  private let file: LineFile
  private var hash = RunningDigest()
  private(set) var tip = JournalTip.empty
  private var isAtEnd = false

  /// Bytes of the entries that are handed over at once, about.
  private static let batchBytes = 16 << 20

  /// Opens an export and reads its header.
  ///
  /// - Throws: `notAnExport`, `newerFormat`, `notComplete`, `line`, `file`.
  init(_ path: String) throws(ExportError) {
    self.path = path
    do throws(FileError) { file = try LineFile(path) } catch {
      if error.isMissing { throw .notAnExport(path: path, why: "there is no such file") }
      guard error.code == ESPIPE else { throw .file(error) }
      throw .notAnExport(path: path, why: "it is a pipe, and the file is read twice")
    }
    let first: [UInt8]?
    do throws(ExportError) { first = try file.next() } catch {
      guard case .line = error else { throw error }
      throw .notAnExport(path: path, why: "its first line is another")
    }
    guard let first else { throw .notAnExport(path: path, why: "it is empty") }
    header = try ExportHeader(parsing: first, of: path)
    guard header.isComplete, header.first == 1, header.entities == nil else {
      throw .notComplete(path: path)
    }
    add(first)
  }

  /// Reads on, and puts the next entries into a batch.
  ///
  /// - Returns: False once the end was read, and the batch has nothing more.
  /// - Throws: `line` with the first that is wrong, `newerEntry`, `file`.
  mutating func read(into batch: inout AppendBatch) throws(ExportError) -> Bool {
    batch.begin(after: tip)
    while !isAtEnd, batch.byteCount < Self.batchBytes {
      if tip.position.index < header.position.index {
        try readEntry(into: &batch)
      } else {
        try readEnd()
      }
    }
    return batch.byteCount > 0
  }

  private mutating func readEntry(into batch: inout AppendBatch) throws(ExportError) {
    guard let line = try file.next() else { throw wrong("the file ends before it") }
    let entry: EntryLine
    do throws(EntryError) { entry = try EntryLine(parsing: line) } catch .malformed(let what) {
      throw wrong(what)
    } catch {
      throw .newerEntry(path: path, number: file.number, error)
    }
    try checkProof(of: entry)
    if tip.position.index == 0 { try checkFirst(entry) }
    do throws(JournalError) {
      try batch.copy(EntryChunk(entry), of: path, after: &tip)
    } catch {
      throw wrong(error.accusation)
    }
    if tip.position.index == header.position.index {
      guard tip.position == header.position, entry.root == header.root else {
        throw wrong("it isn't the last entry of which the first line speaks")
      }
    }
    add(line)
  }

  private func checkProof(of entry: EntryLine) throws(ExportError) {
    guard (entry.path != nil) == header.hasProofs else {
      throw wrong("a proof is missing or too much")
    }
    guard let path = entry.path else { return }
    let proof = InclusionProof(
      index: entry.index, digest: entry.digest, size: header.position.index, root: header.root,
      path: path)
    guard proof.isValid else { throw wrong("its proof does not lead to the root") }
  }

  /// The first entry says whose journal it is.
  private func checkFirst(_ entry: EntryLine) throws(ExportError) {
    guard let first = try? Entry(decoding: entry.entry),
      case .store(.epochOpened(let opening)) = first.event,
      opening.store == header.store
    else { throw wrong("it does not open the journal of store \(header.store)") }
  }

  private mutating func readEnd() throws(ExportError) {
    guard let line = try file.next() else { throw wrong("the file ends before it") }
    let end = ExportEnd(entries: header.position.index, sha256: hash.digest)
    guard line == Array(end.text.utf8) else {
      throw wrong("the number of entries or the digest of the lines before is another")
    }
    guard try file.next() == nil else { throw wrong("it comes after the end") }
    isAtEnd = true
  }

  private mutating func add(_ line: [UInt8]) {
    hash.add(line[...])
    hash.add([UInt8(ascii: "\n")])
  }

  private func wrong(_ what: String) -> ExportError {
    .line(path: path, number: max(file.number, 1), what: what)
  }
}

extension JournalError {
  /// What is wrong with an entry, without what to do about a journal.
  fileprivate var accusation: String {
    switch self {
    case .damagedEntry(_, let what), .damagedTree(_, let what): what
    case .missingEntry(let index): "entry \(index) should be there"
    default: description
    }
  }
}
