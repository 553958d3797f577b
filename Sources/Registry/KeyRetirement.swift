public import Journal

/// The shredding of cells' and projects' data keys: an entry says so, and then the keys' files are destroyed.
public enum KeyRetirement {
  /// Destroys data keys of a cell once an entry of the journal says that they are.
  ///
  /// Ended at any moment, a key is there as before, or its entry is, and whoever opens the store's keys
  /// next destroys it. Nothing is sealed by a key from the beginning of this on.
  ///
  /// - Parameters:
  ///   - keys: At least one; that they are this cell's is not checked.
  ///   - named: What the caller gave: one key, or nil for all that can go.
  ///   - command: Makes the command of the change.
  /// - Returns: What the registry answered.
  /// - Throws: `refused` with `keyInUse` if a present address of the cell is sealed by one of them: none
  ///   is destroyed. `keys` with `busy` if another process shreds one now, or with a file that could not
  ///   be destroyed yet. As `MapRegistry.submit` for all else.
  public static func shred(
    _ keys: [KeyID], of cell: CellID, named: KeyID?, in journal: EventJournal,
    by registry: MapRegistry, command: (Change) -> Command
  ) throws(RegistryError) -> Outcome {
    try shred(
      keys, by: command(.shredKeys(cell, named: named, keys)), in: journal, registry)
  }

  /// Destroys keys of projects once an entry of the journal says that they are; as of a cell's keys, but
  /// that what they seal now may be in use: its owners can't be read any more.
  ///
  /// - Parameter asked: What the caller named: a project or a key.
  /// - Throws: As above; never `keyInUse`.
  public static func shred(
    ownerKeys keys: [KeyID], asked: ByteText, in journal: EventJournal,
    by registry: MapRegistry, command: (Change) -> Command
  ) throws(RegistryError) -> Outcome {
    try shred(keys, by: command(.shredOwnerKeys(asked: asked, keys)), in: journal, registry)
  }

  private static func shred(
    _ keys: [KeyID], by command: Command, in journal: EventJournal, _ registry: MapRegistry
  ) throws(RegistryError) -> Outcome {
    precondition(!keys.isEmpty, "there is something to shred")
    let head: UInt64
    do throws(JournalError) { head = try journal.refresh().position.index } catch {
      throw .journal(error)
    }
    let marks = try keys.map { (key) throws(RegistryError) in
      try begin(key, in: journal.files.keys, after: head)
    }
    let outcome: Outcome
    do throws(RegistryError) {
      outcome = try registry.submit(command)
    } catch {
      // Else the marks go: nothing was written.
      if case .journal(let error) = error, error.category == .outcomeUnknown {
        for mark in marks { mark.leave() }
      }
      throw error
    }
    do throws(KeyError) {
      // A repeated answer may be of other keys: only what the entries name is destroyed.
      let named = try shredded(by: outcome, in: journal)
      for mark in marks where named.contains(mark.key) { try mark.destroy() }
    } catch {
      for mark in marks { mark.leave() }
      throw .keys(error)
    }
    return outcome
  }

  private static func begin(
    _ key: KeyID, in folder: String, after head: UInt64
  ) throws(RegistryError) -> KeyShredding {
    do throws(KeyError) {
      guard let mark = try KeyShredding.begin(key, in: folder, after: head) else {
        throw .busy(key)
      }
      return mark
    } catch {
      throw .keys(error)
    }
  }

  private static func shredded(
    by outcome: Outcome, in journal: EventJournal
  ) throws(KeyError) -> Set<KeyID> {
    guard let entries = outcome.entries else { return [] }
    do throws(JournalError) {
      let read = try journal.entries(
        after: entries.lowerBound - 1, limit: entries.count)
      return Set(read.compactMap(\.event.shreddedKey))
    } catch {
      throw .damaged("the entries of the shredding: \(error)")
    }
  }
}
