import ArgumentParser
import Foundation
import Journal
import Projections

/// `cellmap replay`: the index made again from the journal.
struct ReplayCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "replay", abstract: "Makes the index again from the journal.",
    discussion: """
      The new index is made beside the one that serves, compared with it, and takes its place; the \
      old file stays, and --switch-to lets it serve again. With --into the index is made in another \
      file, and nothing of the store changes.
      """)
  @OptionGroup var store: StoreOptions
  @Option(help: "Into another file, which must not exist.") var into: String?
  @Option(help: "Only up to an entry (an index or a position such as 1:42); wants --into.")
  var to: String?

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
    let modes = [into != nil, history, list, switchTo != nil, prune].filter(\.self)
    guard modes.count <= 1 else {
      throw ValidationError("Give one of --into, --history, --list, --switch-to and --prune.")
    }
    guard keep == nil || prune, (keep ?? 0) >= 0 else {
      throw ValidationError("--keep wants --prune, and a number from 0.")
    }
    if to != nil, into == nil {
      throw ValidationError("--to wants --into: a past index can't serve.")
    }
  }

  func run() throws {
    let session = try StoreSession(store)
    let keeping = GenerationKeeping(session, json: store.json)
    if history { return try replayHistory(session) }
    if list { return try keeping.list() }
    if let switchTo { return try keeping.switchBack(to: switchTo) }
    if prune { return try keeping.prune(keep: keep ?? 1) }
    try replay(session)
  }

  private func replayHistory(_ session: StoreSession) throws {
    let began = ContinuousClock.now
    let head = session.journal.head.position.index
    let isMade = try projections { () throws(ProjectionError) in
      defer { Console.endProgress() }
      return try MapHistory.makeAgain(of: session.journal) { index in
        Console.progress("Reading entries for the history: \(index) of \(head)")
      }
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

  private func index(of text: String, in journal: EventJournal) throws -> UInt64 {
    let given = Position(text)
    guard let index = UInt64(text) ?? given?.index, index > 0,
      index <= journal.head.position.index
    else {
      throw CommandFailure(
        .usage,
        "--to \(text.prefix(80)): the journal's positions go up to \(journal.head.position).")
    }
    guard let given else { return index }
    let there: Position?
    do throws(JournalError) { there = try journal.entry(at: index)?.position } catch {
      throw CommandFailure(error)
    }
    guard let there, there != given else { return index }
    throw CommandFailure(.usage, "--to \(given): the entry \(index) of this journal is \(there).")
  }

  private func replay(_ session: StoreSession) throws {
    var last: UInt64?
    if let to {
      last = try index(of: to, in: session.journal)
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
        ]).line)
    } else {
      let rate = Int(Double(result.entries) / max(result.seconds, 0.001))
      Console.say(
        "Replayed \(result.entries) entries in \(String(format: "%.2f", result.seconds)) s "
          + "(\(rate)/s) into \(result.path).")
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
    let path: String
    if let generation {
      let generations = IndexGenerations(folder: journal.files.directory)
      path = generations.path(of: generation)
      do throws(ProjectionError) { try generations.make(generation, from: journal) } catch {
        throw CommandFailure(error)
      }
    } else {
      path = into ?? ""
      _ = try ReplayRun.run(journal, into: path, through: through)
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
}

/// Replays entries into a file, in this process.
enum ReplayRun {
  static func run(
    _ journal: EventJournal, into path: String, through last: UInt64?
  ) throws(CommandFailure) -> (entries: UInt64, digest: Journal.Digest) {
    let folder = (path as NSString).deletingLastPathComponent
    do throws(ProjectionError) {
      let checkpoint = try IndexReplay.run(
        journal, upTo: last, into: path, scratch: folder.isEmpty ? "." : folder)
      return (checkpoint.position.index, try IndexReader(path: path).contentDigest())
    } catch {
      throw CommandFailure(error)
    }
  }
}
