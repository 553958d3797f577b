import ArgumentParser
import Foundation
import Journal
import Projections
import Registry

/// `cellmap archive`: old entries out of the journal's file.
struct ArchiveCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "archive",
    abstract: "Moves old entries out of the journal, into files of their own.",
    discussion: """
      Entries before WHEN, in whole tiles of 256, go into a file of the store's folder archive/, and an \
      entry says so; then a journal without them takes the old one's place, which wants that nobody else \
      has the store open. Whatever reads old entries reads them there. Ended at any moment, nothing is \
      lost, and the same command finishes it.
      """)
  @OptionGroup var store: StoreOptions
  @OptionGroup var change: PlannedChange
  @Option(
    help: ArgumentHelp(
      "Entries before an entry (42 or 1:42), a time (2026-01-31T12:00:00Z) or an age (90d).",
      valueName: "position|time|age"))
  var before: String
  @Flag(help: "Shows which entries would be archived; nothing is changed.") var dryRun = false

  func validate() throws {
    guard PastMoment(before, now: .now) != nil else {
      throw ValidationError(
        "--before wants an entry (42 or 1:42), a time (2026-01-31T12:00:00Z) or an age (90d).")
    }
    if !dryRun { try change.requireReason() }
  }

  func run() throws {
    let began = ContinuousClock.now
    var arguments = [
      "archive-worker", "--before=\(before)", "--store", store.folder, "--words", Cellmap.words,
      "--request-id=\(change.request)",
    ]
    if let reason = change.reason { arguments.append("--reason=\(reason)") }
    if let correlation = change.trace.correlation {
      arguments.append("--correlation=\(correlation)")
    }
    if dryRun { arguments.append("--dry-run") }
    var answer = try ChildWork.answer(to: arguments)
    answer["seconds"] = .seconds(began.duration(to: .now))
    if store.json { return Console.print(JSONValue.object(answer).line) }
    ArchiveOutput.say(answer, before: before)
  }
}

/// The hidden half of `archive`, in a process of its own.
struct ArchiveWorkerCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "archive-worker", shouldDisplay: false)
  @OptionGroup var store: StoreOptions
  @OptionGroup var child: ChildOptions
  @OptionGroup var change: PlannedChange
  @Option var before: String
  @Flag var dryRun = false
  @Option var words: String

  func run() throws {
    try child.join()
    guard let moment = PastMoment(before, now: .now) else {
      throw CommandFailure(.usage, "--before names no moment.")
    }
    var session = try StoreSession(store)
    let resumed = dryRun ? nil : try finishPending(session)
    if resumed != nil { session = try StoreSession(store) }
    try checkPosition(moment, session)
    let archived = session.journal.archivedCount
    let cut = try journaled { () throws(JournalError) in
      try JournalArchiving.cut(before: moment, of: session.journal)
    }
    var answer: [String: JSONValue] = [
      "archived": .number(max(archived, cut)), "first": .number(archived + 1),
      "entries": .number(cut > archived ? cut - archived : 0), "dry_run": .flag(dryRun),
      "resumed": .flag(resumed != nil), "changed": .flag(!dryRun && cut > archived),
      "position": .printed(session.journal.head.position), "file": .null, "file_digest": .null,
      "request": .printed(change.request), "repeated": .flag(false),
    ]
    if let resumed { ArchiveOutput.add(resumed, to: &answer) }
    if !dryRun { try archive(session, cut, &answer) }
    Console.print(JSONValue.object(answer).line)
  }

  /// Lets the journal go of entries of which an earlier run has written the archive and its entry.
  private func finishPending(
    _ session: StoreSession
  ) throws(CommandFailure) -> JournalArchiving.Shrunk? {
    try journaled { () throws(JournalError) in
      // Before anything is written: it can't be finished while others have the store open.
      try JournalArchiving.checkIsAlone(session.journal)
      guard let point = try JournalArchiving.pending(of: session.journal) else { return nil }
      return try JournalArchiving.shrink(session.journal, to: point, command: words)
    }
  }

  private func checkPosition(
    _ moment: PastMoment, _ session: StoreSession
  ) throws(CommandFailure) {
    try PastWhen.checkHasCome(moment, head: session.journal.head.orderedAt)
    guard case .position(let position) = moment else { return }
    let found = try journaled { () throws(JournalError) in
      try session.journal.position(at: moment)
    }
    guard found != nil else {
      throw CommandFailure(
        .usage,
        "The journal has no entry \(position): it goes to \(session.journal.head.position).")
    }
  }

  private func archive(
    _ session: StoreSession, _ cut: UInt64, _ answer: inout [String: JSONValue]
  ) throws(CommandFailure) {
    let journal = session.journal
    guard cut > journal.archivedCount else { return try repeatAnswer(session, &answer) }
    let point = try journaled { () throws(JournalError) in
      try JournalArchiving.write(through: cut, of: journal)
    }
    let outcome = try session.submit(.noteArchive(point, asked: ByteText(before)), change)
    // The journal that takes the place of this one must leave nothing to be projected.
    session.close()
    answer["position"] = .printed(outcome.position)
    answer["repeated"] = .flag(outcome.isRepeated)
    guard !outcome.isRepeated else {
      answer["changed"] = .flag(false)
      return
    }
    answer["file"] = .text(journal.files.path(point.file.string))
    answer["file_digest"] = .printed(point.fileDigest)
    do throws(JournalError) {
      let shrunk = try JournalArchiving.shrink(journal, to: point, command: words)
      ArchiveOutput.add(shrunk, to: &answer)
    } catch {
      let failure = CommandFailure(error)
      throw CommandFailure(
        failure.status,
        "The archive is written and noted, and the journal has its entries still: \(failure.message) "
          + "The same command finishes it.")
    }
  }

  /// Nothing is left to archive: the answer of before, if this is a command of before.
  private func repeatAnswer(
    _ session: StoreSession, _ answer: inout [String: JSONValue]
  ) throws(CommandFailure) {
    let map = try session.map()
    let known = try projections { () throws(ProjectionError) in
      try map.map.request(change.request)
    }
    guard known != nil else { return }
    let none = ArchivePoint(index: 0, root: TreeHash.empty, file: "", fileDigest: TreeHash.empty)
    let outcome = try session.submit(.noteArchive(none, asked: ByteText(before)), change)
    session.close()
    answer["repeated"] = .flag(outcome.isRepeated)
    answer["position"] = .printed(outcome.position)
  }

  private func journaled<Value>(
    _ body: () throws(JournalError) -> Value
  ) throws(CommandFailure) -> Value {
    do throws(JournalError) { return try body() } catch { throw CommandFailure(error) }
  }
}
