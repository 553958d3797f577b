internal import Cells
internal import Journal
internal import Projections
internal import Registry

/// From rows of cells to what the map is to hold of them, given what it holds.
struct RebuildRecords {
  let keys: KeyRing
  let journal: EventJournal
  /// The public forms of the cells' databases.
  let sources: [CellID: ByteText]
  /// Where the last epoch that a rebuild opened begins; nil if none is the last.
  let rebuiltFrom: UInt64?
  let basis: Position
  /// Runs that were killed while they made the map hold what was read: what they wrote is no decision of others.
  let earlier: Set<RequestID>
  /// The public form of the old database's address.
  let oldSource: ByteText?
  /// Who has set deletion marks.
  private let marks: EntryOrigins?

  private static let standInTable: ByteText = "instance_mappings"

  init(
    keys: KeyRing, journal: EventJournal, sources: [CellID: ByteText], rebuiltFrom: UInt64?,
    basis: Position, earlier: Set<RequestID> = [], oldSource: ByteText? = nil
  ) {
    self.keys = keys
    self.journal = journal
    self.sources = sources
    self.rebuiltFrom = rebuiltFrom
    self.basis = basis
    self.earlier = earlier
    self.oldSource = oldSource
    marks = rebuiltFrom.map {
      EntryOrigins(
        journal: journal, making: [.instanceMapped, .instanceDeletionMarkChanged],
        passing: [.instanceMoved, .instanceOwnerChanged, .instanceRowRecorded], behind: $0 - 1)
    }
  }

  /// Who owns an instance, and who says so.
  struct Owner {
    var project: ByteText?
    var user: ByteText?
    /// The row of the old database that completes the cell's.
    var source: ByteText?
    var isCompleted: Bool { source != nil }
  }

  /// The owner that the cell's row names, completed by an old database's where that is of the same
  /// project.
  func owner(of copy: StagedInstance, _ old: NovaInstanceRow?) -> Owner {
    var owner = Owner(project: copy.project, user: copy.user)
    guard let old, let oldSource, copy.project == nil || copy.project == old.project,
      copy.project == nil || (copy.user == nil && old.user != nil)
    else { return owner }
    owner.project = old.project
    owner.user = copy.user ?? old.user
    owner.source = ByteText("\(oldSource) instance_mappings row \(old.number)")
    return owner
  }

  /// What an instance's row says; a mark, an owner and a creation time that the map has of elsewhere
  /// are worth more than a cell's, which may have been restored from a backup. Counts what has no project.
  func observation(
    _ copy: StagedInstance, _ digest: Digest, _ owner: Owner, before: InstanceRow?,
    _ plan: inout RebuildPlan
  ) throws(RegistryError) -> Observation {
    var record = record(copy, of: owner)
    if let before, try isKept(before, over: record) {
      // NULL in a cell is no owner: another has known it, or an old database.
      record.owner.project = record.owner.project ?? before.record.owner.project
      record.owner.user = record.owner.user ?? before.record.owner.user
    }
    if let before, before.record.differs(from: record) {
      try keep(before, of: copy.id, in: &record)
    }
    if record.owner.project == nil { plan.withoutProject.add(copy.id) }
    var evidence = evidence(copy, digest)
    if let source = owner.source {
      evidence.source = ByteText("\(evidence.source), owner: \(source)")
    }
    return Observation(.instance(copy.id, record), evidence: evidence, basis: basis)
  }

  /// Keeps what the map has of elsewhere, unless it stands in for a cell that is read now.
  private func keep(
    _ before: InstanceRow, of id: InstanceID, in record: inout InstanceRecord
  ) throws(RegistryError) {
    let evidence = try cellEvidence(at: before.changedAt)
    guard evidence?.table != Self.standInTable else { return }
    let known = before.record
    if record.isQueuedForDelete == false, try isOfOthers(markOf: id, before) {
      record.isQueuedForDelete = known.isQueuedForDelete
    }
    // A number is Nova's own, and in no cell.
    if known.row.number != nil || (evidence == nil && known.row != .unknown) {
      record.row = known.row
    }
  }

  /// Whether no cell has said of an instance's mark what it is in the map: a cell says set or clear, and may have set it.
  private func isOfOthers(
    markOf id: InstanceID, _ before: InstanceRow
  ) throws(RegistryError) -> Bool {
    guard let mark = before.record.isQueuedForDelete else { return true }
    guard mark, let marks else { return mark }
    do throws(JournalError) {
      let entry = try marks.entry(making: .instance(id), changedAt: before.changedAt)
      return entry?.draft.evidence?.cell == nil
    } catch {
      throw .journal(error)
    }
  }

  /// Whether the owner that the map has completes the cell's: of the same project, and not read of another cell's row, or
  /// of an old database in place of a cell that is read now.
  private func isKept(
    _ before: InstanceRow, over record: InstanceRecord
  ) throws(RegistryError) -> Bool {
    let (known, owner) = (before.record.owner, record.owner)
    guard owner.project == nil || owner.user == nil,
      owner.project == nil || owner.project == known.project
    else { return false }
    if try standsIn(changedAt: before.changedAt) { return false }
    if before.record.cell == record.cell { return true }
    return try !isOfCells(changedAt: before.changedAt)
  }

  /// What an observation of something rests on, given the last entry about it.
  func basis(over last: UInt64?) throws(RegistryError) -> Position {
    guard let last, last > basis.index else { return basis }
    do throws(JournalError) {
      guard let entry = try journal.entry(at: last), earlier.contains(entry.draft.request.id)
      else { return basis }
      return entry.position
    } catch {
      throw .journal(error)
    }
  }

  /// What an instance's row says.
  func record(_ copy: StagedInstance, of owner: Owner) -> InstanceRecord {
    InstanceRecord(
      cell: copy.cell, owner: InstanceOwner(project: owner.project, user: owner.user),
      isQueuedForDelete: copy.isQueuedForDelete,
      row: NovaRow(number: nil, createdAt: copy.createdAt), lastSeen: sighting(copy))
  }

  func sighting(_ copy: StagedInstance) -> HostSighting? {
    copy.host.map { HostSighting(host: $0, at: copy.readAt, source: "scan") }
  }

  /// Whether what the map holds was last read of the cells, in an epoch that a rebuild has opened: it is revised, and not
  /// merely completed.
  func isOfCells(changedAt: UInt64) throws(RegistryError) -> Bool {
    try cellEvidence(at: changedAt) != nil
  }

  /// Whether the map has it only of an old database, in place of a cell that could not be read.
  func standsIn(changedAt: UInt64) throws(RegistryError) -> Bool {
    try cellEvidence(at: changedAt)?.table == Self.standInTable
  }

  /// What an entry of the rebuild says of a cell; nil for an entry of before, or of others.
  private func cellEvidence(at index: UInt64) throws(RegistryError) -> Evidence? {
    guard let rebuiltFrom, index >= rebuiltFrom else { return nil }
    let evidence: Evidence?
    do throws(JournalError) { evidence = try journal.entry(at: index)?.draft.evidence } catch {
      throw .journal(error)
    }
    return evidence?.cell == nil ? nil : evidence
  }

  func evidence(_ copy: StagedInstance) -> Evidence {
    var packed: [UInt8] = []
    copy.pack(into: &packed)
    return evidence(copy, PackedInstance.digest(of: packed.span, at: 0, by: keys))
  }

  private func evidence(_ copy: StagedInstance, _ digest: Digest) -> Evidence {
    Evidence(
      source: sources[copy.cell] ?? "", cell: copy.cell, table: "instances",
      rowKey: ByteText(String(copy.rowID)), rowDigest: digest, readAt: copy.readAt)
  }

  func observation(host: ByteText, in cell: CellID, before: HostRow?) -> Observation {
    let evidence = Evidence(
      source: sources[cell] ?? "", cell: cell, table: "compute_nodes", rowKey: host,
      rowDigest: keys.rowDigest { $0.add(host) }, readAt: .now)
    let row = before?.record.row ?? .unknown
    return Observation(
      .host(host, HostRecord(cell: cell, row: row)), evidence: evidence, basis: basis)
  }
}

extension InstanceRecord {
  /// Whether more than the sighting of the host differs.
  fileprivate func differs(from other: InstanceRecord) -> Bool {
    cell != other.cell || owner != other.owner || isQueuedForDelete != other.isQueuedForDelete
      || row != other.row
  }
}
