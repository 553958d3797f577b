import ArgumentParser
import Journal
import Projections
import Registry

/// `cellmap revert FROM..TO`: makes things again what they were before some entries.
struct RevertCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "revert", abstract: "Undoes entries by new ones.",
    discussion: """
      What the entries from FROM to TO changed of cells, hosts and instances becomes again what it was \
      before FROM; nothing is taken out of the journal. It is refused (9) for things that a later \
      entry changed, each named with that entry, and where a rule stands against it; then nothing is \
      done. More than \(ReversalPlan.thingsOfOneCommit) things take several commits: what is changed \
      between them can stop it half-way, and the message says how much is undone already. What was found out or noted stays: sightings, evidence, probes, scans, epochs. A revert can \
      itself be reverted. --dry-run shows what would be done, and all that stands against it.

        cellmap revert 1:120..1:188 --dry-run
        cellmap revert 1:120..1:188 --reason 'remapped by mistake, CHG-9'
      """)
  @OptionGroup var store: StoreOptions
  @OptionGroup var change: PlannedChange
  @Argument(
    help: ArgumentHelp(
      "The entries that are undone, both ends among them: entries (42 or 1:42), times or ages.",
      valueName: "from..to"))
  var range: String
  @Flag(help: "Shows what would be done; the map stays as it is.") var dryRun = false
  @Option(help: "How many things are shown to people; 0 for all.") var limit = 100

  func validate() throws {
    if !dryRun { try change.requireReason() }
    guard limit >= 0 else { throw ValidationError("--limit must not be negative.") }
  }

  func run() throws {
    let given = try PastWhen.range(range, "FROM..TO")
    let session = try StoreSession(store)
    let indexes = try session.entries(in: given)
    let history = try session.history(opensOwners: false)
    let map = try session.map()
    let plan = try plan(indexes, history, map)
    if !dryRun, let answer = try earlierAnswer(plan, session) {
      return report(answer, plan, try ReversalCounts(of: answer, plan, session, change.request))
    }
    if dryRun {
      let refusals = try refusals(of: plan, map, session)
      RevertOutput(plan, refusals, naming: CellNaming(history), json: store.json)
        .print(limit: limit)
      try refuseChanged(plan)
      return try refuse(refusals)
    }
    let outcome: Outcome
    do throws(CommandFailure) {
      try refuseChanged(plan)
      outcome = try carryOut(plan, map, session)
    } catch {
      guard error.status == .refused else { throw error }
      throw CommandFailure(.refused, "\(error.message) \(try whatIsDone(of: plan, session))")
    }
    // Somebody else may have carried the same request out meanwhile.
    let counts =
      outcome.isRepeated
      ? try ReversalCounts(of: outcome, plan, session, change.request)
      : ReversalCounts(of: outcome, plan)
    session.close()
    report(outcome, plan, counts)
  }

  /// What the same request was answered: what has changed since stands against nothing then.
  private func earlierAnswer(
    _ plan: ReversalPlan, _ session: StoreSession
  ) throws(CommandFailure) -> Outcome? {
    guard !plan.isBulk() else { return try session.earlierAnswer(to: plan.title, change) }
    return try session.earlierAnswer(to: change.command(.revert(plan.commands()[0].reversal)))
  }

  private func plan(
    _ indexes: ClosedRange<UInt64>, _ history: MapHistory, _ map: MapReading
  ) throws(CommandFailure) -> ReversalPlan {
    let made: ReversalPlan?
    do throws(RegistryError) {
      made = try ReversalPlan(of: indexes, history, map: map.map)
    } catch {
      throw CommandFailure(error)
    }
    guard let made else {
      throw CommandFailure(
        .usage,
        "Those entries changed more than \(MapDifference.maximumEntities) things: undo the later half "
          + "first, or restore a backup.")
    }
    return made
  }

  private func refuseChanged(_ plan: ReversalPlan) throws(CommandFailure) {
    guard let first = plan.refused.first else { return }
    let named = plan.refused.prefix(5).map { "\($0.entity) (\($0.entry))" }
    let more = plan.refused.count > 5 ? " and \(plan.refused.count - 5) more ('--dry-run')" : ""
    throw CommandFailure(
      .refused,
      "Changed since \(plan.last): \(named.joined(separator: ", "))\(more). "
        + "Undo \(first.entry) first, or take fewer entries.")
  }

  private func refuse(_ refusals: [Refusal]) throws(CommandFailure) {
    guard let first = refusals.first else { return }
    let more =
      refusals.count > 1
      ? " Rules stand against \(refusals.count) things in all\(dryRun ? "" : " ('--dry-run')")."
      : ""
    throw CommandFailure(.refused, CommandFailure(first).message + more)
  }

  /// The rules that stand against it, thing by thing, asked without writing.
  ///
  /// - Parameter mends: A damaged index is made again first.
  private func refusals(
    of plan: ReversalPlan, _ map: MapReading, _ session: StoreSession, mends: Bool = true
  ) throws(CommandFailure) -> [Refusal] {
    let preview = ChangePreview(
      map: map.map, head: map.head.index, keys: try session.keysForReading())
    do throws(RegistryError) { return try preview.refusals(of: plan) } catch {
      guard mends, case .index(.damaged(let path, let what)) = error else {
        throw CommandFailure(error)
      }
      try session.replaceDamagedIndex(.damaged(path: path, what: what))
      return try refusals(of: plan, session.map(), session, mends: false)
    }
  }

  /// How far a command came that is refused.
  private func whatIsDone(
    of plan: ReversalPlan, _ session: StoreSession
  ) throws(CommandFailure) -> String {
    let map = try session.map().map
    let done = try projections { () throws(ProjectionError) in
      try map.request(change.request).map { row throws(ProjectionError) in
        (entries: row.first...row.last, last: try map.position(of: row.last))
      }
    }
    guard plan.isBulk(), let (entries, last) = done, let last else { return "Nothing was done." }
    let counts = try ReversalCounts(of: entries, plan, session, change.request)
    return
      "Undone already: \(counted(counts.things, "thing")), up to \(last). When that is mended, "
      + "give the same command again with '--request-id \(change.request)'."
  }

  private func carryOut(
    _ plan: ReversalPlan, _ map: MapReading, _ session: StoreSession
  ) throws(CommandFailure) -> Outcome {
    guard plan.isBulk() else { return try carryOutAtOnce(plan, session) }
    // Ahead of the first of several commits: nothing is done if one of them would be refused.
    try refuse(refusals(of: plan, map, session))
    let registry = try session.writer()
    func submit(_ made: Change, _ chunk: KeyRange?) throws(CommandFailure) -> Outcome {
      var command = change.command(made)
      command.bulk = BulkMark(title: plan.title, chunk: chunk)
      do throws(RegistryError) { return try registry.submit(command) } catch {
        throw CommandFailure(error, request: change.request)
      }
    }
    var counts = ChangeCounts()
    for (reversal, chunk) in plan.commands() {
      let changed = try submit(.revert(reversal), chunk).changed
      switch reversal.items.first?.entity.kind {
      case .cell?: counts.cells += changed
      case .host?: counts.hosts += changed
      default: counts.instances += changed
      }
      Console.progress("Undoing: \(counts.instances) instances")
    }
    Console.endProgress()
    return try submit(.finishRequest(counts), nil)
  }

  /// In one commit, which is done as a whole or not at all.
  private func carryOutAtOnce(
    _ plan: ReversalPlan, _ session: StoreSession
  ) throws(CommandFailure) -> Outcome {
    do throws(CommandFailure) {
      return try session.submit(.revert(plan.commands()[0].reversal), change)
    } catch {
      guard error.status == .refused else { throw error }
      // The commit was refused for the first thing; how many there are is worth a word.
      try refuse(refusals(of: plan, session.map(), session))
      throw error
    }
  }

  private func report(_ outcome: Outcome, _ plan: ReversalPlan, _ counts: ReversalCounts) {
    change.report(
      outcome, store,
      done: "Undid \(RevertOutput.entries(of: plan)): \(counted(counts.things, "thing")).",
      json: [
        "from": .printed(plan.first), "to": .printed(plan.last),
        "things": .number(counts.things), "as_before": .number(counts.asBefore),
        "dry_run": .flag(false),
      ])
  }
}

/// What a revert changed, and what it had not to.
private struct ReversalCounts {
  let things: UInt64
  let asBefore: UInt64

  /// Those of an answer that is given now.
  init(of outcome: Outcome, _ plan: ReversalPlan) {
    things = outcome.finished.map { $0.cells + $0.hosts + $0.instances } ?? outcome.changed
    asBefore = UInt64(plan.asBefore)
  }

  /// Those of an answer that was given before.
  init(
    of answer: Outcome, _ plan: ReversalPlan, _ session: StoreSession, _ request: RequestID
  ) throws(CommandFailure) {
    guard let entries = answer.entries else {
      preconditionFailure("an answer that was given before has entries")
    }
    try self.init(of: entries, plan, session, request)
  }

  /// Those of a request's entries, which tell them, whatever was changed since.
  init(
    of entries: ClosedRange<UInt64>, _ plan: ReversalPlan, _ session: StoreSession,
    _ request: RequestID
  ) throws(CommandFailure) {
    var filter = EntryFilter()
    filter.request = request
    (filter.after, filter.through) = (entries.lowerBound - 1, entries.upperBound)
    var (changed, reopened): (Set<EntityKey>, Set<EntityKey>) = ([], [])
    do throws(JournalError) {
      try session.journal.forEachEntry(matching: filter) { entry in
        switch entry.event {
        case .conflict(let entity, _): reopened.insert(entity)
        case .store: break
        case .cell, .host, .instance: changed.insert(entry.event.entity)
        }
      }
    } catch {
      throw CommandFailure(error)
    }
    things = UInt64(changed.count + reopened.count)
    asBefore = UInt64(max(0, plan.changedThings - changed.count))
  }
}

/// How a plan of undoing is printed.
struct RevertOutput {
  private let plan: ReversalPlan
  private let refusals: [Refusal]
  private let naming: CellNaming
  private let json: Bool

  /// - Parameter refusals: The rules that stand against it.
  init(_ plan: ReversalPlan, _ refusals: [Refusal], naming: CellNaming, json: Bool) {
    self.plan = plan
    self.refusals = refusals
    self.naming = naming
    self.json = json
  }

  static func entries(of plan: ReversalPlan) -> String {
    plan.first == plan.last ? "entry \(plan.first)" : "the entries \(plan.first) to \(plan.last)"
  }

  func print(limit: Int) {
    let report = DifferenceReport(
      plan.steps.map { $0.opened(by: OwnerOutput.keys) }, naming: naming)
    if json { return printJSON(report) }
    let isRefused = !plan.refused.isEmpty || !refusals.isEmpty
    Console.print(
      "A dry run. Undoing \(Self.entries(of: plan)) "
        + (isRefused ? "is refused; it was to change this:" : "would change this:"))
    report.print(entries: "UNDONE", empty: "Nothing is to be undone.", limit: limit)
    for entity in plan.reopened { Console.say("The conflict about \(entity) would be open again.") }
    if plan.asBefore > 0 {
      Console.print("\(counted(plan.asBefore, "thing")) changed by them, as before again already.")
    }
    for (kind, count) in plan.staying.sorted(by: { $0.key.rawValue < $1.key.rawValue }) {
      Console.print("Stays: \(count) × \(kind.name).")
    }
    printRefusals(
      "Changed since, which stands against it:", "ENTRY",
      plan.refused.map { ($0.entity, "\($0.entry)") }, limit: limit)
    printRefusals(
      "Rules that stand against it:", "WHY",
      refusals.map { refusal in
        guard case .cantRevert(let entity, let why) = refusal else { return (nil, "\(refusal)") }
        return (entity, CellNames.spoken(why))
      }, limit: limit)
    AnswerPosition.say(plan.head)
  }

  private func printRefusals(
    _ title: String, _ column: String, _ refused: [(entity: EntityKey?, why: String)], limit: Int
  ) {
    guard !refused.isEmpty else { return }
    Console.print("\n" + title)
    var table = Table("THING", column)
    let shown = limit > 0 ? limit : refused.count
    for (entity, why) in refused.prefix(shown) {
      table.add(entity.map { StepOutput.name(of: $0, naming) }, why)
    }
    table.print(empty: "")
    if refused.count > shown {
      Console.print("And \(counted(refused.count - shown, "more thing")) (--limit).")
    }
  }

  private func printJSON(_ report: DifferenceReport) {
    report.printJSON()
    for refused in plan.refused {
      var fields = refused.entity.fields
      fields["refused"] = .flag(true)
      fields["changed_by"] = .printed(refused.entry)
      Console.print(JSONValue.object(fields).line)
    }
    for refusal in refusals {
      var fields: [String: JSONValue] = [:]
      if case .cantRevert(let entity, _) = refusal { fields = entity.fields }
      fields["refused"] = .flag(true)
      fields["changed_by"] = .null
      fields["why"] = .printed(refusal)
      Console.print(JSONValue.object(fields).line)
    }
    var staying: [String: JSONValue] = [:]
    for (kind, count) in plan.staying { staying[kind.name] = .number(count) }
    let fields: [String: JSONValue] = [
      "from": .printed(plan.first), "to": .printed(plan.last), "dry_run": .flag(true),
      "changed": .flag(false), "as_before": .number(plan.asBefore),
      "refused": .number(plan.refused.count + refusals.count), "stays": .object(staying),
      "reopened": .list(plan.reopened.map { .text($0.description) }),
      "position": .printed(plan.head),
    ]
    Console.print(JSONValue.object(fields.merging(report.sums) { $1 }).line)
  }
}
