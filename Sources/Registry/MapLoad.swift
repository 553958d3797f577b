public import Journal
internal import Projections
internal import Synchronization

/// Brings instances into a map that has none yet: decided by the same rules and appended as the same
/// entries as every change, in large commits, and without a look into the index for each. The index is
/// made of the journal at the end, by the replay, and not entry by entry.
///
/// Decisions rest on the map as it was at the beginning, so all end with the first entry of another
/// writer: what is appended expects the head that it was decided on. `events` belongs to one thread;
/// `append` may run on another meanwhile.
public final class MapLoad: @unchecked Sendable {
  /// What is decided and not appended yet.
  public struct Piece: Sendable {
    fileprivate let event: Event
    fileprivate let evidence: Evidence?
  }

  private let journal: EventJournal
  private let lock: StoreLock
  private let words: String
  private let generations: IndexGenerations
  private let keys: KeyRing
  private let makeGeneration: (@Sendable (UInt64) -> Bool)?
  // Both are the deciding thread's alone; all else doesn't change, or is behind a lock.
  private let rules: Rulebook<EmptyMap>
  private var last: InstanceID?
  private let head: Mutex<Position>

  /// The most entries that may have come since the observations' basis.
  private static let maximumTail: UInt64 = 20_000

  /// - Parameters:
  ///   - basis: What the observations rest on: no entry after it may be about an instance.
  /// - Returns: nil if the map isn't so that a load is right; the registry's other road is then.
  init?(
    journal: EventJournal, lock: StoreLock, words: String, generations: IndexGenerations,
    keys: KeyRing, after basis: Position, makeGeneration: (@Sendable (UInt64) -> Bool)? = nil
  ) throws(RegistryError) {
    self.makeGeneration = makeGeneration
    self.journal = journal
    self.lock = lock
    self.words = words
    self.generations = generations
    self.keys = keys
    let map: LiveMap
    let isEmpty: Bool
    do throws(ProjectionError) {
      let reader = try generations.open(store: journal.store).reader
      let conflicts = try reader.conflicts()
      isEmpty =
        try reader.instances(limit: 1).isEmpty
        && !conflicts.contains { $0.entity.kind == .instance }
      // "None" is believed only of an index that is whole.
      if isEmpty { _ = try reader.checkIndex() }
      map = LiveMap(over: reader)
    } catch {
      throw .index(error)
    }
    let position = try map.readHead(of: journal).position
    head = Mutex(position)
    rules = Rulebook(
      map: EmptyMap(rest: map), sealer: PreviewSealer(keys: keys),
      owners: OwnerRules(keys: keys.owners, makesKeys: true))
    guard isEmpty, try Self.isSilent(journal, after: basis.index, upTo: position.index) else {
      return nil
    }
  }

  /// Whether no entry of a range is about an instance.
  private static func isSilent(
    _ journal: EventJournal, after basis: UInt64, upTo head: UInt64
  ) throws(RegistryError) -> Bool {
    guard basis <= head, head - basis <= maximumTail else { return false }
    var isSilent = true
    do throws(JournalError) {
      try journal.forEachEntry(after: basis, limit: Int(head - basis)) { (header, _, _) in
        if header.entityKind == .instance { isSilent = false }
      }
    } catch {
      throw .journal(error)
    }
    return isSilent
  }

  /// Decides what is observed of an instance; after all of those whose UUIDs are less.
  ///
  /// - Returns: What is to be appended; the map's rules take it.
  /// - Throws: `refused`.
  // Hot path: 1 µs, no look into the index.
  public func events(_ observation: Observation) throws(RegistryError) -> [Event] {
    guard case .instance(let id) = observation.entity else {
      preconditionFailure("a load is of instances")
    }
    if let last { precondition(last <= id, "instances are loaded in the order of their UUIDs") }
    last = id
    var events: [Event] = []
    let holds = try rules.take(observation, into: &events, beside: [:]) { (_) in (0, 0) }
    precondition(holds, "no later entry is about an instance")
    return events
  }

  /// What `append` takes of an observation.
  public static func pieces(_ events: [Event], of observation: Observation) -> [Piece] {
    events.map { Piece(event: $0, evidence: observation.evidence) }
  }

  /// Appends what was decided, as one commit of a bulk command, and returns once it is on disk.
  ///
  /// - Parameter command: Says who, why, and under which request; its change is what the pieces were
  ///   decided of.
  /// - Returns: False if the load has ended, and nothing was appended: another writer came in between,
  ///   or an entry can't hold a piece. The registry is to be given the same observations then.
  /// - Throws: `journal`, as `MapRegistry.submit`.
  public func append(_ pieces: [Piece], of command: Command) throws(RegistryError) -> Bool {
    guard let bulk = command.bulk else { preconditionFailure("a load is a bulk command") }
    let content = keys.digest(of: CommandContent(ofBulk: bulk.title).bytes)
    var request = RequestMark(id: command.request, content: content, chunk: bulk.chunk)
    var drafts: [EntryDraft] = []
    drafts.reserveCapacity(pieces.count)
    for piece in pieces {
      drafts.append(
        EntryDraft(
          event: piece.event, authorship: command.authorship, request: request,
          evidence: piece.evidence))
      request.content = nil
      request.chunk = nil
    }
    do throws(JournalError) {
      let lease = try lock.acquire(command: words)
      defer { lease.release() }
      let expected = head.withLock { $0 }
      guard try journal.refresh().position == expected else { return false }
      let reached = try journal.append(drafts, expecting: expected, under: lease).position
      head.withLock { $0 = reached }
      return true
    } catch .staleHead {
      return false
    } catch .invalidDraft {
      return false
    } catch {
      throw .journal(error)
    }
  }

  /// Makes the index of the journal, and lets it serve; the one before stays beside it.
  ///
  /// - Throws: `index`, `journal`; what was appended is in the journal, and the next writer projects
  ///   it.
  public func finish() throws(RegistryError) {
    do throws(ProjectionError) {
      let new = try generations.reserve()
      try withExtendedLifetime(new) { () throws(ProjectionError) in
        // Elsewhere it has memory of its own, and damage in the journal ends that alone.
        if makeGeneration?(new.number) != true {
          try? generations.discard(new.number)
          try generations.make(new.number, from: journal)
        }
        try generations.serve(new, with: journal, under: lock, command: words)
      }
    } catch {
      throw .index(error)
    }
  }
}

/// A map of which it is known that it has no instance.
private struct EmptyMap: MapLookup {
  /// Its cells, hosts and requests.
  let rest: LiveMap

  func instance(_ id: InstanceID) throws(ProjectionError) -> InstanceRow? { nil }

  func conflict(of entity: EntityKey) throws(ProjectionError) -> ConflictRow? {
    if case .instance = entity { nil } else { try rest.conflict(of: entity) }
  }

  func departure(of entity: EntityKey) throws(ProjectionError) -> UInt64? {
    // One of before the basis, which says nothing against what was observed after it.
    if case .instance = entity { nil } else { try rest.departure(of: entity) }
  }

  func cell(_ id: CellID) throws(ProjectionError) -> CellRow? { try rest.cell(id) }
  func allCells() throws(ProjectionError) -> [CellID: CellRow] { try rest.allCells() }
  func host(_ name: ByteText) throws(ProjectionError) -> HostRow? { try rest.host(name) }
  func request(_ id: RequestID) throws(ProjectionError) -> RequestRow? { try rest.request(id) }
}
