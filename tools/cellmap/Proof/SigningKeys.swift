import Journal

/// The keys that sign checkpoints, as commands use them.
enum SigningKeys {
  /// The store's signer; the first one is made under the lease.
  static func signer(of session: StoreSession) throws(CommandFailure) -> CheckpointSigner {
    if let known = try known(to: session.journal) { return known }
    let (folder, store) = (session.files.keys, session.journal.store)
    return try session.withLease(Cellmap.words) { () throws(CommandFailure) in
      try keyed { () throws(KeyError) in
        // Another may have made it meanwhile.
        if let known = try CheckpointSigner.open(in: folder, store: store) { return known }
        return try CheckpointSigner.make(in: folder, store: store, by: Caller.actor)
      }
    }
  }

  /// The store's signer; nil if none was made yet.
  static func known(to journal: EventJournal) throws(CommandFailure) -> CheckpointSigner? {
    try keyed { () throws(KeyError) in
      try CheckpointSigner.open(in: journal.files.keys, store: journal.store)
    }
  }

  /// Works on keys; without the store's folder of keys nothing is unknown, but nothing can be signed.
  static func keyed<Value>(
    _ body: () throws(KeyError) -> Value
  ) throws(CommandFailure) -> Value {
    do throws(KeyError) { return try body() } catch {
      guard case .missing = error else { throw CommandFailure(error) }
      throw CommandFailure(.storage, error.description)
    }
  }
}
