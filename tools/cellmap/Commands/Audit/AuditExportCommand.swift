import ArgumentParser
import Foundation
import Journal

struct AuditExportCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "export", abstract: "Writes entries, or tables of the map, for others.",
    discussion: """
      As JSON lines nothing is lost: without --from and entities, 'audit import' makes a store of them \
      with the same positions, digests and root, and tools/verify-export checks them without cellmap. \
      CloudEvents 1.0 (JSON) are for buses and collectors; CSV is a table of the map, now or --at a moment. \
      Addresses stay sealed in JSON lines, and are left out, but for their public form, of the others.
      """)
  @OptionGroup var store: StoreOptions
  @OptionGroup var entries: ExportOptions
  @Argument(help: "The file to be made; nothing may be there. Its mode is 0600.") var file: String
  @Option(help: "jsonl, cloudevents or csv.") var format = Format.jsonl
  @Option(help: "With --format csv: cells, hosts or instances.") var table: MapTable?
  @OptionGroup var past: PastOptions
  @Flag(
    help: "Each entry gets the proof that it is in the tree, and the export a signed checkpoint.")
  var proofs = false

  @Flag(
    help: "With --table instances, in a store that seals them: projects and users in clear.")
  var reveal = false

  enum Format: String, ExpressibleByArgument, CaseIterable {
    case jsonl, cloudevents, csv
  }

  func validate() throws {
    guard (format == .csv) == (table != nil) else {
      throw ValidationError(
        "--format csv wants --table cells, hosts or instances, and no other does.")
    }
    guard !reveal || table == .instances else {
      throw ValidationError("--reveal is for --table instances; addresses are never revealed here.")
    }
    guard format == .jsonl || !proofs else {
      throw ValidationError("--proofs wants --format jsonl: a proof is about an entry's bytes.")
    }
    guard format != .csv || entries.isEverything else {
      throw ValidationError(
        "A table is of the map, now or --at a moment: --from and the like are for entries.")
    }
    guard format == .csv || past.at == nil else {
      throw ValidationError("--at wants --format csv: entries are taken by --from and --to.")
    }
  }

  func run() throws {
    let session = try StoreSession(store)
    if let table {
      return try CSVExport(table, of: session, past, to: file, reveal: reveal).run(json: store.json)
    }
    if proofs, KeyRing.holdsKeys(session.files.keys) {
      // Its first use makes the key, which the hidden half only reads.
      _ = try SigningKeys.signer(of: session)
    } else if proofs {
      Console.note("cellmap: The store has no keys: the checkpoint is left out.")
    }
    var arguments = ["export-worker", "--store", store.folder, "--file=\(file)"]
    arguments += try entries.words(session)
    if format == .cloudevents { arguments.append("--cloudevents") }
    if proofs { arguments.append("--proofs") }
    let answer: [String: JSONValue]
    do throws(CommandFailure) { answer = try ChildWork.answer(to: arguments) } catch {
      JournalExport.removeAbandoned(file)
      throw error
    }
    if answer["entries"] == .number(0) {
      Console.remark(
        "No entry of that range is about what was asked for: \(file) holds the header alone.")
    }
    if store.json { return Console.print(JSONValue.object(answer).line) }
    Console.say(
      "Wrote \(counted(answer.shown("entries"), "entry")) into \(file), \(answer.shown("bytes")) bytes. The tree is "
        + "that of \(answer.shown("position")), root \(answer.shown("root")).")
    if answer["complete"] == .flag(true) {
      Console.print("It is complete: 'audit import' makes a store of it.")
    }
  }
}

/// The hidden half of `audit export`, in a process of its own.
struct ExportWorkerCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "export-worker", shouldDisplay: false)
  @OptionGroup var store: StoreOptions
  @OptionGroup var child: ChildOptions
  @OptionGroup var entries: ExportOptions
  @Option var file: String
  @Flag var cloudevents = false
  @Flag var proofs = false

  func run() throws {
    try child.join()
    let journal = try OpenJournal.open(store)
    var signer: CheckpointSigner?
    if proofs, KeyRing.holdsKeys(journal.files.keys) {
      signer = try SigningKeys.known(to: journal)
      do throws(JournalError) { _ = try journal.durableCheckpoint() } catch {
        throw CommandFailure(error)
      }
    }
    let selection = try entries.selection(in: journal)
    let made: JournalExport.Result
    do throws(ExportError) {
      made = try JournalExport.write(
        journal, to: file, selection, as: cloudevents ? .cloudEvents : .jsonLines,
        hasProofs: proofs, sign: signer.map { signer in { signer.sign($0) } })
    } catch {
      throw CommandFailure(error)
    }
    Console.print(
      JSONValue.object([
        "file": .text(file), "format": .text(cloudevents ? "cloudevents" : "jsonl"),
        "store": .printed(made.header.store), "entries": .number(made.entries),
        "bytes": .number(made.bytes), "position": .printed(made.header.position),
        "root": .printed(made.header.root),
        "complete": .flag(made.header.isComplete && !cloudevents), "proofs": .flag(proofs),
        "signed": .flag(made.header.checkpoint != nil),
      ]).line)
  }
}

struct AuditImportCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "import", abstract: "Makes a store of a complete export.",
    discussion: """
      Into a folder that isn't there, or an empty one. The entries have the positions, digests and root \
      that they had, and the store has its UUID; its first own change opens a new epoch. Keys are not \
      in an export: without the old store's folder keys/ addresses stay masked, and changes end with \
      exit 10.
      """)
  @OptionGroup var store: StoreOptions
  @Argument(help: "An export that 'audit export' made.") var file: String

  func run() throws {
    var answer = try ChildWork.answer(to: [
      "import-worker", "--file=\(file)", "--store", store.folder, "--words", Cellmap.words,
    ])
    // The store is there; an index that can't be made now is made by the next command.
    do throws(CommandFailure) {
      answer["index"] = .text(try IndexReplacement(StoreSession(store)).replace().path)
    } catch {
      Console.note("cellmap: The store is made; its index is made later: \(error.message)")
    }
    if store.json { return Console.print(JSONValue.object(answer).line) }
    Console.say(
      "Made the store \(store.folder) of \(file): \(counted(answer.shown("entries"), "entry")) up to "
        + "\(answer.shown("position")), root \(answer.shown("root")).")
    Console.print(
      "It has no keys: addresses stay masked, and changes end with exit 10. Copy the folder keys/ of "
        + "the old store into it.")
  }
}

/// The hidden half of `audit import`, in a process of its own.
struct ImportWorkerCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "import-worker", shouldDisplay: false)
  @OptionGroup var store: StoreOptions
  @OptionGroup var child: ChildOptions
  @Option var file: String
  @Option var words: String

  func run() throws {
    try child.join()
    let made: JournalImport.Result
    do throws(ExportError) {
      made = try JournalImport.run(file, into: store.folder, command: words)
    } catch .journal(.notAStore(let path, let why)) {
      throw CommandFailure(noRoomAt: path, why)
    } catch {
      throw CommandFailure(error)
    }
    Console.print(
      JSONValue.object([
        "store": .printed(made.store), "folder": .text(store.folder),
        "position": .printed(made.position), "entries": .number(made.position.index),
        "root": .printed(made.root),
      ]).line)
  }
}
