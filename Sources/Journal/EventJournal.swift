internal import Glibc
internal import Synchronization

/// All that happened to the map, in order: the only truth.
///
/// Any thread may use it. It is written through LMDB, by the holder of the store's write lease, and
/// read by checked page reads alone, so that a damaged file is an error and never ends the process.
public final class EventJournal: Sendable {
  /// The end of the journal.
  public struct Head: Equatable, Sendable {
    public let position: Position
    /// The root of the tree of all entries up to it.
    public let root: Digest
    /// The time of the last entry in the order of entries.
    public let orderedAt: Timestamp
    /// The stamp of this reading: compare it with `lastTransactionID`.
    public let transactionID: UInt64
  }

  /// What may be chosen when a journal is opened.
  public struct Options: Sendable {
    /// The map that LMDB begins with, in bytes; it grows by itself.
    public var mapSizeBytes = LMDBEnvironment.defaultMapSizeBytes

    public init() {}
  }

  public let files: StoreFiles
  public let store: StoreID
  /// The store's LOCK file: the write lease comes from it.
  public let lock: StoreLock
  let options: Options
  let file: PageFile
  let headSlots: HeadSlots
  let verifiedTiles = VerifiedTiles()
  /// Held by a writer for the length of a commit.
  let state: Mutex<State>
  /// The end that readers go by, so that none of them waits behind a flush to the disk.
  private let published: Mutex<JournalTip>

  /// What is known of the journal's end, and what writing needs.
  struct State {
    var tip: JournalTip
    var batch = AppendBatch()
    var environment: LMDBEnvironment?
    /// The outcome of a commit is unknown: the file has to be looked at before anything else.
    var isInDoubt = false
    var headSyncedAt: Int64 = 0
    var placeCheckedAt: Int64 = 0
    /// The lease under which the journal's place was looked at last.
    var placeCheckedUnder: UInt64 = 0
    /// The other files that a commit writes are to be looked at before the next one: since the
    /// journal was looked at, none has gone through.
    var looksAtOtherFiles = true
  }

  init(
    files: StoreFiles, lock: StoreLock, options: Options, file: PageFile, store: StoreID,
    tip: JournalTip
  ) {
    self.files = files
    self.store = store
    self.lock = lock
    self.options = options
    self.file = file
    headSlots = HeadSlots(files.head)
    state = Mutex(State(tip: tip))
    published = Mutex(tip)
  }

  /// The head as this process knows it; another process may have written since.
  public var head: Head { tip.head }

  var tip: JournalTip { published.withLock(\.self) }

  /// Lets readers go by a new end, which is on disk.
  func publish(_ tip: JournalTip) { published.withLock { $0 = tip } }

  /// The id of the journal's last transaction, by whatever process; a few ns.
  ///
  /// If it differs from the stamp of what was read, read the tail again. It may run ahead of what a
  /// reader finds, so it is never itself a stamp.
  // Hot path: each route asks.
  public var lastTransactionID: UInt64 { file.lastTransactionID }

  /// Reads the entries that others have written since, checks them, and gives the new head.
  ///
  /// - Throws: What the new entries are accused of; `replaced` if the file is not in place any more
  ///   (looked at each second).
  public func refresh() throws(JournalError) -> Head {
    try state.withLock { (state) throws(JournalError) in
      try checkPlace(&state, under: nil)
      try catchUp(&state)
      return state.tip.head
    }
  }

  /// Makes HEAD durable: each second while it is written, before a checkpoint is signed or a backup
  /// named, and when the journal is let go of.
  ///
  /// - Throws: `file`.
  public func syncHead() throws(JournalError) {
    try headSlots.sync()
  }

  /// Brings the tip in memory to the end of the file.
  func catchUp(_ state: inout State) throws(JournalError) {
    guard state.isInDoubt || file.lastTransactionID != state.tip.transactionID else { return }
    var tip = state.tip
    var isAtEnd = false
    // A few entries at a time: a longer reading would be overtaken by a busy writer again and again.
    while !isAtEnd {
      let before = tip
      (tip, isAtEnd) = try JournalSnapshot.read(file) { (snapshot) throws(JournalError) in
        try before.extended(to: snapshot)
      }
    }
    state.tip = tip
    publish(tip)
    state.isInDoubt = false
  }

  /// Looks whether the journal's file is still in its place: with each lease, and each second.
  ///
  /// - Throws: `replaced`.
  func checkPlace(_ state: inout State, under lease: WriteLease?) throws(JournalError) {
    let now = EventJournal.monotonicNanoseconds()
    let number = lease?.number ?? state.placeCheckedUnder
    guard number != state.placeCheckedUnder || now - state.placeCheckedAt > 1_000_000_000 else {
      return
    }
    state.looksAtOtherFiles = true
    (state.placeCheckedAt, state.placeCheckedUnder) = (now, number)
    guard file.isInPlace else {
      state.placeCheckedAt = 0
      throw .replaced(path: files.journal)
    }
  }

  static func monotonicNanoseconds() -> Int64 {
    var time = timespec()
    unsafe clock_gettime(CLOCK_MONOTONIC_COARSE, &time)
    return Int64(time.tv_sec) * 1_000_000_000 + Int64(time.tv_nsec)
  }
}

extension JournalTip {
  var head: EventJournal.Head {
    EventJournal.Head(
      position: position, root: root, orderedAt: chain.orderedAt, transactionID: transactionID)
  }

  private static let entriesOfOneReading = 512

  /// The tip after the next entries of a snapshot, each checked, and whether they are the last.
  func extended(
    to snapshot: JournalSnapshot
  ) throws(JournalError) -> (tip: JournalTip, isAtEnd: Bool) {
    let size = snapshot.size
    guard size >= position.index else {
      throw .steppedBack(
        journal: try JournalTip(of: snapshot).position, witness: position)
    }
    var tip = self
    if size > position.index {
      var cursor = EntryCursor(snapshot)
      guard try cursor.seek(position.index + 1) else {
        throw .missingEntry(index: position.index + 1)
      }
      try tip.take(
        Int(min(size - position.index, UInt64(JournalTip.entriesOfOneReading))), from: &cursor,
        of: snapshot)
    }
    tip.transactionID = snapshot.transactionID
    return (tip, tip.position.index == size)
  }
}
