import ArgumentParser
import Journal
import Projections

/// `replay --dry-run`: the index that serves against a replay of the journal, row by row.
struct ComparisonOutput {
  private let session: StoreSession
  private let json: Bool

  init(_ session: StoreSession, json: Bool) {
    self.session = session
    self.json = json
  }

  func run() throws {
    let index = try projections { () throws(ProjectionError) in
      try session.index.open(store: session.journal.store).reader
    }
    // What is appended meanwhile belongs to neither.
    let checkpoint = try projections { () throws(ProjectionError) in try index.beginSnapshot() }
    do throws(JournalError) { _ = try session.journal.refresh() } catch {
      throw CommandFailure(error)
    }
    try StoreSession.check(checkpoint, at: index.path, against: session.journal)
    let scratch = ScratchIndex(for: session.index)
    _ = try IndexReplacement(session).run(
      into: scratch.path, through: checkpoint.position.index, isKept: false)
    let found = try projections { () throws(ProjectionError) in
      try IndexComparison.firstDifference(of: index, from: IndexReader(path: scratch.path))
    }
    guard let found else { return sayEqual(index.path, checkpoint.position) }
    try say(found, index.path, checkpoint.position)
    throw ExitCode(ExitStatus.finding.rawValue)
  }

  /// The first difference as a sentence, with a space before it; nothing where it can't be told.
  static func firstDifference(of index: IndexReader, from path: String) -> String {
    guard let replay = try? IndexReader(path: path),
      let found = try? IndexComparison.firstDifference(of: index, from: replay)
    else { return "" }
    return " First difference: \(name(of: found)): \(sentence(found))"
  }

  private func sayEqual(_ path: String, _ position: Position) {
    if json {
      let fields: [String: JSONValue] = [
        "index": .text(path), "agrees": .flag(true), "position": .printed(position),
      ]
      return Console.print(JSONValue.object(fields).line)
    }
    Console.say("The index \(path) is, row by row, what the journal says up to \(position).")
  }

  private func say(
    _ difference: IndexDifference, _ path: String, _ position: Position
  ) throws(CommandFailure) {
    let history = try session.history()
    let naming = CellNaming(history, upTo: position.index)
    let entry = try entry(behind: difference, history, upTo: position.index)
    if json {
      var fields: [String: JSONValue] = [
        "index": .text(path), "agrees": .flag(false), "position": .printed(position),
        "table": .text(difference.table), "key": .text(difference.key),
        "difference": .text(Self.word(difference.what)),
        "changes": DifferenceOutput.fields(difference.changes), "entry": .null,
      ]
      if let entry {
        fields["entry"] = .object(
          EntryOutput.fields(of: entry).merging(
            ["text": .text(EntryOutput.sentence(entry.event, naming))]) { $1 })
      }
      return Console.print(JSONValue.object(fields).line)
    }
    Console.say("The index \(path) is not what the journal says up to \(position).")
    Console.say(
      "First difference: \(Self.name(of: difference)): \(Self.sentence(difference))")
    if !difference.changes.isEmpty {
      Console.say(
        "From the index to the journal: \(DifferenceOutput.sentence(difference.changes, naming)).")
    }
    if let entry {
      Console.say(
        "The journal has it by \(entry.position) (\(entry.orderedAt)): "
          + "\(EntryOutput.sentence(entry.event, naming)), by \(EntryOutput.author(of: entry)).")
    }
    Console.print("'cellmap replay' makes the index again; the old file stays beside it.")
  }

  /// The entry that explains what should be there: of the first part that differs, or of the row.
  private func entry(
    behind difference: IndexDifference, _ history: MapHistory, upTo index: UInt64
  ) throws(CommandFailure) -> Entry? {
    if let entity = difference.entity, let part = difference.changes.first?.name,
      difference.what != .surplus
    {
      let origins = try projections { () throws(ProjectionError) in
        try history.origins(of: entity, at: index)
      }
      if let origin = origins.first(where: { $0.field.name == part }) { return origin.entry }
    }
    // Of a row that shouldn't be there, the entry that took it away.
    var place = difference.entry
    if place == nil, let entity = difference.entity {
      place = try projections { () throws(ProjectionError) in
        try history.indexes(of: entity, upTo: index).last
      }
    }
    guard let place else { return nil }
    do throws(JournalError) { return try session.journal.entry(at: place) } catch {
      throw CommandFailure(error)
    }
  }

  /// The row: the key alone where it says what it is of.
  private static func name(of difference: IndexDifference) -> String {
    difference.key.hasPrefix(difference.table)
      ? difference.key : "\(difference.table) \(difference.key)"
  }

  private static func sentence(_ difference: IndexDifference) -> String {
    switch difference.what {
    case .missing: "the index lacks the row."
    case .surplus: "the index has a row that should not be there."
    case .differs: "the rows differ."
    case .damaged: "the row is not what its own checksum says."
    case .bucket: "all rows agree, and the bucket counts others."
    }
  }

  private static func word(_ what: IndexDifference.What) -> String {
    switch what {
    case .missing: "missing"
    case .surplus: "surplus"
    case .differs: "differs"
    case .damaged: "damaged"
    case .bucket: "bucket"
    }
  }
}
