internal import Journal

/// The one row that says whose index this is and how far it has come.
enum MetaTable: IndexTable {
  struct Row: Hashable, Sendable {
    var store: StoreID
    var checkpoint: IndexCheckpoint
  }

  static let number = 1
  static let name = "meta"
  static let keyColumns = ["id"]
  static let valueColumns = ["store", "checkpoint_epoch", "checkpoint_index", "checkpoint_root"]

  static func bind(_ key: Int64, to binder: inout RowBinder) throws(ProjectionError) {
    try binder.add(key)
  }
  static func bind(_ row: Row, to binder: inout RowBinder) throws(ProjectionError) {
    try binder.add(row.store.uuid)
    try binder.add(Int64(row.checkpoint.position.epoch))
    try binder.add(number: row.checkpoint.position.index)
    try binder.add(blob: row.checkpoint.root.bytes)
  }
  static func readKey(_ reader: inout RowReader) throws(ProjectionError) -> Int64 {
    try reader.integer()
  }
  static func readRow(_ reader: inout RowReader) throws(ProjectionError) -> Row {
    let store = StoreID(try reader.uuid())
    let epoch = UInt32(truncatingIfNeeded: try reader.integer())
    let position = Position(epoch: epoch, index: try reader.number())
    let checkpoint = IndexCheckpoint(position: position, root: try reader.digest())
    return Row(store: store, checkpoint: checkpoint)
  }
  /// The checkpoint isn't content: two indexes of equal history differ in nothing else.
  static func bucket(of key: Int64) -> Int? { nil }
}

enum CellTable: IndexTable {
  static let number = 2
  static let name = "cell"
  static let keyColumns = ["id"]
  static let valueColumns = [
    "name", "database_public", "database_key", "database_sealed", "queue_public", "queue_key",
    "queue_sealed", "options", "disabled", "is_being_removed", "is_covered", "nova_number",
    "nova_created_at", "changed_at", "evidence_at",
  ]

  static func bind(_ key: CellID, to binder: inout RowBinder) throws(ProjectionError) {
    try binder.add(key.uuid)
  }
  static func bind(_ row: CellRow, to binder: inout RowBinder) throws(ProjectionError) {
    try binder.add(row.record.name)
    for address in [row.record.database, row.record.queue] {
      try binder.add(address?.publicForm)
      try binder.add(address?.key.uuid)
      try binder.add(blob: address?.sealed)
    }
    try binder.add(row.record.options)
    try binder.add(flag: row.record.disabled)
    try binder.add(flag: row.record.isBeingRemoved)
    try binder.add(flag: row.record.isCovered)
    try binder.add(number: row.record.row.number)
    try binder.add(time: row.record.row.createdAt)
    try binder.add(number: row.changedAt)
    try binder.add(number: row.evidenceAt)
  }
  static func readKey(_ reader: inout RowReader) throws(ProjectionError) -> CellID {
    CellID(try reader.uuid())
  }
  static func readRow(_ reader: inout RowReader) throws(ProjectionError) -> CellRow {
    var record = CellRecord(name: try reader.textIfPresent())
    record.database = try reader.address()
    record.queue = try reader.address()
    record.options = try reader.textIfPresent()
    record.disabled = try reader.flagIfPresent()
    record.isBeingRemoved = try reader.flagIfPresent() ?? false
    record.isCovered = try reader.flagIfPresent() ?? false
    record.row = NovaRow(
      number: try reader.numberIfPresent(), createdAt: try reader.timeIfPresent())
    return CellRow(
      record: record, changedAt: try reader.number(), evidenceAt: try reader.numberIfPresent())
  }
}

extension RowReader {
  fileprivate mutating func address() throws(ProjectionError) -> SealedAddress? {
    let publicForm = try textIfPresent()
    let key = try uuidIfPresent()
    let sealed = try blobIfPresent()
    guard let publicForm, let key, let sealed else { return nil }
    return SealedAddress(publicForm: publicForm, key: KeyID(key), sealed: sealed)
  }
}

enum HostTable: IndexTable {
  static let number = 3
  static let name = "host"
  static let keyColumns = ["name"]
  static let valueColumns = ["cell", "nova_number", "nova_created_at", "changed_at"]

  static func bind(_ key: ByteText, to binder: inout RowBinder) throws(ProjectionError) {
    try binder.add(key)
  }
  static func bind(_ row: HostRow, to binder: inout RowBinder) throws(ProjectionError) {
    try binder.add(row.record.cell.uuid)
    try binder.add(number: row.record.row.number)
    try binder.add(time: row.record.row.createdAt)
    try binder.add(number: row.changedAt)
  }
  static func readKey(_ reader: inout RowReader) throws(ProjectionError) -> ByteText {
    try reader.text()
  }
  static func readRow(_ reader: inout RowReader) throws(ProjectionError) -> HostRow {
    let cell = CellID(try reader.uuid())
    let row = NovaRow(
      number: try reader.numberIfPresent(), createdAt: try reader.timeIfPresent())
    return HostRow(record: HostRecord(cell: cell, row: row), changedAt: try reader.number())
  }
}

enum InstanceTable: IndexTable {
  static let number = 4
  static let name = "instance"
  static let keyColumns = ["id"]
  static let valueColumns = [
    "cell", "queued_for_delete", "changed_at", "route_checksum", "project", "user",
    "nova_number", "nova_created_at", "seen_host", "seen_at", "seen_source",
  ]
  static let indexedGroups = [["cell"], ["queued_for_delete", "project", "user"]]

  static func bind(_ key: InstanceID, to binder: inout RowBinder) throws(ProjectionError) {
    try binder.add(key.uuid)
  }
  static func bind(_ row: InstanceRow, to binder: inout RowBinder) throws(ProjectionError) {
    try binder.add(row.record.cell?.uuid)
    try binder.add(flag: row.record.isQueuedForDelete)
    try binder.add(number: row.changedAt)
    try binder.addChecksumSoFar()
    try binder.add(personal: row.record.owner.project)
    try binder.add(personal: row.record.owner.user)
    try binder.add(number: row.record.row.number)
    try binder.add(time: row.record.row.createdAt)
    try binder.add(row.record.lastSeen?.host)
    try binder.add(time: row.record.lastSeen?.at)
    try binder.add(row.record.lastSeen?.source)
  }
  static func readKey(_ reader: inout RowReader) throws(ProjectionError) -> InstanceID {
    InstanceID(try reader.uuid())
  }
  static func readRow(_ reader: inout RowReader) throws(ProjectionError) -> InstanceRow {
    let cell = try reader.uuidIfPresent().map { CellID($0) }
    let mark = try reader.flagIfPresent()
    let changedAt = try reader.number()
    _ = try reader.integer()
    let owner = InstanceOwner(
      project: try reader.personalIfPresent(), user: try reader.personalIfPresent())
    var record = InstanceRecord(cell: cell, owner: owner, isQueuedForDelete: mark)
    record.row = NovaRow(
      number: try reader.numberIfPresent(), createdAt: try reader.timeIfPresent())
    record.lastSeen = try reader.sighting()
    return InstanceRow(record: record, changedAt: changedAt)
  }
  static func bucket(of key: InstanceID) -> Int? { IndexBuckets.instanceBucket(key) }
  static func changedGroups(_ before: InstanceRow, _ after: InstanceRow) -> Int {
    let (old, new) = (before.record, after.record)
    let isOwnerChanged =
      old.isQueuedForDelete != new.isQueuedForDelete || old.owner != new.owner
    return (old.cell != new.cell ? 1 : 0) | (isOwnerChanged ? 2 : 0)
  }
}

extension RowReader {
  fileprivate mutating func sighting() throws(ProjectionError) -> HostSighting? {
    let host = try textIfPresent()
    let time = try timeIfPresent()
    let source = try textIfPresent()
    guard let host, let time, let source else { return nil }
    return HostSighting(host: host, at: time, source: source)
  }
}
