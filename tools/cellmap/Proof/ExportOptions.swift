import ArgumentParser
import Foundation
import Journal

/// Which entries are exported.
struct ExportOptions: ParsableArguments {
  @Option(
    help: ArgumentHelp(
      "From an entry (42 or 1:42), a time (2026-01-31T12:00:00Z) or an age ('2h ago') on.",
      valueName: "when"))
  var from: String?
  @Option(
    help: ArgumentHelp(
      "Up to an entry, a time or an age; the tree is that of the entries up to it.",
      valueName: "when"))
  var to: String?
  @Option(help: "Only entries about this cell (name or UUID); may be repeated.")
  var cell: [String] = []
  @Option(help: "Only entries about this host; may be repeated.") var host: [String] = []
  @Option(help: "Only entries about this instance (UUID); may be repeated.")
  var instance: [String] = []

  func validate() throws {
    for text in instance where InstanceID(text) == nil {
      throw ValidationError("--instance wants a UUID of 36 characters.")
    }
  }

  var isEverything: Bool { from == nil && to == nil && isAboutEverything }
  private var isAboutEverything: Bool { cell.isEmpty && host.isEmpty && instance.isEmpty }

  /// The words for the hidden half, with cells by their UUIDs.
  ///
  /// - Throws: `unknown` for a thing of which the journal has no entry at all.
  func words(_ session: StoreSession) throws(CommandFailure) -> [String] {
    var words: [String] = []
    // An age is told once, as the time that it is.
    if let from { words.append("--from=\(try PastWhen.moment(from, "--from"))") }
    if let to { words.append("--to=\(try PastWhen.moment(to, "--to"))") }
    guard !isAboutEverything else { return words }
    let indexes = try selection(in: session.journal).indexes
    let history = try session.history()
    for text in host.map({ "host:\($0)" }) + instance.map({ "instance:\($0)" }) {
      _ = try EntityArgument.entity(text, history)
    }
    // A cell that is gone, or has another name by now, is found under the name that it bore.
    for text in cell {
      let id = try EntityArgument.cell(
        text, history, during: indexes.lowerBound - 1...indexes.upperBound)
      words.append("--cell=\(id)")
    }
    return words + host.map { "--host=\($0)" } + instance.map { "--instance=\($0)" }
  }

  /// The entries, in a journal that knows its head.
  func selection(in journal: EventJournal) throws(CommandFailure) -> ExportSelection {
    let last = try to.map { (text) throws(CommandFailure) in
      try OpenJournal.position(text, in: journal).index
    }
    let first = try from.map { (text) throws(CommandFailure) in
      try firstIndex(text, in: journal)
    }
    let (low, high) = (first ?? 1, last ?? journal.head.position.index)
    guard low <= high else {
      throw CommandFailure(.usage, "There are no entries from \(low) to \(high). Nothing was made.")
    }
    guard !isAboutEverything else { return ExportSelection(indexes: low...high) }
    let entities =
      cell.compactMap { CellID($0) }.map { EntityKey.cell($0) }
      + host.map { .host(ByteText($0)) }
      + instance.compactMap { InstanceID($0) }.map { .instance($0) }
    return ExportSelection(indexes: low...high, entities: Set(entities))
  }

  /// The entry itself, or the first one that is not earlier than a time.
  private func firstIndex(
    _ text: String, in journal: EventJournal
  ) throws(CommandFailure) -> UInt64 {
    guard let moment = PastMoment(text), case .time = moment else {
      return try OpenJournal.position(text, in: journal).index
    }
    try PastWhen.checkHasCome(moment, head: journal.head.orderedAt)
    do throws(JournalError) {
      return try journal.firstIndex(from: moment) ?? journal.head.position.index + 1
    } catch {
      throw CommandFailure(error)
    }
  }
}
