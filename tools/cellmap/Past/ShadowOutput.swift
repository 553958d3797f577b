import Journal
import Projections

/// `replay --without`: what would be otherwise if some entries had never been.
struct ShadowOutput {
  private let session: StoreSession
  private let json: Bool

  init(_ session: StoreSession, json: Bool) {
    self.session = session
    self.json = json
  }

  func run(_ words: [String], to: String?, limit: Int) throws(CommandFailure) {
    var selections: [EntrySelection] = []
    for text in words { selections.append(try PastWhen.selection(text, "--without")) }
    let moment = try to.map { text throws(CommandFailure) in try PastWhen.moment(text, "--to") }
    let history = try session.history()
    let point = try session.point(at: moment ?? .position(history.head))
    var ranges: [ClosedRange<UInt64>] = []
    for (selection, text) in zip(selections, words) {
      ranges += try indexes(of: selection, text)
    }
    let found = try projections { () throws(ProjectionError) in
      try history.map(without: Self.merged(ranges), at: point.position)
    }
    guard let shadow = found else {
      throw CommandFailure(
        .usage,
        "Those entries are about more than \(MapDifference.maximumEntities) things: leave fewer out."
      )
    }
    guard shadow.leftOut > 0 else {
      throw CommandFailure(.usage, "All of those entries come after \(point.position).")
    }
    let naming = CellNaming(history, upTo: point.position.index)
    if json { printJSON(shadow, point, naming) } else { print(shadow, point, naming, limit: limit) }
  }

  private func indexes(
    of selection: EntrySelection, _ text: String
  ) throws(CommandFailure) -> [ClosedRange<UInt64>] {
    if case .range(let range) = selection { return [try session.entries(in: range)] }
    let found: [ClosedRange<UInt64>]
    do throws(JournalError) { found = try session.journal.indexes(of: selection) } catch {
      throw CommandFailure(error)
    }
    guard !found.isEmpty else {
      throw CommandFailure(
        .usage, "No entry of the journal belongs to a request \(text). 'audit who' shows requests.")
    }
    return found
  }

  /// The same entries, in order, each once.
  private static func merged(_ ranges: [ClosedRange<UInt64>]) -> [ClosedRange<UInt64>] {
    var merged: [ClosedRange<UInt64>] = []
    for range in ranges.sorted(by: { $0.lowerBound < $1.lowerBound }) {
      if let last = merged.last, range.lowerBound <= last.upperBound + 1 {
        merged[merged.count - 1] = last.lowerBound...max(last.upperBound, range.upperBound)
      } else {
        merged.append(range)
      }
    }
    return merged
  }

  private func print(_ shadow: MapWithout, _ point: PastPoint, _ naming: CellNaming, limit: Int) {
    Console.print(
      "From the map at \(point.position) (\(point.orderedAt)) to one without "
        + "\(counted(shadow.leftOut, "entry")); nothing was changed:")
    DifferenceReport(shadow.differences, naming: naming)
      .print(entries: "LEFT OUT", empty: "Nothing would be different.", limit: limit)
    if shadow.unchanged > 0 {
      let isOne = shadow.unchanged == 1
      Console.print(
        "\(counted(shadow.unchanged, "thing")) would be what \(isOne ? "it is" : "they are") now.")
    }
    guard shadow.misfitCount > 0 else { return }
    Console.print("\nEntries that make no sense without those:")
    var table = Table("POSITION", "THING", "WHAT", "WHY NOT")
    for misfit in shadow.misfits.prefix(limit == 0 ? .max : limit) {
      naming.upTo = misfit.entry.position.index
      table.add(
        "\(misfit.entry.position)", StepOutput.name(of: misfit.entry.event.entity, naming),
        EntryOutput.sentence(misfit.entry.event, naming), Self.sentence(misfit.why, naming))
    }
    table.print(empty: "")
    let rest = shadow.misfitCount - min(shadow.misfits.count, limit == 0 ? .max : limit)
    if rest > 0 { Console.remark("\(rest) more of them: give a larger --limit, or --json.") }
  }

  private func printJSON(_ shadow: MapWithout, _ point: PastPoint, _ naming: CellNaming) {
    let report = DifferenceReport(shadow.differences, naming: naming)
    report.printJSON()
    for misfit in shadow.misfits {
      naming.upTo = misfit.entry.position.index
      var fields = EntryOutput.fields(of: misfit.entry)
      fields.merge(misfit.entry.event.entity.fields) { $1 }
      fields["text"] = .text(EntryOutput.sentence(misfit.entry.event, naming))
      fields["misfit"] = .text(Self.sentence(misfit.why, naming))
      Console.print(JSONValue.object(fields).line)
    }
    let fields: [String: JSONValue] = [
      "left_out": .number(shadow.leftOut), "as_before": .number(shadow.unchanged),
      "misfits": .number(shadow.misfitCount), "position": .printed(point.position),
    ]
    Console.print(JSONValue.object(fields.merging(report.sums) { $1 }).line)
  }

  private static func sentence(_ why: EventMisfit, _ naming: CellNaming) -> String {
    switch why {
    case .isThere: "it would be there already"
    case .isAbsent: "it would not be there"
    case .differs(let part): "its \(part) would be another one"
    case .noCell(let id): "there would be no cell \(naming.name(of: id))"
    }
  }
}
