import Foundation
import Journal
import Projections
import Recovery
import Registry
import Router

/// A store as a command has it open.
final class StoreSession {
  let files: StoreFiles
  let journal: EventJournal
  let index: IndexGenerations
  private var registry: MapRegistry?

  /// Opens the store; the journal's end is checked, the index is not looked at yet.
  init(_ options: StoreOptions) throws(CommandFailure) {
    do throws(JournalError) {
      journal = try EventJournal.open(options.folder)
    } catch {
      throw CommandFailure(error)
    }
    files = journal.files
    index = IndexGenerations(folder: files.directory)
    CellNames.options = options
    OwnerOutput.use(journal)
  }

  /// The store's keys.
  func keys() throws(CommandFailure) -> KeyRing {
    do throws(KeyError) {
      return try KeyRing.open(of: journal)
    } catch {
      throw CommandFailure(error)
    }
  }

  /// The same where nothing is asked of requests: keys that are missing leave no outcome unknown.
  func keysForReading() throws(CommandFailure) -> KeyRing {
    do throws(CommandFailure) { return try keys() } catch {
      throw error.status == .outcomeUnknown ? CommandFailure(.storage, error.message) : error
    }
  }

  /// What opens addresses; without it cells are named, and not asked.
  private func addressKeys() -> AddressKeys? {
    do throws(KeyError) {
      return try AddressKeys.open(of: journal)
    } catch {
      // Where there are none at all, the answer about each cell says so.
      if case .missing = error { return nil }
      Console.note("cellmap: \(error)")
      return nil
    }
  }

  /// Whether a key is, or was, a project's.
  func isProjectKey(_ key: KeyID) throws(CommandFailure) -> Bool {
    if OwnerOutput.keys?.project(of: key).isReadable == true { return true }
    guard OwnerOutput.keys != nil else { return false }
    do throws(JournalError) {
      return try journal.changes(of: .store, after: 0).contains {
        $0.event == .store(.ownerKeyShredded(key))
      }
    } catch {
      throw CommandFailure(error)
    }
  }

  /// The keys by which owners of the map's instances are sealed; none where the index can't be read
  /// without making it again.
  func ownerKeys() throws(CommandFailure) -> Set<KeyID> {
    // The entries that an index lacks are folded for it, which is not done for nothing.
    guard journal.sealsOwners || OwnerOutput.keys != nil else { return [] }
    guard let map = mapAsItIs()?.map else { return [] }
    return try projections { () throws(ProjectionError) in
      var keys = try map.index.ownerKeys()
      for row in map.overlay.changedInstances.values {
        let owner = row?.record.owner
        keys.formUnion([owner?.project?.key, owner?.user?.key].compactMap(\.self))
      }
      return keys
    }
  }

  // MARK: Reading

  /// The map at the head of the journal.
  func map() throws(CommandFailure) -> MapReading {
    let reader = try openIndex()
    do throws(RegistryError) {
      let live = LiveMap(over: reader)
      return MapReading(map: live, head: try live.readHead(of: journal).position)
    } catch {
      throw CommandFailure(error)
    }
  }

  /// The map, if it can be read without making the index again.
  func mapAsItIs() -> MapReading? {
    guard let reader = try? openChecked() else { return nil }
    let live = LiveMap(over: reader)
    guard let head = try? live.readHead(of: journal).position else { return nil }
    return MapReading(map: live, head: head)
  }

  /// A reader of the index once it holds every entry of the journal; it has no snapshot open.
  func caughtUpIndex() throws(CommandFailure) -> IndexReader {
    let registry = try writer()
    do throws(RegistryError) { try registry.projectTail() } catch { throw CommandFailure(error) }
    return try openIndex()
  }

  /// The router over this store.
  func router(
    _ base: AddressBase, options: CellRouter.Options = CellRouter.Options()
  ) throws(CommandFailure) -> CellRouter {
    _ = try openIndex()
    return try makeRouter(base, options)
  }

  /// The router for questions that the cells can answer too: an index that can't serve is made again
  /// first, if that can be done now.
  ///
  /// - Returns: The router, and why the index could not be made; the router then asks the cells, and
  ///   takes up an index that another process makes.
  func routerOverCells(
    _ base: AddressBase
  ) throws(CommandFailure) -> (router: CellRouter, whyWithoutIndex: CommandFailure?) {
    var why: CommandFailure?
    do throws(RegistryError) {
      _ = try openChecked()
    } catch .index(.fault(let fault)) where fault.isSafeToReplace {
      do throws(CommandFailure) { try IndexReplacement(self).mend(fault) } catch { why = error }
    } catch {
      throw CommandFailure(error)
    }
    return (try makeRouter(base), why)
  }

  private func makeRouter(
    _ base: AddressBase, _ options: CellRouter.Options = CellRouter.Options()
  ) throws(CommandFailure) -> CellRouter {
    do throws(RouterError) {
      return try CellRouter(
        journal: journal, index: index, keys: addressKeys(), base: base, options: options)
    } catch {
      throw CommandFailure(error)
    }
  }

  /// The index; one that can't serve, and is safe to replace, is made again first, and so is one that
  /// lacks more entries than are to be folded in memory: a load of a whole map was killed, or is underway.
  private func openIndex() throws(CommandFailure) -> IndexReader {
    do throws(RegistryError) {
      let reader = try openChecked()
      guard registry == nil, try isFarBehind(reader) else { return reader }
      Console.note("cellmap: The index lacks many entries of the journal. Making it again now.")
      // Where that can't be done now, the entries are read one by one all the same.
      do throws(CommandFailure) { _ = try IndexReplacement(self).replace() } catch { return reader }
      return try openChecked()
    } catch .index(.fault(let fault)) where fault.isSafeToReplace {
      try IndexReplacement(self).mend(fault)
    } catch {
      throw CommandFailure(error)
    }
    do throws(RegistryError) { return try openChecked() } catch { throw CommandFailure(error) }
  }

  private func isFarBehind(_ reader: IndexReader) throws(RegistryError) -> Bool {
    do throws(ProjectionError) {
      let reached = try reader.checkpoint().position.index
      return journal.head.position.index > reached + UInt64(Overlay.readerCapacity)
    } catch {
      throw .index(error)
    }
  }

  /// - Throws: `index` with a fault, or `journal`.
  private func openChecked() throws(RegistryError) -> IndexReader {
    let reader: IndexReader
    let checkpoint: IndexCheckpoint
    do throws(ProjectionError) {
      reader = try index.open(store: journal.store).reader
      checkpoint = try reader.checkpoint()
    } catch {
      throw .index(error)
    }
    do throws(JournalError) { _ = try journal.refresh() } catch { throw .journal(error) }
    try journal.checkCheckpoint(checkpoint, at: reader.path)
    return reader
  }

  /// An index must have been made from this journal.
  static func check(
    _ checkpoint: IndexCheckpoint, at path: String, against journal: EventJournal
  ) throws(CommandFailure) {
    do throws(RegistryError) {
      try journal.checkCheckpoint(checkpoint, at: path)
    } catch {
      throw CommandFailure(error)
    }
  }

  // MARK: Writing

  /// The registry; the index is made ready first.
  func writer() throws(CommandFailure) -> MapRegistry {
    if let registry { return registry }
    _ = try openIndex()
    let made = MapRegistry(
      journal: journal, lock: journal.lock, command: Cellmap.words, index: index, keys: try keys())
    registry = made
    return made
  }

  /// Makes a change, and returns once it is on disk.
  ///
  /// - Parameter isByOperator: What is merely observed wants no reason.
  func submit(
    _ change: Change, _ options: some ChangeOptions, isByOperator: Bool = true
  ) throws(CommandFailure) -> Outcome {
    var command = options.command(change)
    command.isByOperator = isByOperator
    let registry = try writer()
    do throws(RegistryError) {
      return try registry.submit(command)
    } catch .index(.damaged(let path, let what)) {
      try replaceDamagedIndex(.damaged(path: path, what: what))
    } catch {
      throw CommandFailure(error, request: options.request)
    }
    let successor = try writer()
    do throws(RegistryError) { return try successor.submit(command) } catch {
      throw CommandFailure(error, request: options.request)
    }
  }

  /// Makes the index again: one of its rows is not what its checksum says.
  func replaceDamagedIndex(_ fault: IndexFault) throws(CommandFailure) {
    if let registry {
      // It fails to catch up on the damaged index; what it acknowledged is in the journal.
      try? registry.close()
      self.registry = nil
    }
    try IndexReplacement(self).mend(fault)
  }

  /// What a finished bulk command under the same request id was answered; nil if there is none.
  func earlierAnswer(
    to title: ByteText, _ options: some ChangeOptions
  ) throws(CommandFailure) -> Outcome? {
    let map = try map()
    let keys = try keys()
    do throws(RegistryError) {
      return try MapRegistry.earlierAnswer(
        toBulk: title, under: options.request, in: map.map, at: map.head, keys: keys)
    } catch {
      throw CommandFailure(error)
    }
  }

  /// The same for a command of one commit.
  func earlierAnswer(to command: Command) throws(CommandFailure) -> Outcome? {
    let map = try map()
    let keys = try keys()
    do throws(RegistryError) {
      return try MapRegistry.earlierAnswer(to: command, in: map.map, at: map.head, keys: keys)
    } catch {
      throw CommandFailure(error)
    }
  }

  /// The cell that a name or UUID means in a change.
  ///
  /// A change that is given again under its request id may have taken the name away, or the cell
  /// may have got another since: then the cell is the one that the first answer was about.
  func cell(
    named text: String, _ options: some ChangeOptions
  ) throws(CommandFailure) -> (id: CellID, label: String) {
    let map = try map()
    do throws(CommandFailure) {
      let (id, row) = try map.cell(named: text)
      return (id, row.record.name?.string ?? id.description)
    } catch {
      let row = try projections { () throws(ProjectionError) in
        try map.map.request(options.request)
      }
      guard error.status == .unknown, let row else { throw error }
      guard let id = try firstEvent(of: row.first)?.cellMeant else { throw error }
      return (id, text)
    }
  }

  private func firstEvent(of index: UInt64) throws(CommandFailure) -> Event? {
    do throws(JournalError) {
      return try journal.entry(at: index)?.event
    } catch {
      throw CommandFailure(error)
    }
  }

  /// What the first entry of a change is about.
  func entity(of outcome: Outcome) throws(CommandFailure) -> EntityKey? {
    if let entity = outcome.entity { return entity }
    guard let first = outcome.entries?.lowerBound else { return nil }
    return try firstEvent(of: first)?.entity
  }

  /// Holds the write lease while `body` works on the files of the store.
  func withLease<Result>(
    _ command: String, _ body: () throws(CommandFailure) -> Result
  ) throws(CommandFailure) -> Result {
    let lease: WriteLease
    do throws(JournalError) {
      lease = try journal.lock.acquire(command: command)
    } catch {
      throw CommandFailure(error)
    }
    defer { lease.release() }
    return try body()
  }

  /// Lets the projector catch up and gives everything back.
  ///
  /// What was answered is in the journal: an index that can't follow it now is worth a remark, and
  /// the next writer brings it up.
  func close() {
    defer { try? journal.syncHead() }
    guard let registry else { return }
    do throws(RegistryError) { try registry.close() } catch {
      Console.note("cellmap: The change is recorded; the index stays behind for now: \(error)")
    }
  }
}

extension Event {
  /// The cell that the command of an entry named.
  fileprivate var cellMeant: CellID? {
    switch self {
    case .cell(let id, _): id
    case .host(_, .mapped(let record)): record.cell
    case .instance(_, .mapped(let record)): record.cell
    case .instance(_, .moved(_, let cell)): cell
    default: nil
    }
  }
}
