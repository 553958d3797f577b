public import Journal

/// What the map says of one thing: asked of the index at a snapshot, or of the index with the
/// entries that it has not reached yet.
public protocol MapLookup {
  func cell(_ id: CellID) throws(ProjectionError) -> CellRow?

  /// All cells, by UUID: a cloud has tens of them, at the most hundreds.
  func allCells() throws(ProjectionError) -> [CellID: CellRow]

  func host(_ name: ByteText) throws(ProjectionError) -> HostRow?
  func instance(_ id: InstanceID) throws(ProjectionError) -> InstanceRow?

  /// What was answered to a request; nil if no accepted command bears the id.
  func request(_ id: RequestID) throws(ProjectionError) -> RequestRow?

  /// What is known of a conflict about a thing; nil if none was ever found.
  func conflict(of entity: EntityKey) throws(ProjectionError) -> ConflictRow?

  /// The last entry about something that the map holds no more; nil if it never held it.
  func departure(of entity: EntityKey) throws(ProjectionError) -> UInt64?
}

/// What the index keeps of a command, so that repeating it repeats the answer.
public struct RequestRow: Hashable, Sendable {
  /// The HMAC of the command with its clear secrets.
  public var content: Digest
  /// The first and the last entry of the command.
  public var first: UInt64
  public var last: UInt64
  /// The answer of a bulk command; nil while it isn't finished, and for a command of one commit.
  public var finished: ChangeCounts?
  /// The command has commits that each name a range of keys, and an entry of its own ends it.
  public var isBulk: Bool

  public init(
    content: Digest, first: UInt64, last: UInt64, finished: ChangeCounts? = nil,
    isBulk: Bool = false
  ) {
    self.content = content
    self.first = first
    self.last = last
    self.finished = finished
    self.isBulk = isBulk
  }

  /// The request after a further entry; entries without a request id belong to none.
  ///
  /// Depends on its arguments alone, as the folds of the records do.
  public static func folded(_ change: EntryChange, into before: RequestRow?) -> RequestRow? {
    var finished: ChangeCounts?
    if case .store(.requestFinished(let counts)) = change.event { finished = counts }
    return folded(
      change.request.id, content: change.request.content, at: change.position.index,
      beginsChunk: change.request.chunk != nil, finished: finished, into: before)
  }

  /// The same from what an entry says of its request, for replay, which reads the events later.
  static func folded(
    _ id: RequestID, content: Digest?, at index: UInt64, beginsChunk: Bool,
    finished: ChangeCounts?, into before: RequestRow?
  ) -> RequestRow? {
    guard id != .none else { return nil }
    guard
      var row = before ?? content.map({ RequestRow(content: $0, first: index, last: index) })
    else { return nil }
    row.last = index
    if beginsChunk { row.isBulk = true }
    if let finished {
      row.finished = finished
      row.isBulk = true
    }
    return row
  }
}
