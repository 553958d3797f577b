import Journal

/// How `archive` is answered.
enum ArchiveOutput {
  static func add(_ shrunk: JournalArchiving.Shrunk, to answer: inout [String: JSONValue]) {
    answer["journal_bytes_before"] = .number(shrunk.bytesBefore)
    answer["journal_bytes"] = .number(shrunk.bytesAfter)
  }

  static func say(_ answer: [String: JSONValue], before: String) {
    if answer["resumed"] == .flag(true) {
      Console.print(
        "Finished an archiving that was broken off: the journal is without its entries.")
    }
    let (first, last) = (answer.shown("first"), answer.shown("archived"))
    guard answer["entries"] != .number(UInt64(0)) else {
      return Console.say(
        answer["repeated"] == .flag(true)
          ? "Done before. Nothing was done now. Position \(answer.shown("position"))."
          : "Nothing to archive: entries go in tiles of 256, and up to \(last) they are archived "
            + "already. Position \(answer.shown("position")).")
    }
    if answer["dry_run"] == .flag(true) {
      return Console.say(
        "A dry run: would archive the \(answer.shown("entries")) entries \(first) to \(last). "
          + "Position \(answer.shown("position")).")
    }
    Console.say(
      "Archived the \(answer.shown("entries")) entries \(first) to \(last) into "
        + "\(answer.shown("file")); the journal has \(answer.shown("journal_bytes")) bytes of "
        + "\(answer.shown("journal_bytes_before")). Position \(answer.shown("position")).")
    Console.print("Keep the folder archive/ with the store: the past before is in it alone.")
  }
}
