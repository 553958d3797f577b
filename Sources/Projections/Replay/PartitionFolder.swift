internal import Journal

/// Folds the entries about instances that replay has set aside, one partition after the other.
///
/// Used by one thread: the one that looks ahead.
final class PartitionFolder: @unchecked Sendable {
  /// An instance after its last entry.
  struct FoldedInstance: Sendable {
    let id: InstanceID
    /// nil if the map holds it no more.
    let row: InstanceRow?
    let lastIndex: UInt64
  }

  private var partitions: KeyPartitions
  private var partition: Int
  private var bytes: [UInt8] = []
  private var places: [KeyPartitions.Place] = []

  /// - Parameter first: Those before it are loaded already.
  init(_ partitions: KeyPartitions, from first: Int = 0) {
    self.partitions = partitions
    partition = first
  }

  /// The instances of the next partition, in the order of the keys; nil after the last.
  func next() -> Result<[FoldedInstance]?, ProjectionError> {
    guard partition < partitions.count else { return .success(nil) }
    do throws(ProjectionError) {
      try partitions.take(partition, into: &bytes)
      partition += 1
      return .success(try fold())
    } catch {
      return .failure(error)
    }
  }

  /// Sorting places and folding one instance at a time keeps a single row in the making; a
  /// dictionary of rows cost as much as the inserts.
  private func fold() throws(ProjectionError) -> [FoldedInstance] {
    places.removeAll(keepingCapacity: true)
    var place = 0
    while place < bytes.count {
      places.append(
        KeyPartitions.Place(
          id: EntryHeader.entityKey(of: bytes, at: place), offset: place))
      place += EntryHeader.entryLength(of: bytes, at: place)
    }
    places.sort()
    var folded: [FoldedInstance] = []
    folded.reserveCapacity(places.count)
    var next = 0
    while next < places.count {
      let id = InstanceID(places[next].id)
      var row: InstanceRow?
      var index: UInt64 = 0
      while next < places.count, places[next].id == id.uuid {
        let change = try IndexReplay.change(bytes, at: places[next].offset, nil)
        guard case .instance(_, let event) = change.event else {
          preconditionFailure("only entries about instances are set aside")
        }
        index = change.position.index
        row = InstanceRow.folded(event, at: index, into: row)
        next += 1
      }
      folded.append(FoldedInstance(id: id, row: row, lastIndex: index))
    }
    return folded
  }
}
