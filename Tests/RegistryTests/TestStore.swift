import Foundation
import Journal
import Projections
import Registry
import TestSupport
import Testing

/// A store in a temporary folder, and a registry over it.
struct TestStore: Sendable {
  let journal: EventJournal
  let keys: KeyRing
  let index: IndexGenerations
  let registry: MapRegistry

  static let author = Authorship(
    actor: "tester", program: "tests/1", reason: "because", observedAt: .now)

  /// Opens the store in a folder, as another process would.
  init(opening folder: String) throws {
    try self.init(EventJournal.open(folder + "/store"))
  }

  init(_ journal: EventJournal, index: IndexGenerations? = nil) throws {
    self.journal = journal
    keys = try KeyRing.open(in: journal.files.keys, store: journal.store)
    self.index = index ?? IndexGenerations(folder: journal.files.directory)
    registry = MapRegistry(
      journal: journal, lock: journal.lock, command: "test", index: self.index, keys: keys)
  }

  @discardableResult
  func submit(
    _ change: Change, _ request: RequestID = .fresh(), guards: [Guard] = [],
    bulk: BulkMark? = nil
  ) throws -> Outcome {
    try registry.submit(
      Command(change, by: TestStore.author, request: request, guards: guards, bulk: bulk))
  }

  /// Submits one commit of a bulk command.
  @discardableResult
  func submit(
    bulk title: ByteText, _ change: Change, _ request: RequestID, chunk: KeyRange? = nil
  ) throws -> Outcome {
    try submit(change, request, bulk: BulkMark(title: title, chunk: chunk))
  }

  @discardableResult
  func take(_ states: Observation.State...) throws -> Outcome {
    try submit(bulk: "take", .take(states.map { Observation($0, evidence: nil) }), .fresh())
  }

  /// A reader of the index once it has reached everything that was acknowledged.
  func caughtUpIndex() throws -> IndexReader {
    try registry.waitUntilProjected()
    return try index.open(store: journal.store).reader
  }

  /// The digest of the serving index, read in full, and that of one made again from the journal.
  func expectIndexEqualsReplay(sourceLocation: SourceLocation = #_sourceLocation) throws {
    let reader = try caughtUpIndex()
    _ = try journal.refresh()
    let number = try index.replay(journal)
    let again = try IndexReader(path: index.path(of: number))
    #expect(try reader.checkIndex() == again.checkIndex(), sourceLocation: sourceLocation)
    #expect(try reader.checkpoint() == again.checkpoint(), sourceLocation: sourceLocation)
    try index.remove(number)
  }

  /// Appends the entry that opens an epoch, as a restore does; gives its index.
  func openEpoch(_ epoch: UInt32) throws -> UInt64 {
    let other = try EventJournal.open(journal.files.directory)
    let lease = try other.lock.acquire(command: "test")
    defer { lease.release() }
    let head = try other.refresh()
    let opening = EpochOpening(
      store: other.store, epoch: epoch, id: EpochID(.random()), cause: .restored,
      commonIndex: head.position.index, commonRoot: head.root, leftIndex: head.position.index,
      leftRoot: head.root)
    let draft = EntryDraft(
      event: .store(.epochOpened(opening)), authorship: TestStore.author,
      request: RequestMark(id: .none))
    return try other.append([draft], expecting: head.position, under: lease).position.index
  }

  /// Adds a cell with a database of its own.
  @discardableResult
  func addCell(_ id: CellID, _ name: ByteText? = nil) throws -> CellID {
    try submit(.addCell(id: id, CellDraft(name: name, addresses: AddressDraft())))
    return id
  }

  @discardableResult
  func map(_ instance: InstanceID, to cell: CellID?, isTest: Bool = false) throws -> Outcome {
    try submit(.mapInstance(instance, .init(cell: cell, owner: .sample, isTest: isTest)))
  }
}

/// Gives `body` a new store with cell0, and closes its registry afterwards.
///
/// - Parameter sealsOwners: Whether it seals projects and users.
func withStore<Result>(
  sealsOwners: Bool = false, _ body: (TestStore) throws -> Result
) throws -> Result {
  try withStoreFolder { folder in
    let store = try makeStore(folder, sealsOwners: sealsOwners)
    let result = try body(store)
    try store.registry.close()
    return result
  }
}

/// Gives `body` the folder of a store that it makes and opens itself.
func withStoreFolder<Result>(_ body: (String) throws -> Result) throws -> Result {
  try withTemporaryFolder { folder in try body(folder) }
}

func makeStore(_ folder: String, sealsOwners: Bool = false) throws -> TestStore {
  try TestStore(
    StoreCreation.create(
      in: folder + "/store", cell0: nil, by: TestStore.author,
      opening: StoreCreation.Opening(sealsOwners: sealsOwners)))
}

/// Checks that `body` is refused for exactly this reason.
func expectRefusal(
  _ refusal: Refusal, sourceLocation: SourceLocation = #_sourceLocation,
  _ body: () throws -> Outcome
) {
  do {
    let outcome = try body()
    Issue.record("accepted: \(outcome)", sourceLocation: sourceLocation)
  } catch RegistryError.refused(let found) {
    #expect(found == refusal, sourceLocation: sourceLocation)
  } catch {
    Issue.record("\(error)", sourceLocation: sourceLocation)
  }
}

extension RequestID {
  static func fresh() -> RequestID { RequestID(.timeOrdered(at: .now)) }
}

extension CellID {
  static func number(_ number: UInt64) -> CellID { CellID(UUID128(high: 0xCE11, low: number)) }
}

extension InstanceID {
  /// Numbers spread over the buckets; none is the zero UUID, which is Nova's marker.
  static func number(_ number: UInt64) -> InstanceID {
    InstanceID(UUID128(high: (number &+ 1) &* 0x9E37_79B9_7F4A_7C15, low: number))
  }
}

extension InstanceOwner {
  static let sample = InstanceOwner(project: "project", user: "user")
}

func databaseAddress(_ text: String) throws -> GivenAddress {
  try GivenAddress(Secret(text), of: .database)
}

func queueAddress(_ text: String) throws -> GivenAddress {
  try GivenAddress(Secret(text), of: .queue)
}
