import Journal

/// How backups and restores are printed.
enum BackupOutput {
  static func fields(of backup: JournalBackup) -> [String: JSONValue] {
    let manifest = backup.manifest
    return [
      "backup": .text(backup.path), "store": .printed(manifest.store),
      "epoch": .number(manifest.position.epoch), "position": .printed(manifest.position),
      "root": .printed(manifest.root), "entries": .number(manifest.position.index),
      "bytes": .number(manifest.bytes), "keys": .flag(manifest.hasKeys),
      "ordered_at": .printed(manifest.orderedAt), "made_at": .printed(manifest.madeAt),
    ]
  }

  static func fields(of plan: RestorePlan) -> [String: JSONValue] {
    [
      "target": .printed(plan.target), "epoch": .number(plan.epoch),
      "common": fields(of: plan.common), "left": fields(of: plan.left),
      "dropped": plan.dropped.map { fields(of: $0) } ?? .null,
      "dropped_of": .text(plan.droppedOf.rawValue), "split_request": .printed(plan.splitRequest),
      "store_fault": .printed(plan.fault), "dry_run": .flag(true),
    ]
  }

  static func fields(of restored: RestoredStore, store: StoreID) -> [String: JSONValue] {
    var fields = fields(of: restored.plan)
    fields["dry_run"] = .flag(false)
    fields["store"] = .printed(store)
    fields["position"] = .printed(restored.head.position)
    fields["root"] = .printed(restored.head.root)
    fields["set_aside"] = .text(restored.setAside)
    fields["keys"] = .text(restored.keys.rawValue)
    return fields
  }

  private static func fields(of head: KnownHead) -> JSONValue {
    .object([
      "epoch": .number(head.position.epoch), "index": .number(head.position.index),
      "root": .printed(head.root),
    ])
  }

  private static func fields(of summary: EntrySummary) -> JSONValue {
    .object([
      "entries": .number(summary.count), "first": fields(of: summary.first),
      "last": fields(of: summary.last),
      "kinds": .object(summary.kinds.mapValues { .number($0) }),
      "actors": .object(summary.actors.mapValues { .number($0) }),
    ])
  }

  private static func fields(of item: EntrySummary.Item?) -> JSONValue {
    guard let item else { return .null }
    return .object([
      "position": .printed(item.position), "ordered_at": .printed(item.orderedAt),
      "event": .text(item.kind),
    ])
  }

  // MARK: For people

  static func say(
    _ answer: [String: JSONValue], isDryRun: Bool, backup: String, store: String
  ) {
    if isDryRun {
      Console.say("\(backup) would be restored up to \(answer.shown("target")) into \(store).")
    } else {
      Console.say(
        "Restored \(backup) up to \(answer.shown("target")) into \(store). Position "
          + "\(answer.shown("position")) opens epoch \(answer.shown("epoch")), root "
          + "\(answer.shown("root")).")
    }
    sayDropped(answer, isDryRun: isDryRun)
    if let request = answer["split_request"]?.string {
      Console.say("Request \(request) is cut in two: some of its entries stay. Give it again.")
    }
    if let fault = answer["store_fault"]?.string {
      Console.say("The journal that is there can't be opened: \(fault)")
    }
    guard !isDryRun else { return Console.print("Nothing was changed.") }
    if let aside = answer["set_aside"]?.string {
      Console.say("What was there before is kept in \(aside).")
    }
    switch answer["keys"]?.string {
    case "none":
      Console.print(
        "The store has no keys: addresses stay masked, and changes end with exit 10. Copy the folder "
          + "keys/ of the old store into it.")
    case "store": Console.print("The keys that were there before stay.")
    default: break
    }
  }

  private static func sayDropped(_ answer: [String: JSONValue], isDryRun: Bool) {
    let verb = isDryRun ? "would be dropped" : "were dropped"
    guard case .object(let dropped)? = answer["dropped"] else {
      return Console.print("What is left behind can't be read.")
    }
    guard case .object(let first)? = dropped["first"], case .object(let last)? = dropped["last"]
    else { return Console.print("No entries \(verb).") }
    Console.say(
      "\(dropped.shown("entries")) entries of the \(answer.shown("dropped_of")) \(verb): "
        + "\(describe(first)) to \(describe(last)).")
    var table = Table("DROPPED", "ENTRIES")
    for (name, prefix) in [("kinds", ""), ("actors", "by ")] {
      guard case .object(let counts)? = dropped[name] else { continue }
      for key in counts.keys.sorted() { table.add(prefix + key, counts.shown(key)) }
    }
    table.print(empty: "")
  }

  private static func describe(_ item: [String: JSONValue]) -> String {
    "\(item.shown("position")) (\(item.shown("event")), \(item.shown("ordered_at")))"
  }
}

extension [String: JSONValue] {
  /// A member as people read it; empty where there is none.
  func shown(_ name: String) -> String {
    switch self[name] {
    case nil, .null?: ""
    case .text(let text)?: text
    case let value?: value.line
    }
  }
}
