/// The rows of one table that a run of entries touches: as the file has them and as they become.
///
/// Several entries about one thing make one write.
struct RowBatch<Table: IndexTable> {
  private struct Slot {
    var before: StoredRow<Table.Row>?
    var after: Table.Row?
  }

  private var slots: [Table.Key: Slot] = [:]

  var isEmpty: Bool { slots.isEmpty }
  var count: Int { slots.count }

  /// The row as the entries so far have made it.
  mutating func row(
    _ key: Table.Key, from writer: TableWriter<Table>
  ) throws(ProjectionError) -> Table.Row? {
    if let slot = slots[key] { return slot.after }
    let before = try writer.reader.row(key)
    slots[key] = Slot(before: before, after: before?.row)
    return before?.row
  }

  /// Takes in a row that the file has, unless the batch has it already.
  mutating func add(_ key: Table.Key, _ stored: StoredRow<Table.Row>) {
    if slots[key] == nil { slots[key] = Slot(before: stored, after: stored.row) }
  }

  /// Makes the row be `row`; the batch must have been asked for it before.
  mutating func set(_ key: Table.Key, to row: Table.Row?) {
    slots[key]?.after = row
  }

  /// The keys of rows that are there and match.
  func keys(where matches: (Table.Key) -> Bool) -> [Table.Key] {
    slots.filter { $0.value.after != nil && matches($0.key) }.map(\.key)
  }

  /// Writes what changed, in the order of the keys, so that neighbours share pages.
  mutating func write(
    to writer: TableWriter<Table>, buckets: inout IndexBuckets
  ) throws(ProjectionError) {
    for (key, slot) in slots.sorted(by: { $0.key < $1.key })
    where slot.before?.row != slot.after {
      try writer.write(key, from: slot.before, to: slot.after, buckets: &buckets)
    }
    slots.removeAll(keepingCapacity: true)
  }

  mutating func removeAll() { slots.removeAll(keepingCapacity: true) }
}
