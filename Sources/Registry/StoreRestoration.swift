public import Journal

/// Makes stores of backups.
public enum StoreRestoration {
  /// Restores a backup's entries up to a moment, and opens the next epoch with the first entry behind
  /// them: it says by whom and why, and names the last head that is known of what is left.
  ///
  /// The store has no index once this returns; any process makes it from the journal.
  ///
  /// - Parameters:
  ///   - backup: The backup.
  ///   - directory: A folder that isn't there, an empty one, or that of a store which nobody has open.
  ///   - moment: Up to where; nil for all of the backup.
  ///   - authorship: Who restores, and why.
  ///   - command: What this process does, for those who find the store locked.
  /// - Throws: As `JournalBackup.restore`; what was in the folder is there as it was.
  public static func restore(
    _ backup: JournalBackup, into directory: String, to moment: PastMoment?,
    by authorship: Authorship, command: String
  ) throws(BackupError) -> RestoredStore {
    try backup.restore(into: directory, to: moment, command: command) { plan in
      EntryDraft(
        event: .store(.epochOpened(opening(plan, of: backup.manifest.store))),
        authorship: authorship, request: RequestMark(id: .none))
    }
  }

  private static func opening(_ plan: RestorePlan, of store: StoreID) -> EpochOpening {
    EpochOpening(
      store: store, epoch: plan.epoch, id: EpochID(.random()), cause: .restored,
      commonIndex: plan.common.position.index, commonRoot: plan.common.root,
      leftIndex: plan.left.position.index, leftRoot: plan.left.root)
  }
}
