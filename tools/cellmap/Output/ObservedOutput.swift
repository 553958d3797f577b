import Journal
import Recovery

/// What is said of a record whose last change was found, not made.
enum ObservedOutput {
  private static let note =
    "found by reading Nova's database: who changed it, and what it was in between, is not known"

  /// The fields that say so; none for a change that was made here.
  static func fields(ofChangeAt index: UInt64, _ journal: EventJournal) -> [String: JSONValue] {
    // An entry that can't be read is the matter of `audit verify`: the record itself was checked.
    guard let entry = try? journal.entry(at: index), entry.draft.authorship.isObserved else {
      return [:]
    }
    return fields(of: entry)
  }

  /// The same of the entry itself, which is an observed one.
  static func fields(of entry: Entry) -> [String: JSONValue] {
    let interval = ObservedInterval(of: entry)
    return [
      "observed": .flag(true), "observed_from": .printed(interval?.from),
      "observed_to": .printed(interval?.to ?? entry.draft.evidence?.readAt),
      "observed_note": .text(note),
    ]
  }
}
