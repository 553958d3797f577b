internal import Cells
public import Journal
public import Projections
public import Registry
public import Router

/// The compute hosts that cells have and the map has not, and what keeps some from being mapped.
///
/// A plan first, which changes nothing; then `apply`, which maps what is new and never moves a host.
public struct HostDiscovery: Sendable {
  /// A host that more than one cell has, or that a conflict or another decision than the discovery's stands about:
  /// names are unique in the cloud, so an operator decides.
  public struct Clash: Hashable, Sendable {
    public let host: ByteText
    /// The cells that have it, by UUID.
    public let cells: [CellID]
    /// The cell that the map has it in; nil if it is in none.
    public let mapped: CellID?
  }

  /// A host that the map's rules don't take.
  public struct Problem: Hashable, Sendable {
    public let host: ByteText
    public let cell: CellID
    public let why: Refusal
  }

  /// The head of the journal before the cells were asked: what was decided later stands.
  public let basis: Position
  /// Hosts to be mapped, by name; once applied, those that are mapped as they were found.
  public private(set) var new: [(host: ByteText, cell: CellID)] = []
  /// How many hosts are mapped as they should be.
  public private(set) var knownCount = 0
  public private(set) var clashes: [Clash] = []
  public private(set) var problems: [Problem] = []
  /// The cells that answered, and those that didn't.
  public private(set) var answered: [CellID] = []
  public private(set) var failed: [CellID: CellUnavailable] = [:]
  /// Evidence of the cells' identity that isn't recorded yet.
  private var evidence: [(cell: CellID, parts: [CellIdentity])] = []

  /// Hosts, and UUIDs of evidence, of one commit.
  static let chunkRows = 1000

  /// Compares what cells have with the map.
  ///
  /// - Parameters:
  ///   - index: A reader of the index, which has reached `basis`.
  /// - Throws: `index`, `keys`.
  public init(
    of cells: [CellHosts], on index: IndexReader, basis: Position, keys: KeyRing
  ) throws(RegistryError) {
    self.basis = basis
    var owners: [ByteText: [CellID]] = [:]
    for cell in cells {
      switch cell.answer {
      case .failure(let error): failed[cell.target.id] = error
      case .success(let census):
        answered.append(cell.target.id)
        for host in census.hosts { owners[host.name, default: []].append(cell.target.id) }
        try note(census.identity, of: cell.target.id, on: index)
      }
    }
    let preview = ChangePreview(map: LiveMap(over: index), head: basis.index, keys: keys)
    for (host, owners) in owners.sorted(by: { $0.key < $1.key }) {
      try place(host, owners.sorted(), on: index, preview)
    }
  }

  private mutating func place(
    _ host: ByteText, _ owners: [CellID], on index: IndexReader, _ preview: ChangePreview
  ) throws(RegistryError) {
    let mapped = try indexed { () throws(ProjectionError) in try index.host(host)?.record.cell }
    if owners.count > 1 || mapped.map({ $0 != owners[0] }) ?? false {
      let cells = Set(owners).union(mapped.map { [$0] } ?? [])
      clashes.append(Clash(host: host, cells: cells.sorted(), mapped: mapped))
    } else if mapped != nil {
      knownCount += 1
    } else if try indexed({ () throws(ProjectionError) in
      try index.conflict(of: .host(host))?.record.leavesUnmapped
    }) == true {
      clashes.append(Clash(host: host, cells: owners, mapped: nil))
    } else {
      do throws(RegistryError) {
        _ = try preview.events(observation(host, owners[0]))
        new.append((host, owners[0]))
      } catch .refused(let why) {
        problems.append(Problem(host: host, cell: owners[0], why: why))
      } catch {
        throw error
      }
    }
  }

  private func observation(_ host: ByteText, _ cell: CellID) -> Observation {
    Observation(.host(host, HostRecord(cell: cell)), evidence: nil, basis: basis)
  }

  private mutating func note(
    _ identity: CellIdentity, of cell: CellID, on index: IndexReader
  ) throws(RegistryError) {
    let known = try indexed { () throws(ProjectionError) in
      Set(try index.identities(of: cell).map(\.uuid))
    }
    let parts = identity.parts(of: Self.chunkRows, without: known)
    if !parts.isEmpty { evidence.append((cell, parts)) }
  }

  /// Nothing would be written.
  public var changesNothing: Bool { new.isEmpty && evidence.isEmpty }

  /// The bulk command in words that are the same at each retry.
  public static func title(of only: CellID?) -> ByteText {
    ByteText("discover hosts of \(only?.description ?? "all cells")")
  }

  /// Maps the new hosts, records the evidence, and ends the command. Hosts that were mapped or
  /// unmapped by others since the basis stay as they are, and are clashes from then on.
  ///
  /// - Parameter index: The reader that this was made on.
  /// - Returns: nil if there was nothing to do.
  /// - Throws: As `MapRegistry.submit`; the same command under the same id goes on where it ended.
  public mutating func apply(
    title: ByteText, by authorship: Authorship, request: RequestID, on index: IndexReader,
    through registry: MapRegistry
  ) throws(RegistryError) -> Outcome? {
    let isUnfinished = try indexed { () throws(ProjectionError) in
      try index.isUnfinished(request)
    }
    if changesNothing, !isUnfinished { return nil }
    func submit(_ change: Change, _ chunk: KeyRange?) throws(RegistryError) -> Outcome {
      try registry.submit(
        Command(
          change, by: authorship, request: request, bulk: BulkMark(title: title, chunk: chunk)))
    }
    let found = new
    var mapped: UInt64 = 0
    for start in stride(from: 0, to: found.count, by: Self.chunkRows) {
      let part = found[start...].prefix(Self.chunkRows)
      guard let first = part.first, let last = part.last else { break }
      let outcome = try submit(
        .take(part.map { observation($0.host, $0.cell) }),
        KeyRange(.host(first.host), through: .host(last.host)))
      mapped += outcome.changed
      if outcome.overtaken > 0 {
        try registry.waitUntilProjected()
        try passOver(part, on: index)
      }
    }
    for (cell, parts) in evidence {
      for part in parts {
        _ = try submit(
          .recordIdentity(cell, part), KeyRange(.cell(cell), through: .cell(cell)))
      }
    }
    return try submit(.finishRequest(ChangeCounts(hosts: mapped)), nil)
  }

  /// Makes clashes of the hosts that the map has otherwise, by a later decision.
  private mutating func passOver(
    _ hosts: ArraySlice<(host: ByteText, cell: CellID)>, on index: IndexReader
  ) throws(RegistryError) {
    var passedOver: Set<ByteText> = []
    try indexed { () throws(ProjectionError) in
      try index.endSnapshot()
      for (host, cell) in hosts {
        let mapped = try index.host(host)?.record.cell
        guard mapped != cell else { continue }
        passedOver.insert(host)
        let cells = Set([cell]).union(mapped.map { [$0] } ?? [])
        clashes.append(Clash(host: host, cells: cells.sorted(), mapped: mapped))
      }
    }
    new.removeAll { passedOver.contains($0.host) }
  }

  private func indexed<Value>(
    _ read: () throws(ProjectionError) -> Value
  ) throws(RegistryError) -> Value {
    do throws(ProjectionError) { return try read() } catch { throw .index(error) }
  }
}
