import Journal
import Projections
import Registry

/// `cell remove --force`: marks the cell, empties it in chunks, removes it. Each chunk names its
/// keys, so that the command can be given again after a crash and goes on where it ended.
struct ForcedRemoval {
  let cell: CellID
  let options: any ChangeOptions
  private static let chunk = 1000

  func run(
    _ session: StoreSession
  ) throws(CommandFailure) -> (outcome: Outcome, hosts: Int, instances: Int) {
    let registry = try session.writer()
    let earlier = try earlierCounts(session)
    let begun: Outcome
    do throws(CommandFailure) {
      begun = try submit(.beginRemovingCell(cell), nil, registry)
    } catch {
      // The cell went in this command, which was stopped ahead of its last entry.
      guard error.status == .unknown, let earlier else { throw error }
      let outcome = try submit(.finishRequest(earlier), nil, registry)
      return (outcome, Int(earlier.hosts), Int(earlier.instances))
    }
    if let finished = begun.finished {
      return (begun, Int(finished.hosts), Int(finished.instances))
    }
    var counts = earlier ?? ChangeCounts()
    counts.cells = 1
    let hosts = try indexed(session) { (map) throws(ProjectionError) in
      try map.index.hosts(in: cell).map(\.name)
    }
    for part in parts(hosts) {
      let range = KeyRange(kind: .host, first: part[0], last: part[part.count - 1])
      try submit(.emptyCell(cell, hosts: part, instances: []), range, registry)
      counts.hosts += UInt64(part.count)
    }
    while true {
      let page = try indexed(session) { (map) throws(ProjectionError) in
        try map.index.instances(in: cell, limit: ForcedRemoval.chunk).map(\.id)
      }
      guard let first = page.first, let last = page.last else { break }
      let range = KeyRange(
        kind: .instance, first: ByteText(first.description), last: ByteText(last.description))
      try submit(.emptyCell(cell, hosts: [], instances: page), range, registry)
      counts.instances += UInt64(page.count)
    }
    try submit(.removeCell(cell), nil, registry)
    let outcome = try submit(.finishRequest(counts), nil, registry)
    return (outcome, Int(counts.hosts), Int(counts.instances))
  }

  /// What the entries of this command have done so far; nil if there are none, or it is finished.
  private func earlierCounts(_ session: StoreSession) throws(CommandFailure) -> ChangeCounts? {
    let map = try session.map()
    let request = try projections { () throws(ProjectionError) in
      try map.map.request(options.request)
    }
    guard let request, request.finished == nil else { return nil }
    var counts = ChangeCounts(cells: 1)
    do throws(JournalError) {
      for index in request.first...request.last {
        let entry = try session.journal.entry(at: index)
        guard let entry, entry.draft.request.id == options.request else { continue }
        switch entry.event {
        case .host(_, .unmapped): counts.hosts += 1
        case .instance(_, .moved): counts.instances += 1
        default: break
        }
      }
    } catch {
      throw CommandFailure(error)
    }
    return counts
  }

  /// Asks the index once it has reached everything that was acknowledged.
  private func indexed<Value>(
    _ session: StoreSession, _ read: (LiveMap) throws(ProjectionError) -> Value
  ) throws(CommandFailure) -> Value {
    _ = try session.caughtUpIndex()
    let map = try session.map()
    return try projections { () throws(ProjectionError) in try read(map.map) }
  }

  private func parts(_ names: [ByteText]) -> [[ByteText]] {
    stride(from: 0, to: names.count, by: ForcedRemoval.chunk).map {
      Array(names[$0...].prefix(ForcedRemoval.chunk))
    }
  }

  @discardableResult
  private func submit(
    _ change: Change, _ range: KeyRange?, _ registry: MapRegistry
  ) throws(CommandFailure) -> Outcome {
    var command = options.command(change)
    command.bulk = BulkMark(title: ByteText("remove cell \(cell) by force"), chunk: range)
    do throws(RegistryError) {
      return try registry.submit(command)
    } catch {
      throw CommandFailure(error, request: options.request)
    }
  }
}
