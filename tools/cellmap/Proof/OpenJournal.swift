import Journal

/// A journal as a hidden command opens it.
enum OpenJournal {
  static func open(_ store: StoreOptions) throws(CommandFailure) -> EventJournal {
    do throws(JournalError) { return try EventJournal.open(store.folder) } catch {
      throw CommandFailure(error)
    }
  }

  /// The position that a person named.
  ///
  /// - Throws: `usage` if the journal has none of that place or time.
  static func position(
    _ text: String, in journal: EventJournal
  ) throws(CommandFailure) -> Position {
    let moment = try PastWhen.moment(text, "POSITION")
    try PastWhen.checkHasCome(moment, head: journal.head.orderedAt)
    do throws(JournalError) {
      if let position = try journal.position(at: moment) { return position }
    } catch {
      throw CommandFailure(error)
    }
    throw CommandFailure(
      .usage,
      "The journal has no entry at \(text.prefix(80)); it goes up to \(journal.head.position).")
  }
}
