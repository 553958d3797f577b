import ArgumentParser
import Foundation
import Journal
import Projections

struct AuditVerifyCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "verify", abstract: "Checks that the store is whole and untampered.",
    discussion: """
      Reads the entries since the last verification, or with --full every entry: dense positions, \
      epochs and times in order, each entry's digest in the tree, each tile, each root behind a \
      commit, HEAD; then replays the journal, which compares every entry with the tree, and compares \
      the result with the index, row by row, and the history with the entries. With --checkpoint also that the journal goes on from a \
      checkpoint that was kept elsewhere. Exit 4 names the first thing that is wrong.
      """)
  @OptionGroup var store: StoreOptions
  @Flag(help: "Only the journal; the index is left out.") var journalOnly = false
  @Flag(help: "Every entry is read, also those that were verified before.") var full = false
  @Option(help: "A signed checkpoint that was kept; the journal has to go on from it.")
  var checkpoint: String?
  @Option(help: CheckpointFile.keyHelp) var key: String?

  func validate() throws {
    guard key == nil || checkpoint != nil else {
      throw ValidationError("--key wants --checkpoint: it is the key that signed it.")
    }
  }

  func run() throws {
    let began = ContinuousClock.now
    var arguments = ["verify-worker", "--store", store.folder]
    if journalOnly { arguments.append("--journal-only") }
    if full { arguments.append("--full") }
    if let checkpoint { arguments.append("--checkpoint=\(checkpoint)") }
    if let key { arguments.append("--key=\(key)") }
    var answer = try ChildWork.answer(to: arguments)
    remember(answer)
    let time = began.duration(to: .now)
    answer["seconds"] = .seconds(time)
    if store.json {
      Console.print(JSONValue.object(answer).line)
    } else {
      VerifyOutput.say(answer)
      Console.print("Checked in \(String(format: "%.2f", time / .seconds(1))) s.")
    }
    if VerifyOutput.isWithoutHead(answer) { throw ExitCode(ExitStatus.finding.rawValue) }
  }

  /// The next verification goes on from here. A store that can't be written is verified all the same.
  private func remember(_ answer: [String: JSONValue]) {
    guard let point = VerifyOutput.point(of: answer) else { return }
    do throws(FileError) { try point.write(StoreFiles(store.folder)) } catch {
      Console.note("cellmap: The next verification begins where this one did: \(error)")
    }
  }
}

/// The hidden half of `audit verify`, in a process of its own.
struct VerifyWorkerCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "verify-worker", shouldDisplay: false)
  @OptionGroup var store: StoreOptions
  @OptionGroup var child: ChildOptions
  @Flag var journalOnly = false
  @Flag var full = false
  @Option var checkpoint: String?
  @Option var key: String?

  func run() throws {
    try child.join()
    let journal = try OpenJournal.open(store)
    let point = full ? nil : VerifiedPoint.read(journal.files)
    let verified: EventJournal.Verification
    do throws(JournalError) { verified = try journal.verify(after: point) } catch {
      throw CommandFailure(error)
    }
    var answer = VerifyOutput.fields(of: verified, of: journal.store, after: point)
    if let checkpoint {
      answer["checkpoint"] = try CheckpointFile(checkpoint, key: key).compare(with: journal)
    }
    if !journalOnly {
      do throws(CommandFailure) {
        answer["index_digest"] = .printed(try verifyIndex(of: journal))
        let history = try projections { () throws(ProjectionError) in
          try MapHistory.check(of: journal)
        }
        answer["history_digest"] = .printed(history?.digest)
        answer["history_position"] = .printed(history?.checkpoint.position)
      } catch {
        throw CommandFailure(
          error.status,
          "\(error.message) \(Self.whatIsWhole(verified))")
      }
    }
    Console.print(JSONValue.object(answer).line)
  }

  /// What can be said of the journal where the index or the history is found to be otherwise.
  private static func whatIsWhole(_ verified: EventJournal.Verification) -> String {
    let head = verified.head.position
    guard verified.firstRead > 1 else { return "The journal itself is whole, up to \(head)." }
    return
      "Of the journal itself the entries from \(verified.firstRead) to \(head) were read, and are whole: "
      + "'cellmap audit verify --full' reads the others, too."
  }

  /// Compares the index with a replay of the journal up to the index's checkpoint.
  private func verifyIndex(of journal: EventJournal) throws(CommandFailure) -> Journal.Digest {
    let index = IndexGenerations(folder: journal.files.directory)
    let checkpoint: IndexCheckpoint
    let found: Journal.Digest
    let reader: IndexReader
    do throws(ProjectionError) {
      reader = try index.open(store: journal.store).reader
      try reader.beginSnapshot()
      checkpoint = try reader.checkpoint()
      found = try reader.checkIndex()
    } catch {
      throw CommandFailure(error)
    }
    do throws(JournalError) { _ = try journal.refresh() } catch { throw CommandFailure(error) }
    try StoreSession.check(checkpoint, at: reader.path, against: journal)
    let scratch = ScratchIndex(for: index)
    let replayed = try ReplayRun.run(
      journal, into: scratch.path, through: checkpoint.position.index)
    guard replayed.digest == found else {
      throw CommandFailure(
        .integrity,
        "The index \(reader.path) is not what the journal says up to \(checkpoint.position)."
          + ComparisonOutput.firstDifference(of: reader, from: scratch.path)
          + " Make it again with 'cellmap replay'.")
    }
    return found
  }
}
