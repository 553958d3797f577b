internal import Journal

/// Folds entries into the rows that they touch, and writes these at the end of a batch.
///
/// Used by the live projector and, for all but the instances, by replay: one fold for both.
struct EntryFolder {
  private var cells = RowBatch<CellTable>()
  private var hosts = RowBatch<HostTable>()
  private var instances = RowBatch<InstanceTable>()
  private var identities = RowBatch<IdentityTable>()
  private var requests = RowBatch<RequestTable>()
  private var departed = RowBatch<DepartedTable>()
  private var epochs = RowBatch<EpochTable>()
  private var conflicts = RowBatch<ConflictTable>()

  /// Folds one entry in.
  mutating func fold(
    _ change: EntryChange, on writer: IndexWriter
  ) throws(ProjectionError) {
    let index = change.position.index
    try foldRequest(change, on: writer)
    switch change.event {
    case .cell(let id, let event):
      let before = try cells.row(id, from: writer.cells)
      let after = CellRow.folded(event, at: index, into: before)
      cells.set(id, to: after)
      try foldIdentity(of: id, event, after: after, at: index, on: writer)
      try note(.cell(id), isGone: after == nil, wasGone: before == nil, at: index, on: writer)
    case .host(let name, let event):
      let before = try hosts.row(name, from: writer.hosts)
      let after = HostRow.folded(event, at: index, into: before)
      hosts.set(name, to: after)
      try note(.host(name), isGone: after == nil, wasGone: before == nil, at: index, on: writer)
    case .instance(let id, let event):
      let before = try instances.row(id, from: writer.instances)
      let after = InstanceRow.folded(event, at: index, into: before)
      instances.set(id, to: after)
      try note(
        .instance(id), isGone: after == nil, wasGone: before == nil, at: index, on: writer)
    case .store(.epochOpened(let opening)):
      _ = try epochs.row(opening.epoch, from: writer.epochs)
      epochs.set(opening.epoch, to: EpochRow(opening, first: index))
    case .conflict(let entity, let event):
      let key = EntityTableKey(entity)
      let before = try conflicts.row(key, from: writer.conflicts)
      conflicts.set(key, to: ConflictRow.folded(event, at: index, into: before))
    case .store: break
    }
  }

  /// Folds the request of an entry in, and nothing else of it.
  mutating func foldRequest(
    _ change: EntryChange, on writer: IndexWriter
  ) throws(ProjectionError) {
    let request = change.request.id
    guard request != .none else { return }
    let before = try requests.row(request, from: writer.requests)
    requests.set(request, to: RequestRow.folded(change, into: before))
  }

  /// Folds in the request of an entry about an instance, whose event replay reads later.
  mutating func foldRequest(
    of outline: EntryOutline, on writer: IndexWriter
  ) throws(ProjectionError) {
    let request = outline.header.request
    guard request != .none else { return }
    let before = try requests.row(request, from: writer.requests)
    let after = RequestRow.folded(
      request, content: outline.content, at: outline.header.position.index,
      beginsChunk: outline.beginsChunk, finished: nil, into: before)
    requests.set(request, to: after)
  }

  /// Moves the last entry of a request on, over entries that only continue it.
  mutating func extendRequest(
    _ request: RequestID, to index: UInt64, on writer: IndexWriter
  ) throws(ProjectionError) {
    guard var row = try requests.row(request, from: writer.requests) else { return }
    row.last = index
    requests.set(request, to: row)
  }

  /// Rows of requests in the batch.
  var requestCount: Int { requests.count }

  /// Writes the rows of the batch and forgets them.
  mutating func write(to writer: IndexWriter) throws(ProjectionError) {
    try cells.write(to: writer.cells, buckets: &writer.buckets)
    try hosts.write(to: writer.hosts, buckets: &writer.buckets)
    try instances.write(to: writer.instances, buckets: &writer.buckets)
    try identities.write(to: writer.identities, buckets: &writer.buckets)
    try requests.write(to: writer.requests, buckets: &writer.buckets)
    try departed.write(to: writer.departed, buckets: &writer.buckets)
    try epochs.write(to: writer.epochs, buckets: &writer.buckets)
    try conflicts.write(to: writer.conflicts, buckets: &writer.buckets)
  }

  /// Forgets the rows of a batch that failed.
  mutating func removeAll() {
    cells.removeAll()
    hosts.removeAll()
    instances.removeAll()
    identities.removeAll()
    requests.removeAll()
    departed.removeAll()
    epochs.removeAll()
    conflicts.removeAll()
  }

  /// Keeps the last position of what the map holds no more.
  private mutating func note(
    _ entity: EntityKey, isGone: Bool, wasGone: Bool, at index: UInt64, on writer: IndexWriter
  ) throws(ProjectionError) {
    guard isGone || wasGone else { return }
    let isNoneGone =
      departed.isEmpty
      && writer.buckets.values[IndexBuckets.tableBucket(DepartedTable.number)].count == 0
    if !isGone && isNoneGone { return }
    let key = EntityTableKey(entity)
    _ = try departed.row(key, from: writer.departed)
    departed.set(key, to: isGone ? index : nil)
  }

  /// Keeps the evidence about a cell: gathered, replaced by an operator, or gone with the cell.
  private mutating func foldIdentity(
    of cell: CellID, _ event: CellEvent, after: CellRow?, at index: UInt64, on writer: IndexWriter
  ) throws(ProjectionError) {
    var recorded: CellIdentity?
    if case .identityRecorded(let identity) = event { recorded = identity }
    if after == nil || recorded?.replacesEarlier == true {
      for (key, stored) in try writer.identities(of: cell) { identities.add(key, stored) }
      for key in identities.keys(where: { $0.cell == cell }) { identities.set(key, to: nil) }
    }
    guard after != nil, let recorded else { return }
    for (kind, uuids) in [
      (IdentityKind.service, recorded.services), (.computeNode, recorded.computeNodes),
    ] {
      for uuid in uuids {
        let key = IdentityTable.Key(cell: cell, kind: kind, uuid: uuid)
        guard try identities.row(key, from: writer.identities) == nil else { continue }
        identities.set(key, to: IdentityTable.Row(server: nil, recordedAt: index))
      }
    }
    guard let server = recorded.server else { return }
    let key = IdentityTable.Key(cell: cell, kind: .server, uuid: .zero)
    guard try identities.row(key, from: writer.identities)?.server != server else { return }
    identities.set(key, to: IdentityTable.Row(server: server, recordedAt: index))
  }
}

extension EpochRow {
  /// The row of an epoch that the entry at `first` opens.
  init(_ opening: EpochOpening, first: UInt64) {
    self.init(
      id: opening.id, cause: opening.cause, first: first, commonIndex: opening.commonIndex)
  }
}
