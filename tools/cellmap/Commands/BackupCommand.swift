import ArgumentParser
import Foundation
import Journal
import Registry

/// `cellmap backup …`: copies of the store, and stores made of them.
struct BackupCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "backup", abstract: "Makes backups of the store, and stores of backups.",
    subcommands: [BackupCreateCommand.self, BackupRestoreCommand.self])
}

struct BackupCreateCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "create", abstract: "Makes a backup while others write.",
    discussion: """
      The backup is a folder with the journal, its HEAD and a manifest; the index isn't in it, since \
      it is made again from the journal. It gets its name once every entry of it was verified and it \
      is on disk. Without --with-keys its addresses can't be opened: keep the store's folder keys/ \
      somewhere else.
      """)
  @OptionGroup var store: StoreOptions
  @Argument(help: "The folder to be made; nothing may be there.") var folder: String
  @Flag(help: "The keys go in too: whoever gets the backup then reads every address.")
  var withKeys = false

  func run() throws {
    let began = ContinuousClock.now
    var arguments = ["backup-worker", "--folder=\(folder)", "--store", store.folder]
    if withKeys { arguments.append("--with-keys") }
    var answer: [String: JSONValue]
    do throws(CommandFailure) { answer = try ChildWork.answer(to: arguments) } catch {
      JournalBackup.removeAbandoned(folder)
      throw error
    }
    let time = began.duration(to: .now)
    if store.json {
      answer["seconds"] = .seconds(time)
      return Console.print(JSONValue.object(answer).line)
    }
    Console.say(
      "Made the backup \(folder): \(counted(answer.shown("entries"), "entry")) up to "
        + "\(answer.shown("position")), root \(answer.shown("root")), "
        + "\(answer.shown("bytes")) bytes, in \(String(format: "%.3f", time / .seconds(1))) s.")
    Console.print(
      withKeys
        ? "It holds the store's keys: whoever gets it reads every address."
        : "It holds no keys. Keep the store's folder keys/ somewhere else.")
  }
}

/// The hidden half of `backup create`, in a process of its own.
struct BackupWorkerCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "backup-worker", shouldDisplay: false)
  @OptionGroup var store: StoreOptions
  @OptionGroup var child: ChildOptions
  @Option var folder: String
  @Flag var withKeys = false

  func run() throws {
    try child.join()
    let journal: EventJournal
    do throws(JournalError) { journal = try EventJournal.open(store.folder) } catch {
      throw CommandFailure(error)
    }
    let backup: JournalBackup
    do throws(BackupError) {
      backup = try JournalBackup.create(
        of: journal, at: folder, withKeys: withKeys, program: Caller.program.string)
    } catch {
      throw CommandFailure(error)
    }
    Console.print(JSONValue.object(BackupOutput.fields(of: backup)).line)
  }
}

struct BackupRestoreCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "restore", abstract: "Makes a store of a backup.",
    discussion: """
      Into a folder that isn't there, an empty one, or that of a store which nobody has open; its \
      journal is then kept in a folder left-at-… within it. Entries up to the given one stay as they \
      are, at their positions; the next one opens an epoch and says what was left behind. Requests of \
      dropped entries are forgotten.
      """)
  @OptionGroup var store: StoreOptions
  @Argument(help: "The backup's folder.") var backup: String
  @Option(
    help: ArgumentHelp(
      "Up to then: an entry (42 or 1:42), or the last one that is not later than a time "
        + "(2026-01-31T12:00:00Z) or an age ('2h ago'). Default: all of the backup.",
      valueName: "when"))
  var to: String?
  @Flag(help: "Shows what would be dropped; nothing is changed.") var dryRun = false
  @Option(help: "Why; required, and kept for ever in clear.") var reason: String?
  @Option(help: "A name, such as a ticket's, that ties several changes together.")
  var correlation: String?

  func validate() throws {
    guard dryRun || reason?.isEmpty == false else {
      throw ValidationError("--reason is required: the entry that opens the epoch keeps it.")
    }
    try PlainText.checkSentence(reason, "--reason")
    try PlainText.checkSentence(correlation, "--correlation")
  }

  func run() throws {
    let began = ContinuousClock.now
    var arguments = [
      "restore-worker", "--backup=\(backup)", "--store", store.folder, "--words", Cellmap.words,
    ]
    // An age is counted from now, once.
    if let to {
      let moment = try PastWhen.moment(to, "--to")
      try PastWhen.checkHasCome(moment)
      arguments.append("--to=\(moment)")
    }
    if let reason { arguments.append("--reason=\(reason)") }
    if let correlation { arguments.append("--correlation=\(correlation)") }
    if dryRun { arguments.append("--dry-run") }
    var answer = try ChildWork.answer(to: arguments)
    if !dryRun {
      // The store is there; an index that can't be made now is made by the next command.
      do throws(CommandFailure) {
        answer["index"] = .text(try IndexReplacement(StoreSession(store)).replace().path)
      } catch {
        Console.note("cellmap: The store is restored; its index is made later: \(error.message)")
      }
      answer["seconds"] = .seconds(began.duration(to: .now))
    }
    if store.json { return Console.print(JSONValue.object(answer).line) }
    BackupOutput.say(answer, isDryRun: dryRun, backup: backup, store: store.folder)
  }
}

/// The hidden half of `backup restore`, in a process of its own.
struct RestoreWorkerCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "restore-worker", shouldDisplay: false)
  @OptionGroup var store: StoreOptions
  @OptionGroup var child: ChildOptions
  @Option var backup: String
  @Option var to: String?
  @Flag var dryRun = false
  @Option var reason: String?
  @Option var correlation: String?
  @Option var words: String

  func run() throws {
    try child.join()
    let moment = to.flatMap { PastMoment($0) }
    let fields: [String: JSONValue]
    do throws(BackupError) {
      let backup = try JournalBackup.open(backup)
      fields = dryRun ? try plan(backup, moment) : try restore(backup, moment)
    } catch {
      throw CommandFailure(error)
    }
    Console.print(JSONValue.object(fields).line)
  }

  private func plan(
    _ backup: JournalBackup, _ moment: PastMoment?
  ) throws(BackupError) -> [String: JSONValue] {
    let left: LeftStore?
    do throws(JournalError) { left = try LeftStore.look(at: store.folder) } catch {
      throw .journal(error)
    }
    return BackupOutput.fields(of: try backup.plan(to: moment, leaving: left))
  }

  private func restore(
    _ backup: JournalBackup, _ moment: PastMoment?
  ) throws(BackupError) -> [String: JSONValue] {
    let restored = try StoreRestoration.restore(
      backup, into: store.folder, to: moment,
      by: Caller.authorship(reason: reason, correlation: correlation), command: words)
    return BackupOutput.fields(of: restored, store: backup.manifest.store)
  }
}
