internal import Journal
internal import Projections

/// Brings instances into a map that has none yet: decided by the same rules and appended as the same
/// entries as every change, in large commits, and without a look into the index for each. A new index is
/// made on the way, on a thread of its own, of what was appended.
///
/// Decisions rest on the map as it was at the beginning, so all end with the first entry of another
/// writer: what is appended expects the head that it was decided on. `decide` belongs to one thread; what it
/// decided before may be appended on another meanwhile.
public final class MapLoad: @unchecked Sendable {
  /// What becomes of a command's observations.
  public struct Decided: Sendable {
    /// Instances that the map is to have.
    public fileprivate(set) var added: UInt64 = 0
    /// What the rules refused, and why; all else is appended.
    public fileprivate(set) var refused: [(observation: Observation, why: Refusal)] = []
    /// Observations that change something.
    public fileprivate(set) var changed: UInt64 = 0
    fileprivate var drafts: [EntryDraft] = []
    /// Nothing can be loaded of an instance that comes again, or too late.
    fileprivate var isInOrder = true
  }

  private let journal: EventJournal
  private let lock: StoreLock
  private let words: String
  private let generations: IndexGenerations
  private let keys: KeyRing
  private let rules: Rulebook<EmptyMap>
  private var last: InstanceID?
  // These are the appending thread's.
  private var head: Position
  private let new: HeldGeneration
  private var index: IndexLoad?
  /// What was appended, on its way into the index.
  private var indexing: OwnWork<Void, ProjectionError>?

  /// The most entries that the journal may have: each is looked at.
  private static let maximumEntries: UInt64 = 200_000

  /// - Returns: nil if the map isn't so that a load is right; the registry's other road is then.
  init?(
    journal: EventJournal, lock: StoreLock, words: String, generations: IndexGenerations,
    keys: KeyRing
  ) throws(RegistryError) {
    self.journal = journal
    self.lock = lock
    self.words = words
    self.generations = generations
    self.keys = keys
    let map: LiveMap
    let cells: [CellID: CellRow]
    do throws(ProjectionError) {
      map = LiveMap(over: try generations.open(store: journal.store).reader)
    } catch {
      throw .index(error)
    }
    head = try map.readHead(of: journal).position
    do throws(ProjectionError) { cells = try map.allCells() } catch { throw .index(error) }
    rules = Rulebook(
      map: EmptyMap(cells: cells, rest: map), sealer: PreviewSealer(keys: keys),
      owners: OwnerRules(keys: keys.owners, makesKeys: true))
    guard try Self.hasNoInstances(journal, upTo: head.index) else { return nil }
    do throws(ProjectionError) {
      new = try generations.reserveNew()
    } catch {
      throw .index(error)
    }
    do throws(ProjectionError) {
      index = try IndexLoad(
        of: journal, upTo: head.index, into: generations.path(of: new.number))
    } catch {
      try? generations.discard(new.number)
      throw .index(error)
    }
  }

  deinit { _ = giveUp() }

  /// Whether no entry is about an instance; not found out of a long journal.
  private static func hasNoInstances(
    _ journal: EventJournal, upTo head: UInt64
  ) throws(RegistryError) -> Bool {
    guard head <= maximumEntries else { return false }
    var hasNone = true
    do throws(JournalError) {
      try journal.forEachEntry(after: 0, limit: Int(head)) { (header, _, _) in
        if header.entityKind == .instance { hasNone = false }
      }
    } catch {
      throw .journal(error)
    }
    return hasNone
  }

  /// Decides what was observed.
  ///
  /// - Parameter command: A bulk command; its observations are of instances, in the order of their UUIDs and behind
  ///   those of the command before.
  // Hot path: at most 1 µs an instance.
  public func decide(_ command: Command) throws(RegistryError) -> Decided {
    guard let bulk = command.bulk, case .take(let observations) = command.change else {
      preconditionFailure("a load is a bulk command of observations")
    }
    let content = keys.digest(of: CommandContent(ofBulk: bulk.title).bytes)
    var request = RequestMark(id: command.request, content: content, chunk: bulk.chunk)
    var decided = Decided()
    decided.drafts.reserveCapacity(observations.count)
    var events: [Event] = []
    // A span's elements are looked at where they are; an array's are copied, with all their texts.
    let span = observations.span
    for place in span.indices {
      events.removeAll(keepingCapacity: true)
      do throws(RegistryError) {
        let holds = try rules.take(span[place], into: &events, beside: [:]) { (_) in (0, 0) }
        precondition(holds, "no later entry is about an instance")
      } catch .refused(let why) {
        decided.refused.append((observations[place], why))
        continue
      }
      if events.isEmpty { continue }
      decided.changed += 1
      if case .instance(let id, _) = span[place].state {
        decided.added += 1
        if let last, id <= last { decided.isInOrder = false }
        last = id
      }
      events.reverse()
      while let event = events.popLast() {
        decided.drafts.append(
          EntryDraft(
            event: event, authorship: command.authorship, request: request,
            evidence: span[place].evidence))
        request.content = nil
        request.chunk = nil
      }
    }
    return decided
  }

  /// Appends what was decided of a command, as one commit, and returns once it is on disk.
  ///
  /// - Returns: False if the load has ended, and nothing was appended: another writer came in between,
  ///   an instance came twice, or an entry can't hold what was decided. The registry is to be given the same observations then.
  /// - Throws: `journal`, as `MapRegistry.submit`; `index` for a full or failing disk, after which the next
  ///   writer projects what was appended.
  // Hot path: at most 3 µs an instance.
  public func append(_ decided: Decided) throws(RegistryError) -> Bool {
    guard index != nil else { return false }
    guard decided.isInOrder else { return giveUp() }
    if decided.drafts.isEmpty { return true }
    let first = head.index + 1
    do throws(JournalError) {
      let lease = try lock.acquire(command: words)
      defer { lease.release() }
      guard try journal.refresh().position == head else { return giveUp() }
      head = try journal.append(decided.drafts, expecting: head, under: lease).position
    } catch .staleHead {
      return giveUp()
    } catch .invalidDraft {
      return giveUp()
    } catch {
      throw .journal(error)
    }
    try waitForIndex()
    let (index, place) = (index, Position(epoch: head.epoch, index: first))
    indexing = OwnWork { () throws(ProjectionError) in
      try index?.add(decided.drafts, from: place)
    }
    return true
  }

  private func waitForIndex() throws(RegistryError) {
    do throws(ProjectionError) { try indexing?.result() } catch { throw .index(error) }
    indexing = nil
  }

  /// Lets the index that was made serve; the one before stays beside it.
  ///
  /// - Throws: `index`, `journal`; what was appended is in the journal, and the next writer projects
  ///   it.
  public func finish() throws(RegistryError) {
    try waitForIndex()
    let root: Digest
    do throws(JournalError) { root = try journal.root(at: head.index) } catch {
      throw .journal(error)
    }
    do throws(ProjectionError) {
      try index?.finish(root: root)
      index = nil
      try generations.serve(new, with: journal, under: lock, command: words)
    } catch {
      throw .index(error)
    }
  }

  /// Takes away what was made of the index.
  ///
  /// - Returns: False: nothing more is appended.
  private func giveUp() -> Bool {
    guard index != nil else { return false }
    indexing?.wait()
    (index, indexing) = (nil, nil)
    try? generations.discard(new.number)
    return false
  }
}

/// A map of which it is known that it has no instance.
private struct EmptyMap: MapLookup {
  /// Its cells, each of which is asked for with every instance.
  let cells: [CellID: CellRow]
  /// Its hosts and requests.
  let rest: LiveMap

  func instance(_ id: InstanceID) throws(ProjectionError) -> InstanceRow? { nil }

  func conflict(of entity: EntityKey) throws(ProjectionError) -> ConflictRow? {
    if case .instance = entity { nil } else { try rest.conflict(of: entity) }
  }

  func departure(of entity: EntityKey) throws(ProjectionError) -> UInt64? {
    // One of before the basis, which says nothing against what was observed after it.
    if case .instance = entity { nil } else { try rest.departure(of: entity) }
  }

  func cell(_ id: CellID) throws(ProjectionError) -> CellRow? { cells[id] }
  func allCells() throws(ProjectionError) -> [CellID: CellRow] { cells }
  func host(_ name: ByteText) throws(ProjectionError) -> HostRow? { try rest.host(name) }
  func request(_ id: RequestID) throws(ProjectionError) -> RequestRow? { try rest.request(id) }
}
