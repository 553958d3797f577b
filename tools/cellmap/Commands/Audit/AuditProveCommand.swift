import ArgumentParser
import Journal

struct AuditProveCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "prove", abstract: "Proves that an entry is in the journal, or that it only grew.",
    discussion: """
      With one position: the hashes that lead from that entry to the root of the tree (RFC 9162, \
      section 2.1.3). With two: those which show that the journal of the first is the beginning of \
      that of the second (section 2.1.4). A proof is checked before it is printed; \
      tools/verify-export checks it with the JSON alone. It is worth as much as the root: compare that \
      with a signed checkpoint ('audit checkpoint').
      """)
  @OptionGroup var store: StoreOptions
  @Argument(help: ArgumentHelp("An entry (42 or 1:42), a time or an age.", valueName: "position"))
  var position: String
  @Argument(help: ArgumentHelp("A later one.", valueName: "later")) var later: String?
  @Option(
    name: .customLong("in"),
    help: ArgumentHelp(
      "The tree in which the entry is proven to be: that of the entries up to this one, such as the "
        + "size of a checkpoint. Default: all.", valueName: "position"))
  var tree: String?

  func validate() throws {
    guard later == nil || tree == nil else {
      throw ValidationError("--in belongs to the proof of one entry.")
    }
  }

  func run() throws {
    var arguments = ["prove-worker", "--store", store.folder, "--position=\(position)"]
    if let later { arguments.append("--later=\(later)") }
    if let tree { arguments.append("--in=\(tree)") }
    let answer = try ChildWork.answer(to: arguments)
    if store.json { return Console.print(JSONValue.object(answer).line) }
    ProofOutput.say(answer)
  }
}

/// The hidden half of `audit prove`, in a process of its own.
struct ProveWorkerCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "prove-worker", shouldDisplay: false)
  @OptionGroup var store: StoreOptions
  @OptionGroup var child: ChildOptions
  @Option var position: String
  @Option var later: String?
  @Option(name: .customLong("in")) var tree: String?

  func run() throws {
    try child.join()
    let journal = try OpenJournal.open(store)
    let first = try OpenJournal.position(position, in: journal)
    let second = try (later ?? tree).map { (text) throws(CommandFailure) in
      try OpenJournal.position(text, in: journal)
    }
    let end = second ?? journal.head.position
    guard first.index <= end.index else {
      throw CommandFailure(.usage, "Entry \(first) comes after \(end). Give the earlier one first.")
    }
    let fields: [String: JSONValue]
    do throws(JournalError) {
      if later == nil {
        fields = ProofOutput.fields(
          of: try journal.proveInclusion(of: first.index, in: end.index), at: first,
          entry: try journal.entryBytes(at: first.index))
      } else {
        fields = ProofOutput.fields(
          of: try journal.proveConsistency(from: first.index, to: end.index))
      }
    } catch {
      throw CommandFailure(error)
    }
    Console.print(
      JSONValue.object(fields.merging(["store": .printed(journal.store)]) { $1 }).line)
  }
}
