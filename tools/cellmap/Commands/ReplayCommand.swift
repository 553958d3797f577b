import ArgumentParser
import Foundation
import Journal
import Projections

/// `cellmap replay`: the index made again from the journal, and what else follows from its entries.
struct ReplayCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "replay", abstract: "Makes the index again from the journal.",
    discussion: """
      The new index is made beside the one that serves, compared with it, and takes its place; the \
      old file stays, and --switch-to lets it serve again. With --into the index is made in another \
      file, and nothing of the store changes; with --only it holds some things alone, and never serves. \
      If one of the first two is killed, the same command goes on with it.

      --dry-run compares the index that serves with the journal, row by row (exit 1 on a difference). \
      --follow prints each entry and what it changed. --without shows what would be otherwise if \
      some entries had never been. None of these changes anything. docs/audit.md has examples.
      """)
  @OptionGroup var store: StoreOptions
  @Option(help: "Into another file, which must not exist, or which a killed replay has left.")
  var into: String?
  @Option(
    help: ArgumentHelp(
      "Only up to then: an entry (42 or 1:42), a time (2026-01-31T14:03:00Z) or an age ('2h ago'); "
        + "with --into, --follow or --without.", valueName: "when"))
  var to: String?
  @Option(
    parsing: .upToNextOption,
    help: ArgumentHelp(
      "Only these things, with --into or --follow. \(EntityArgument.help)", valueName: "entity"))
  var only: [String] = []

  @Flag(help: "Makes nothing: prints each entry and what it changed.") var follow = false
  @Option(
    help: ArgumentHelp("With --follow: from an entry, a time or an age on.", valueName: "when"))
  var from: String?
  @Flag(
    name: .customLong("dry-run"),
    help: "Lets nothing serve: shows the first row of the index that is not what the journal says.")
  var dryRun = false
  @Option(
    parsing: .upToNextOption,
    help: ArgumentHelp(
      "Makes nothing: shows what would be otherwise without these entries: an entry, FROM..TO, or a "
        + "request's UUID.", valueName: "entries"))
  var without: [String] = []
  @Option(help: "With --without: how many instances are shown to people; 0 for all.")
  var limit = 100

  @Flag(help: "Makes the history again instead, which answers about the past.") var history = false
  @Flag(help: "Shows the index files of the store; nothing is made.") var list = false
  @Option(
    name: .customLong("switch-to"),
    help: ArgumentHelp(
      "Makes nothing: checks an older index file of the store, takes in what it lacks, and lets it "
        + "serve.", valueName: "generation"))
  var switchTo: UInt64?
  @Flag(help: "Makes nothing: removes index files that don't serve, and what killed runs left.")
  var prune = false
  @Option(help: "With --prune: how many files stay that could serve again (1).") var keep: Int?

  func validate() throws {
    let modes = [
      into != nil, follow, dryRun, !without.isEmpty, history, list, switchTo != nil, prune,
    ].filter(\.self)
    guard modes.count <= 1 else {
      throw ValidationError(
        "Give one of --into, --follow, --dry-run, --without, --history, --list, --switch-to and "
          + "--prune.")
    }
    guard keep == nil || prune, (keep ?? 0) >= 0 else {
      throw ValidationError("--keep wants --prune, and a number from 0.")
    }
    guard limit >= 0 else { throw ValidationError("--limit must not be negative.") }
    guard into != "" else { throw ValidationError("--into wants the name of a file.") }
    if to != nil, into == nil, !follow, without.isEmpty {
      throw ValidationError("--to wants --into, --follow or --without: a past index can't serve.")
    }
    if !only.isEmpty, into == nil, !follow {
      throw ValidationError("--only wants --into or --follow: an index of some things can't serve.")
    }
    if from != nil, !follow { throw ValidationError("--from wants --follow.") }
  }

  func run() throws {
    let session = try StoreSession(store)
    let keeping = GenerationKeeping(session, json: store.json)
    if history { return try replayHistory(session) }
    if list { return try keeping.list() }
    if let switchTo { return try keeping.switchBack(to: switchTo) }
    if prune { return try keeping.prune(keep: keep ?? 1) }
    if follow { return try StepOutput(session, json: store.json).follow(from: from, to: to, only) }
    if dryRun { return try ComparisonOutput(session, json: store.json).run() }
    if !without.isEmpty {
      return try ShadowOutput(session, json: store.json).run(without, to: to, limit: limit)
    }
    if let into, !only.isEmpty { return try replayPart(session, into: into) }
    try replay(session)
  }

  private func replayHistory(_ session: StoreSession) throws {
    let began = ContinuousClock.now
    let head = session.journal.head.position.index
    let isMade = try projections { () throws(ProjectionError) in
      defer { Console.endProgress() }
      let rate = WorkProgress("Reading entries for the history", of: head)
      return try MapHistory.makeAgain(of: session.journal) { rate.show($0) }
    }
    guard isMade else {
      throw CommandFailure(.locked, "Another process writes the history now. Try again later.")
    }
    let found = try projections { () throws(ProjectionError) in
      try MapHistory.find(of: session.journal)
    }
    let seconds = ContinuousClock.now - began
    if store.json {
      let fields: [String: JSONValue] = [
        "history": .text(found?.path), "position": .printed(found?.checkpoint.position),
        "seconds": .seconds(seconds),
      ]
      return Console.print(JSONValue.object(fields).line)
    }
    Console.say(
      "Made the history again, up to \(found.map { "\($0.checkpoint.position)" } ?? "-"), "
        + "in \(String(format: "%.2f", seconds / .seconds(1))) s: \(found?.path ?? "").")
  }

  /// Some things alone: the history finds their entries.
  private func replayPart(_ session: StoreSession, into path: String) throws {
    let history = try session.history()
    let point = try session.point(
      at: try to.map { text throws(CommandFailure) in try PastWhen.moment(text, "--to") }
        ?? .position(history.head))
    var entities: Set<EntityKey> = []
    for text in only {
      entities.insert(
        try EntityArgument.entity(text, history, during: 0...point.position.index))
    }
    let made: PartialReplay.Result
    do throws(ProjectionError) {
      made = try PartialReplay.run(history, only: entities, upTo: point.position, into: path)
    } catch {
      // What is there already isn't ours.
      if case .fileExists = error {
      } else {
        for suffix in ["", "-journal", "-wal", "-shm"] { unlink(path + suffix) }
      }
      throw CommandFailure(error)
    }
    if store.json {
      let fields: [String: JSONValue] = [
        "index": .text(path), "partial": .flag(true), "position": .printed(made.position),
        "entries": .number(made.entries),
        "only": .list(entities.map(\.description).sorted().map { .text($0) }),
      ]
      return Console.print(JSONValue.object(fields).line)
    }
    Console.say(
      "Replayed \(counted(made.entries, "entry")) up to \(made.position) into \(path). It holds "
        + "\(counted(entities.count, "thing")) alone, and can't serve.")
  }

  private func replay(_ session: StoreSession) throws {
    let last = try to.map { text throws(CommandFailure) in
      try session.point(at: PastWhen.moment(text, "--to")).position.index
    }
    let replacement = IndexReplacement(session)
    let result =
      if let into { try replacement.run(into: into, through: last) } else {
        try replacement.replace()
      }
    if store.json {
      Console.print(
        JSONValue.object([
          "index": .text(result.path), "entries": .number(result.entries),
          "digest": .text(result.digest), "seconds": .seconds(.seconds(result.seconds)),
          "agrees_with_serving": .flag(result.agreesWithServing),
          "went_on_after": .text(result.wentOnAfter), "began_anew": .text(result.beganAnew),
        ]).line)
    } else {
      let rate = Int(Double(result.entriesNow) / max(result.seconds, 0.001))
      Console.say(
        "Replayed \(counted(result.entries, "entry")) in \(String(format: "%.2f", result.seconds)) s "
          + "(\(rate)/s) into \(result.path).")
      if let position = result.wentOnAfter {
        Console.print("Went on after entry \(position), to which a killed replay had come.")
      }
      if let why = result.beganAnew {
        Console.print("Began anew after a killed replay: \(why).")
      }
      Console.print("Content digest \(result.digest).")
      switch result.agreesWithServing {
      case true?: Console.print("The index that served before has the same content.")
      case false?: Console.print("The index that served before has OTHER content; it stays beside.")
      case nil: break
      }
    }
    if result.agreesWithServing == false { throw ExitCode(ExitStatus.finding.rawValue) }
  }
}

/// The hidden half of `replay`, in a process of its own.
struct ReplayWorkerCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "replay-worker", shouldDisplay: false)
  @OptionGroup var store: StoreOptions
  @OptionGroup var child: ChildOptions
  /// Another file.
  @Option var into: String?
  /// A new generation, whose number the parent has reserved.
  @Option var generation: UInt64?
  @Option var through: UInt64?
  /// Bytes that are set aside in memory, and instances that are loaded, between two marks: the tests kill
  /// small replays.
  @Option var setAside = IndexReplay.defaultMemoryBytes
  @Option var instances = IndexReplay.defaultInstancesBetweenMarks
  /// The file goes with the parent process: nobody goes on with it.
  @Flag var scratch = false
  /// How far the work has come is told on standard error.
  @Flag var progress = false

  func validate() throws {
    guard (into == nil) != (generation == nil) else {
      throw ValidationError("Give one of --into and --generation.")
    }
  }

  func run() throws {
    try child.join()
    let journal: EventJournal
    do throws(JournalError) { journal = try EventJournal.open(store.folder) } catch {
      throw CommandFailure(error)
    }
    var answer: [String: JSONValue] = [:]
    let began = { (beginning: IndexReplay.Beginning) in
      switch beginning {
      case .new: break
      case .goesOn(let position): answer["went_on_after"] = .printed(position)
      case .anew(let why): answer["began_anew"] = .text(why)
      }
    }
    let path: String
    if let generation {
      let generations = IndexGenerations(folder: journal.files.directory)
      path = generations.path(of: generation)
      do throws(ProjectionError) {
        try generations.make(generation, from: journal, began: began) { tell($0) }
      } catch {
        throw CommandFailure(error)
      }
    } else if scratch {
      path = into ?? ""
      _ = try ReplayRun.run(journal, into: path, through: through) { tell($0) }
    } else {
      path = into ?? ""
      do throws(ProjectionError) {
        _ = try IndexReplay.runKept(
          journal, upTo: through, into: path, memoryBytes: setAside, instances: instances,
          began: began
        ) { tell($0) }
      } catch {
        throw CommandFailure(error)
      }
    }
    do throws(ProjectionError) {
      let reader = try IndexReader(path: path)
      answer["index"] = .text(path)
      answer["entries"] = .number(try reader.checkpoint().position.index)
      answer["digest"] = .printed(try reader.contentDigest())
    } catch {
      throw CommandFailure(error)
    }
    Console.print(JSONValue.object(answer).line)
  }

  private func tell(_ done: UInt64) {
    if progress { Console.note("\(ChildWork.progressMark)\(done)") }
  }
}

/// Replays entries into a file, in this process.
enum ReplayRun {
  static func run(
    _ journal: EventJournal, into path: String, through last: UInt64?,
    progress: (UInt64) -> Void = { _ in }
  ) throws(CommandFailure) -> (entries: UInt64, digest: Journal.Digest) {
    let folder = (path as NSString).deletingLastPathComponent
    do throws(ProjectionError) {
      let checkpoint = try IndexReplay.run(
        journal, upTo: last, into: path, scratch: folder.isEmpty ? "." : folder,
        progress: progress)
      return (checkpoint.position.index, try IndexReader(path: path).contentDigest())
    } catch {
      throw CommandFailure(error)
    }
  }
}
