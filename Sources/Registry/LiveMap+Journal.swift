public import Journal
public import Projections

extension LiveMap {
  /// Opens a snapshot of the index and folds the journal's entries after it: the map at the head.
  ///
  /// - Returns: The head; entries that come later are not in the map.
  /// - Throws: `journal` or `index`, also if the index isn't of this journal.
  public func readHead(of journal: EventJournal) throws(RegistryError) -> EventJournal.Head {
    // The index first: entries that come in between are in the tail, and none can be missed.
    let checkpoint = try snapshot()
    let head: EventJournal.Head
    do throws(JournalError) { head = try journal.refresh() } catch { throw .journal(error) }
    try journal.checkCheckpoint(checkpoint, at: index.path)
    forgetOverlay()
    try foldTail(of: journal, after: checkpoint.position.index, upTo: head.position.index)
    return head
  }

  /// Opens a snapshot of the index as it is now.
  func snapshot() throws(RegistryError) -> IndexCheckpoint {
    do throws(ProjectionError) { return try index.beginSnapshot() } catch { throw .index(error) }
  }

  /// Folds entries of the journal in.
  func foldTail(
    of journal: EventJournal, after checkpoint: UInt64, upTo head: UInt64
  ) throws(RegistryError) {
    var reached = checkpoint
    while reached < head {
      let changes: [EntryChange]
      do throws(JournalError) {
        changes = try journal.changes(
          after: reached, limit: Int(min(head - reached, UInt64(IndexProjector.maximumBatch))))
      } catch {
        throw .journal(error)
      }
      do throws(ProjectionError) {
        for change in changes { try apply(change) }
      } catch {
        throw .index(error)
      }
      reached += UInt64(changes.count)
    }
  }
}

extension IndexReader {
  /// How many hosts and instances the index has in a cell.
  func contentCounts(
    of cell: CellID
  ) throws(RegistryError) -> (hosts: UInt64, instances: UInt64) {
    do throws(ProjectionError) {
      return (UInt64(try hosts(in: cell).count), UInt64(try countInstances(in: cell)))
    } catch {
      throw .index(error)
    }
  }
}

extension EventJournal {
  /// An index must have been made from this journal; `refresh()` was called after its checkpoint was
  /// read.
  ///
  /// - Throws: `index` with the fault, or `journal` if the root at the checkpoint can't be told.
  public func checkCheckpoint(
    _ checkpoint: IndexCheckpoint, at path: String
  ) throws(RegistryError) {
    let head = head.position.index
    let index = checkpoint.position.index
    var root: Digest?
    if index <= head {
      do throws(JournalError) { root = try self.root(at: index) } catch { throw .journal(error) }
    }
    do throws(ProjectionError) {
      try IndexGenerations.compare(checkpoint, at: path, head: head, root: root)
    } catch {
      throw .index(error)
    }
  }
}
