public import Journal

/// Between which moments something that was found had happened.
///
/// An entry that is marked as observed has it as its correlation, in the form of ISO 8601: `FROM/TO`,
/// or `../TO` where nothing is known of before.
public struct ObservedInterval: Hashable, Sendable {
  /// It had not happened then; nil if that isn't known.
  public let from: Timestamp?
  /// It had happened then.
  public let to: Timestamp

  public init(from: Timestamp?, to: Timestamp) {
    self.from = from
    self.to = to
  }

  /// Reads the text of an interval; nil for any other.
  public init?(_ text: ByteText) {
    let parts = text.string.split(separator: "/", omittingEmptySubsequences: false)
    guard parts.count == 2, let to = Timestamp(String(parts[1])) else { return nil }
    self.to = to
    if parts[0] == ".." {
      from = nil
    } else {
      guard let from = Timestamp(String(parts[0])) else { return nil }
      self.from = from
    }
  }

  /// The interval in which what an entry says had happened; nil if the entry was made, not observed.
  public init?(of entry: Entry) {
    let authorship = entry.draft.authorship
    guard authorship.isObserved, let text = authorship.correlation else { return nil }
    self.init(text)
  }

  public var text: ByteText { ByteText("\(from.map { "\($0)" } ?? "..")/\(to)") }
}

extension EventJournal {
  /// A moment at which the map was known to agree with an API database; nil if the last entries know
  /// of none.
  ///
  /// The snapshot that an `adopted` entry names was opened in the minutes before the time in it.
  ///
  /// - Throws: As `entry(at:)`.
  public func lastAgreement(with database: ByteText) throws(JournalError) -> Timestamp? {
    var end = head.position.index
    let oldest = end - min(end, Self.entriesLookedBack)
    while end > oldest {
      // Tile by tile: entries of a tile are read, and checked, together.
      let start = max(oldest, (end - 1) / 256 * 256)
      var adopted: [UInt64] = []
      try forEachEntry(after: start, limit: Int(end - start)) { (header, _, _) in
        if header.kind == EventKind.adopted.rawValue { adopted.append(header.position.index) }
      }
      for index in adopted.reversed() {
        if case .store(.adopted(let transfer))? = try entry(at: index)?.event,
          transfer.database == database
        {
          return Timestamp(microseconds: transfer.snapshotAt.microseconds - Self.longestOpening)
        }
      }
      end = start
    }
    return nil
  }

  private static var entriesLookedBack: UInt64 { 100_000 }
  /// How long opening a snapshot may take, in microseconds: to connect, and to look at three tables.
  private static var longestOpening: Int64 { 4 * 60 * 1_000_000 }
}
