public import Journal

/// The map at the head of the journal: a snapshot of the index, and over it the entries that the
/// index has not reached yet.
///
/// Belongs to one thread at a time; its owner opens the snapshot and moves it on.
public final class LiveMap: MapLookup {
  public let index: IndexReader
  public private(set) var overlay = Overlay()

  /// What was read of the open snapshot.
  private let rows: SnapshotRows

  public init(over index: IndexReader) {
    self.index = index
    rows = SnapshotRows(of: index)
  }

  /// Folds an entry in.
  ///
  /// - Throws: What the index throws; the map is as it was.
  public func apply(_ change: EntryChange) throws(ProjectionError) {
    try overlay.apply(change, over: rows)
  }

  /// Folds what `body` folds in, all of it or, if it throws, nothing; not to be nested.
  ///
  /// - Throws: What `body` throws; the map is as it was.
  public func attempt<Result, Failure: Error>(
    _ body: () throws(Failure) -> Result
  ) throws(Failure) -> Result {
    overlay.beginUndo()
    do throws(Failure) {
      let result = try body()
      overlay.keep()
      return result
    } catch {
      overlay.undo()
      throw error
    }
  }

  /// Forgets what the open snapshot of the index has reached; to be called, or `forgetOverlay`, each
  /// time that the snapshot has moved.
  public func drop(upTo checkpoint: UInt64) {
    rows.forget()
    overlay.drop(upTo: checkpoint)
  }

  /// Forgets everything, so that the owner can fold the entries after the checkpoint again: after
  /// a commit that failed, and after entries of another writer.
  public func forgetOverlay() {
    rows.forget()
    overlay = Overlay()
  }

  public func cell(_ id: CellID) throws(ProjectionError) -> CellRow? {
    try overlay.cell(id, over: rows)
  }

  public func allCells() throws(ProjectionError) -> [CellID: CellRow] {
    var cells = try index.allCells()
    for (id, row) in overlay.changedCells { cells[id] = row }
    return cells
  }

  public func host(_ name: ByteText) throws(ProjectionError) -> HostRow? {
    try overlay.host(name, over: rows)
  }

  public func instance(_ id: InstanceID) throws(ProjectionError) -> InstanceRow? {
    try overlay.instance(id, over: rows)
  }

  public func request(_ id: RequestID) throws(ProjectionError) -> RequestRow? {
    try overlay.request(id, over: rows)
  }

  public func conflict(of entity: EntityKey) throws(ProjectionError) -> ConflictRow? {
    try overlay.conflict(of: entity, over: rows)
  }

  public func departure(of entity: EntityKey) throws(ProjectionError) -> UInt64? {
    try overlay.departure(of: entity, over: rows)
  }
}

extension LiveMap {
  /// The position of an entry up to the head, given its index; nil for one of no epoch.
  public func position(of index: UInt64) throws(ProjectionError) -> Position? {
    if let epoch = overlay.epoch(of: index) { return Position(epoch: epoch, index: index) }
    return try self.index.position(of: index)
  }
}
