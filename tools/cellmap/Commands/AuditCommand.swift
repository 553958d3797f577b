import ArgumentParser
import Foundation
import Journal
import Projections

/// `cellmap audit …`: the journal checked against itself, and questions about the past.
struct AuditCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "audit", abstract: "Asks about the past, and checks it.",
    subcommands: [
      AuditHistoryCommand.self, AuditAtCommand.self, AuditDiffCommand.self,
      AuditExplainCommand.self, AuditWhoCommand.self, AuditStatsCommand.self,
      AuditVerifyCommand.self,
    ])
}

struct AuditVerifyCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "verify", abstract: "Checks that the store is whole and untampered.",
    discussion: """
      Reads every entry: dense positions, epochs and times in order, each entry's digest in the tree, \
      each tile, each root behind a commit, HEAD; then replays the journal and compares the result \
      with the index, row by row. Exit 4 names the first thing that is wrong.
      """)
  @OptionGroup var store: StoreOptions
  @Flag(help: "Only the journal; the index is left out.") var journalOnly = false

  func run() throws {
    let began = ContinuousClock.now
    var arguments = ["verify-worker", "--store", store.folder]
    if journalOnly { arguments.append("--journal-only") }
    let answer = try ChildWork.run(arguments)
    let time = began.duration(to: .now)
    let position = answer["position"] as? String
    let root = answer["root"] as? String
    let digest = answer["index_digest"] as? String
    let entries = (answer["entries"] as? NSNumber)?.int64Value ?? 0
    let commits = (answer["commits"] as? NSNumber)?.int64Value ?? 0
    if store.json {
      let fields: [String: JSONValue] = [
        "position": .text(position), "verified": .flag(true), "entries": .number(entries),
        "commits": .number(commits), "root": .text(root), "index_digest": .text(digest),
        "history_digest": .text(answer["history_digest"] as? String),
        "history_position": .text(answer["history_position"] as? String),
        "seconds": .seconds(time),
      ]
      return Console.print(JSONValue.object(fields).line)
    }
    Console.print(
      "The journal is whole: \(entries) entries in \(commits) commits, up to \(position ?? ""), "
        + "root \(root ?? "").")
    if let digest {
      Console.print("The index is what the journal says: content digest \(digest).")
    }
    if let history = answer["history_position"] as? String {
      Console.print("The history is what the journal says, up to \(history).")
    }
    Console.print("Checked in \(String(format: "%.2f", time / .seconds(1))) s.")
  }
}

/// The hidden half of `audit verify`, in a process of its own.
struct VerifyWorkerCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "verify-worker", shouldDisplay: false)
  @OptionGroup var store: StoreOptions
  @OptionGroup var child: ChildOptions
  @Flag var journalOnly = false

  func run() throws {
    try child.join()
    let journal: EventJournal
    let verified: EventJournal.Verification
    do throws(JournalError) {
      journal = try EventJournal.open(store.folder)
      verified = try journal.verify()
    } catch {
      throw CommandFailure(error)
    }
    var answer: [String: JSONValue] = [
      "position": .printed(verified.head.position), "root": .printed(verified.head.root),
      "entries": .number(verified.head.position.index), "commits": .number(verified.commits),
    ]
    if !journalOnly {
      do throws(CommandFailure) {
        answer["index_digest"] = .printed(try verifyIndex(of: journal))
        let history = try historical { () throws(ProjectionError) in
          try MapHistory.check(of: journal)
        }
        answer["history_digest"] = .printed(history?.digest)
        answer["history_position"] = .printed(history?.checkpoint.position)
      } catch {
        throw CommandFailure(
          error.status,
          "The journal agrees with itself up to \(verified.head.position). \(error.message)")
      }
    }
    Console.print(JSONValue.object(answer).line)
  }

  /// Compares the index with a replay of the journal up to the index's checkpoint.
  private func verifyIndex(of journal: EventJournal) throws(CommandFailure) -> Journal.Digest {
    let index = IndexGenerations(folder: journal.files.directory)
    let checkpoint: IndexCheckpoint
    let found: Journal.Digest
    let path: String
    do throws(ProjectionError) {
      let reader = try index.open(store: journal.store).reader
      path = reader.path
      try reader.beginSnapshot()
      checkpoint = try reader.checkpoint()
      found = try reader.checkIndex()
    } catch {
      throw CommandFailure(error)
    }
    do throws(JournalError) { _ = try journal.refresh() } catch { throw CommandFailure(error) }
    try StoreSession.check(checkpoint, at: path, against: journal)
    let scratch = index.scratchPath
    defer { for suffix in ["", "-wal", "-shm"] { unlink(scratch + suffix) } }
    let replayed = try ReplayRun.run(
      journal, into: scratch, through: checkpoint.position.index)
    guard replayed.digest == found else {
      throw CommandFailure(
        .integrity,
        "The index \(path) is not what the journal says up to \(checkpoint.position). "
          + "Make it again with 'cellmap replay'.")
    }
    return found
  }
}
