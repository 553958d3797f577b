internal import Journal

/// Folds the entries about instances that replay has set aside, one part after the other.
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

  /// Instances in the order of the keys.
  struct FoldedPart: Sendable {
    let instances: [FoldedInstance]
    /// How many partitions are whole with these; nil if more of this one's instances are to come.
    let partitions: Int?
  }

  private var parts: SortedParts
  private var bytes: [UInt8] = []
  private var places: [KeyPartitions.Place] = []

  /// - Parameter first: Those before it are loaded already.
  init(_ partitions: KeyPartitions, from first: Int = 0) {
    parts = SortedParts(partitions, from: first) { bytes, offset in
      guard bytes.count - offset >= EntryHeader.length else { return nil }
      let length = EntryHeader.entryLength(of: bytes, at: offset)
      guard length >= EntryHeader.length, length <= bytes.count - offset else { return nil }
      return (length, EntryHeader.entityKey(of: bytes, at: offset))
    }
  }

  /// The instances of the next part, in the order of the keys; nil after the last.
  func next() -> Result<FoldedPart?, ProjectionError> {
    do throws(ProjectionError) {
      guard try parts.next(into: &bytes, at: &places) else { return .success(nil) }
      return .success(FoldedPart(instances: try fold(), partitions: parts.wholePartitions))
    } catch {
      return .failure(error)
    }
  }

  /// Sorting places and folding one instance at a time keeps a single row in the making; a
  /// dictionary of rows cost as much as the inserts.
  private func fold() throws(ProjectionError) -> [FoldedInstance] {
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
