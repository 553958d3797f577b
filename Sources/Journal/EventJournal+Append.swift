internal import Synchronization

extension EventJournal {
  /// Entries of one commit at most.
  public static let maximumBatch = 65_536

  /// Appends entries in one commit and returns once they are on disk: all or none.
  ///
  /// Blocks the calling thread for one disk flush: call it from the writer thread, never from a
  /// request handler.
  ///
  /// - Parameters:
  ///   - drafts: 1 to `maximumBatch` of them. An `epochOpened` begins its epoch.
  ///   - expected: The head on which the drafts were decided.
  ///   - lease: This store's write lease.
  /// - Returns: The new head, at the last of the entries.
  /// - Throws: `staleHead` if someone appended in between, `invalidDraft`, `full` and `storage`:
  ///   nothing was written. `outcomeUnknown`: look at `refresh()`'s head before anything else.
  ///   `replaced` and the errors of damage: nothing was written, and the journal takes no more.
  ///
  /// Source: `mdb_put` with `MDB_APPEND`, then `mdb_txn_commit` (lmdb.h, LMDB 0.9.24).
  public func append(
    _ drafts: [EntryDraft], expecting expected: Position, under lease: WriteLease
  ) throws(JournalError) -> Head {
    precondition(lease.lock === lock && lease.isHeld, "writing needs this store's lease")
    precondition(
      (1...EventJournal.maximumBatch).contains(drafts.count), "a batch has 1 to 65,536 entries")
    return try state.withLock { (state) throws(JournalError) in
      try checkPlace(&state, under: lease)
      try catchUp(&state)
      guard state.tip.position == expected else {
        throw .staleHead(expected: expected, actual: state.tip.position)
      }
      var tip = state.tip
      try state.batch.fill(with: drafts, after: &tip)
      try commit(&state)
      tip.transactionID = state.tip.transactionID + 1
      state.tip = tip
      publish(tip)
      writeHead(&state)
      state.looksAtOtherFiles = false
      return tip.head
    }
  }

  private func commit(_ state: inout State) throws(JournalError) {
    let environment = try environment(&state)
    let batch = state.batch
    do throws(LMDBWriteError) {
      try environment.write(
        after: state.tip.transactionID, growthBytes: batch.byteCount,
        checksPlace: state.looksAtOtherFiles
      ) { (transaction) throws(LMDBError) in
        try batch.put(into: transaction)
      }
    } catch .overtaken(let expected, let actual) {
      throw file.corrupt("LMDB would write transaction \(actual) instead of \(expected)")
    } catch .commit(let error) where isFull(error, bytes: batch.byteCount) {
      environment.close()
      throw .full(path: files.journal)
    } catch .commit(let error), .metaPage(let error) {
      // The system may have dropped pages that it could not write: look at the file again.
      environment.close()
      state.isInDoubt = true
      throw .outcomeUnknown(path: files.journal, what: "\(error.function): \(error.message)")
    } catch {
      throw error.cause.journalError(path: files.journal)
    }
  }

  /// Whether a commit failed for want of space; LMDB tells it as an I/O error where the system wrote
  /// a part.
  private func isFull(_ error: LMDBError, bytes: Int) -> Bool {
    if error.isDiskFull { return true }
    guard error.isInputOutput, let free = StoreDirectory.freeBytes(files.directory) else {
      return false
    }
    return free < 2 * UInt64(bytes)
  }

  /// LMDB's environment, opened at the first write, after all that a writer will touch was checked.
  private func environment(_ state: inout State) throws(JournalError) -> LMDBEnvironment {
    if let environment = state.environment { return environment }
    try JournalSnapshot.read(file) { (snapshot) throws(JournalError) in
      try FreeListCheck.run(snapshot)
      for tree in [snapshot.entries, snapshot.tiles] {
        var cursor = TreeCursor(tree, of: file)
        _ = try cursor.seekLast()
      }
    }
    do throws(LMDBError) {
      let environment = try LMDBEnvironment.shared(
        files.journal, mapSizeBytes: options.mapSizeBytes)
      state.environment = environment
      return environment
    } catch {
      throw error.journalError(path: files.journal)
    }
  }

  /// Writes the HEAD slot. The commit is on disk already and stays true if this fails: HEAD is then
  /// behind, which opening accepts.
  private func writeHead(_ state: inout State) {
    let now = EventJournal.monotonicNanoseconds()
    try? headSlots.write(
      store: store, position: state.tip.position, root: state.tip.root, at: .now,
      checksPlace: state.looksAtOtherFiles)
    guard now - state.headSyncedAt > 1_000_000_000 else { return }
    state.headSyncedAt = now
    try? headSlots.sync()
  }
}

extension LMDBWriteError {
  /// LMDB's own error; for a transaction that came in between, the one that says so.
  var cause: LMDBError {
    switch self {
    case .begin(let error), .body(let error), .commit(let error), .metaPage(let error): error
    case .overtaken: LMDBError(function: "mdb_txn_begin", code: LMDBError.badTransaction)
    }
  }
}
