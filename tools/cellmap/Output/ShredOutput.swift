import Journal
import Registry

/// How `keys shred` is answered.
struct ShredOutput {
  let target: ShredTarget
  /// nil for a dry run.
  let outcome: Outcome?
  let options: StoreOptions
  /// The last entry that was read.
  let position: Position
  var folder: String?

  private var keys: [KeyID] { target.keys.map(\.id) }

  func print(_ change: PlannedChange) {
    let ids = keys.map(\.description).joined(separator: ", ")
    let entries = target.keys.reduce(0) { $0 + (UInt64($1.fields.shown("entries")) ?? 0) }
    var json: [String: JSONValue] = [
      "cell": .printed(target.cell), "keys": .list(keys.map { .printed($0) }),
      "entries_sealed": .number(entries), "dry_run": .flag(outcome == nil),
    ]
    guard let outcome else {
      if options.json {
        json["changed"] = .flag(false)
        json["position"] = .printed(position)
        return Console.print(JSONValue.object(json).line)
      }
      Console.say(
        keys.isEmpty
          ? "Nothing to shred: the key is shredded already."
          : "A dry run: would destroy \(ids) of cell \(target.label), by which addresses in "
            + "\(entries) entries are sealed.")
      return AnswerPosition.say(position)
    }
    let copies = KeptCopies(of: keys, in: folder)
    json["copies"] = copies.json
    change.report(
      outcome, options,
      done: "Cell \(target.label): destroyed \(ids); addresses in \(entries) entries can't be read "
        + "any more.", json: json)
    guard !options.json, outcome.entries != nil else { return }
    copies.say()
  }
}

/// The backups with keys that the store knows of, and that hold a key or may hold it.
struct KeptCopies {
  private let copies: [(copy: KeyCopies.Copy, holds: Bool?)]

  init(of keys: [KeyID], in folder: String?) {
    let all = folder.map { KeyCopies.all(in: $0) } ?? []
    copies = all.map { copy in
      let holds = keys.map { KeyCopies.holds(copy, $0) }
      return (copy, holds.contains(true) ? true : holds.contains(nil) ? nil : false)
    }.filter { $0.holds != false }
  }

  var json: JSONValue {
    .list(
      copies.map {
        .object([
          "path": .text($0.copy.path), "made_at": .printed($0.copy.madeAt),
          "holds": .flag($0.holds),
        ])
      })
  }

  /// Names them, and says that others are out of reach.
  func say() {
    for (copy, holds) in copies {
      Console.say(
        holds == true
          ? "The backup \(copy.path) (\(copy.madeAt)) still holds the key: remove it."
          : "A backup with keys was made at \(copy.path) (\(copy.madeAt)), and is not there now: if it "
            + "was moved, it may hold the key.")
    }
    Console.print(
      "Copies of keys/ and backups with keys that were made otherwise, or moved, are out of reach: "
        + "remove them.")
  }
}
