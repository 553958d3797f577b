// How events are written as fields.

extension FieldWriter {
  mutating func event(_ event: Event) {
    switch event {
    case .cell(_, let event): cellEvent(event)
    case .host(let name, let event):
      text(.entityName, name)
      hostEvent(event)
    case .instance(_, let event): instanceEvent(event)
    case .conflict(let entity, let event):
      if case .host(let name) = entity { text(.entityName, name) }
      conflictEvent(event)
    case .store(let event): storeEvent(event)
    }
  }

  private mutating func change(
    _ before: (inout FieldWriter) -> Void, _ after: (inout FieldWriter) -> Void
  ) {
    nested(.before, before)
    nested(.after, after)
  }

  private mutating func cellEvent(_ event: CellEvent) {
    switch event {
    case .added(let record): nested(.after) { $0.cellRecord(record) }
    case .removed(let record): nested(.before) { $0.cellRecord(record) }
    case .renamed(let from, let to):
      change({ $0.text(.name, from) }, { $0.text(.name, to) })
    case .addressesChanged(let from, let to):
      change({ $0.addresses(from) }, { $0.addresses(to) })
    case .availabilityChanged(let from, let to):
      change({ $0.availability(from) }, { $0.availability(to) })
    case .coverageChanged(let from, let to):
      change({ $0.mark(.covered, from) }, { $0.mark(.covered, to) })
    case .rowRecorded(let from, let to): change({ $0.novaRow(from) }, { $0.novaRow(to) })
    case .addressResealed(let field, let from, let to):
      let tag: FieldTag = field == .database ? .database : .queue
      change({ $0.address(tag, from) }, { $0.address(tag, to) })
    case .identityRecorded(let identity): nested(.identity) { $0.identity(identity) }
    case .probed(let outcome):
      nested(.probe) { writer in
        writer.mark(.passed, outcome.passed)
        writer.text(.report, outcome.report)
      }
    case .keyShredded(let key): uuid(.key, key.uuid)
    }
  }

  private mutating func identity(_ identity: CellIdentity) {
    uuids(.services, identity.services)
    uuids(.computeNodes, identity.computeNodes)
    text(.server, identity.server)
    mark(.replacesEarlier, identity.replacesEarlier)
  }

  private mutating func hostEvent(_ event: HostEvent) {
    switch event {
    case .mapped(let record): nested(.after) { $0.hostRecord(record) }
    case .unmapped(let record): nested(.before) { $0.hostRecord(record) }
    case .rowRecorded(let from, let to): change({ $0.novaRow(from) }, { $0.novaRow(to) })
    }
  }

  private mutating func instanceEvent(_ event: InstanceEvent) {
    switch event {
    case .mapped(let record): nested(.after) { $0.instanceRecord(record) }
    case .unmapped(let record): nested(.before) { $0.instanceRecord(record) }
    case .moved(let from, let to):
      change({ $0.uuid(.cell, from?.uuid) }, { $0.uuid(.cell, to?.uuid) })
    case .ownerChanged(let from, let to): change({ $0.owner(from) }, { $0.owner(to) })
    case .deletionMarkChanged(let from, let to):
      change({ $0.flag(.queuedForDelete, from) }, { $0.flag(.queuedForDelete, to) })
    case .rowRecorded(let from, let to): change({ $0.novaRow(from) }, { $0.novaRow(to) })
    case .hostSeen(let sighting): nested(.sighting) { $0.sighting(sighting) }
    }
  }

  private mutating func conflictEvent(_ event: ConflictEvent) {
    nested(.conflict) { writer in
      switch event {
      case .found(let kind, let evidence):
        writer.text(.conflictKind, kind)
        writer.text(.conflictEvidence, evidence)
      case .resolved(let kind, let decision):
        writer.text(.conflictKind, kind)
        writer.text(.conflictDecision, decision)
      }
    }
  }

  private mutating func storeEvent(_ event: StoreEvent) {
    switch event {
    case .epochOpened(let opening): nested(.epoch) { $0.epoch(opening) }
    case .adopted(let transfer), .published(let transfer):
      nested(.transfer) { writer in
        writer.text(.transferDatabase, transfer.database)
        writer.time(.transferSnapshotAt, transfer.snapshotAt)
        writer.counts(transfer.cells, transfer.hosts, transfer.instances)
      }
    case .scanStarted(let scan), .scanFinished(let scan):
      nested(.scan) { writer in
        writer.uuid(.scanID, scan.scan)
        writer.uuid(.scanCell, scan.cell.uuid)
        writer.number(.scanRows, scan.rows)
        writer.digest(.scanDigest, scan.digest)
      }
    case .requestFinished(let counts):
      nested(.counts) { $0.counts(counts.cells, counts.hosts, counts.instances) }
    case .archived(let point):
      nested(.archive) { writer in
        writer.number(.archiveIndex, point.index)
        writer.digest(.archiveRoot, point.root)
        writer.text(.archiveFile, point.file)
        writer.digest(.archiveFileDigest, point.fileDigest)
      }
    case .ownerKeyShredded(let key): uuid(.key, key.uuid)
    }
  }

  private mutating func epoch(_ opening: EpochOpening) {
    uuid(.epochStore, opening.store.uuid)
    number(.epochNumber, UInt64(opening.epoch))
    uuid(.epochID, opening.id.uuid)
    number(.epochCause, UInt64(opening.cause.rawValue))
    number(.commonIndex, opening.commonIndex)
    digest(.commonRoot, opening.commonRoot)
    number(.leftIndex, opening.leftIndex)
    digest(.leftRoot, opening.leftRoot)
    mark(.sealsOwners, opening.sealsOwners)
  }

  private mutating func counts(_ cells: UInt64, _ hosts: UInt64, _ instances: UInt64) {
    number(.countCells, cells)
    number(.countHosts, hosts)
    number(.countInstances, instances)
  }
}

extension FieldReader {
  /// The event of a kind about an entity; `key` is the entry's fixed key.
  mutating func event(
    _ kind: EventKind, entity: EntityKey.Kind, key: UUID128
  ) throws(EntryError) -> Event {
    switch kind.rawValue >> 8 {
    case 0x01: return .cell(CellID(key), try cellEvent(kind))
    case 0x02:
      let name = try text(.entityName).required(.entityName)
      return .host(name, try hostEvent(kind))
    case 0x03: return .instance(InstanceID(key), try instanceEvent(kind))
    case 0x04:
      let key = try conflictEntity(entity, key)
      return .conflict(key, try conflictEvent(kind))
    default: return .store(try storeEvent(kind))
    }
  }

  private mutating func conflictEntity(
    _ kind: EntityKey.Kind, _ key: UUID128
  ) throws(EntryError) -> EntityKey {
    switch kind {
    case .store: .store
    case .cell: .cell(CellID(key))
    case .instance: .instance(InstanceID(key))
    case .host: .host(try text(.entityName).required(.entityName))
    }
  }

  private mutating func change<Value>(
    _ read: (inout FieldReader) throws(EntryError) -> Value
  ) throws(EntryError) -> (from: Value, to: Value) {
    let from = try nested(.before, read).required(.before)
    return (from, try nested(.after, read).required(.after))
  }

  private mutating func cellEvent(_ kind: EventKind) throws(EntryError) -> CellEvent {
    switch kind {
    case .cellAdded:
      return .added(
        try nested(.after) { (r) throws(EntryError) in try r.cellRecord() }.required(.after))
    case .cellRemoved:
      return .removed(
        try nested(.before) { (r) throws(EntryError) in try r.cellRecord() }.required(.before))
    case .cellRenamed:
      let names = try change { (r) throws(EntryError) in try r.text(.name) }
      return .renamed(from: names.from, to: names.to)
    case .cellAddressesChanged:
      let addresses = try change { (r) throws(EntryError) in try r.addresses() }
      return .addressesChanged(from: addresses.from, to: addresses.to)
    case .cellAvailabilityChanged:
      let availability = try change { (r) throws(EntryError) in try r.availability() }
      return .availabilityChanged(from: availability.from, to: availability.to)
    case .cellCoverageChanged:
      let covered = try change { (r) throws(EntryError) in try r.mark(.covered) }
      return .coverageChanged(from: covered.from, to: covered.to)
    case .cellRowRecorded:
      let rows = try change { (r) throws(EntryError) in try r.novaRow() }
      return .rowRecorded(from: rows.from, to: rows.to)
    case .cellAddressResealed: return try resealed()
    case .cellIdentityRecorded:
      return .identityRecorded(
        try nested(.identity) { (r) throws(EntryError) in try r.identity() }.required(.identity))
    case .cellProbed:
      return .probed(
        try nested(.probe) { (r) throws(EntryError) in
          let passed = try r.mark(.passed)
          return ProbeOutcome(passed: passed, report: try r.text(.report).required(.report))
        }.required(.probe))
    default: return .keyShredded(KeyID(try uuid(.key).required(.key)))
    }
  }

  private mutating func resealed() throws(EntryError) -> CellEvent {
    let addresses = try change { (r) throws(EntryError) in try r.addresses() }
    if let from = addresses.from.database, let to = addresses.to.database {
      return .addressResealed(.database, from: from, to: to)
    }
    return .addressResealed(
      .queue, from: try addresses.from.queue.required(.queue),
      to: try addresses.to.queue.required(.queue))
  }

  private mutating func identity() throws(EntryError) -> CellIdentity {
    let services = try uuids(.services)
    let computeNodes = try uuids(.computeNodes)
    let server = try text(.server)
    return CellIdentity(
      services: services, computeNodes: computeNodes, server: server,
      replacesEarlier: try mark(.replacesEarlier))
  }

  private mutating func hostEvent(_ kind: EventKind) throws(EntryError) -> HostEvent {
    switch kind {
    case .hostMapped:
      return .mapped(
        try nested(.after) { (r) throws(EntryError) in try r.hostRecord() }.required(.after))
    case .hostUnmapped:
      return .unmapped(
        try nested(.before) { (r) throws(EntryError) in try r.hostRecord() }.required(.before))
    default:
      let rows = try change { (r) throws(EntryError) in try r.novaRow() }
      return .rowRecorded(from: rows.from, to: rows.to)
    }
  }

  private mutating func instanceEvent(_ kind: EventKind) throws(EntryError) -> InstanceEvent {
    switch kind {
    case .instanceMapped:
      return .mapped(
        try nested(.after) { (r) throws(EntryError) in try r.instanceRecord() }.required(.after))
    case .instanceUnmapped:
      return .unmapped(
        try nested(.before) { (r) throws(EntryError) in try r.instanceRecord() }
          .required(.before))
    case .instanceMoved:
      let cells = try change { (r) throws(EntryError) in try r.uuid(.cell).map { CellID($0) } }
      return .moved(from: cells.from, to: cells.to)
    case .instanceOwnerChanged:
      let owners = try change { (r) throws(EntryError) in try r.owner() }
      return .ownerChanged(from: owners.from, to: owners.to)
    case .instanceDeletionMarkChanged:
      let marks = try change { (r) throws(EntryError) in try r.flag(.queuedForDelete) }
      return .deletionMarkChanged(from: marks.from, to: marks.to)
    case .instanceRowRecorded:
      let rows = try change { (r) throws(EntryError) in try r.novaRow() }
      return .rowRecorded(from: rows.from, to: rows.to)
    default:
      return .hostSeen(
        try nested(.sighting) { (r) throws(EntryError) in try r.sighting() }.required(.sighting))
    }
  }

  private mutating func conflictEvent(_ kind: EventKind) throws(EntryError) -> ConflictEvent {
    try nested(.conflict) { (r) throws(EntryError) -> ConflictEvent in
      let rule = try r.text(.conflictKind).required(.conflictKind)
      if kind == .conflictFound {
        return .found(
          kind: rule, evidence: try r.text(.conflictEvidence).required(.conflictEvidence))
      }
      return .resolved(
        kind: rule, decision: try r.text(.conflictDecision).required(.conflictDecision))
    }.required(.conflict)
  }

  private mutating func storeEvent(_ kind: EventKind) throws(EntryError) -> StoreEvent {
    switch kind {
    case .epochOpened:
      return .epochOpened(
        try nested(.epoch) { (r) throws(EntryError) in try r.epoch() }.required(.epoch))
    case .adopted, .published:
      let transfer = try nested(.transfer) { (r) throws(EntryError) in try r.transfer() }
        .required(.transfer)
      return kind == .adopted ? .adopted(transfer) : .published(transfer)
    case .scanStarted, .scanFinished:
      let scan = try nested(.scan) { (r) throws(EntryError) in try r.scan() }.required(.scan)
      return kind == .scanStarted ? .scanStarted(scan) : .scanFinished(scan)
    case .requestFinished:
      return .requestFinished(
        counts: try nested(.counts) { (r) throws(EntryError) in try r.counts() }
          .required(.counts))
    case .ownerKeyShredded:
      return .ownerKeyShredded(KeyID(try uuid(.key).required(.key)))
    default:
      return .archived(
        try nested(.archive) { (r) throws(EntryError) in try r.archivePoint() }
          .required(.archive))
    }
  }

  private mutating func epoch() throws(EntryError) -> EpochOpening {
    let store = StoreID(try uuid(.epochStore).required(.epochStore))
    let number = try number(.epochNumber).required(.epochNumber)
    let id = EpochID(try uuid(.epochID).required(.epochID))
    let causeNumber = try self.number(.epochCause).required(.epochCause)
    guard let epoch = UInt32(exactly: number), let rawCause = UInt8(exactly: causeNumber),
      let cause = EpochOpening.Cause(rawValue: rawCause)
    else { throw .malformed("the number or the cause of an epoch") }
    return EpochOpening(
      store: store, epoch: epoch, id: id, cause: cause,
      commonIndex: try self.number(.commonIndex).required(.commonIndex),
      commonRoot: try digest(.commonRoot).required(.commonRoot),
      leftIndex: try self.number(.leftIndex).required(.leftIndex),
      leftRoot: try digest(.leftRoot).required(.leftRoot),
      sealsOwners: try mark(.sealsOwners))
  }

  private mutating func transfer() throws(EntryError) -> MapTransfer {
    let database = try text(.transferDatabase).required(.transferDatabase)
    let snapshotAt = try time(.transferSnapshotAt).required(.transferSnapshotAt)
    let counts = try counts()
    return MapTransfer(
      database: database, snapshotAt: snapshotAt, cells: counts.cells, hosts: counts.hosts,
      instances: counts.instances)
  }

  private mutating func counts() throws(EntryError) -> ChangeCounts {
    ChangeCounts(
      cells: try number(.countCells).required(.countCells),
      hosts: try number(.countHosts).required(.countHosts),
      instances: try number(.countInstances).required(.countInstances))
  }

  private mutating func scan() throws(EntryError) -> ScanProgress {
    ScanProgress(
      scan: try uuid(.scanID).required(.scanID),
      cell: CellID(try uuid(.scanCell).required(.scanCell)),
      rows: try number(.scanRows).required(.scanRows),
      digest: try digest(.scanDigest).required(.scanDigest))
  }

  private mutating func archivePoint() throws(EntryError) -> ArchivePoint {
    ArchivePoint(
      index: try number(.archiveIndex).required(.archiveIndex),
      root: try digest(.archiveRoot).required(.archiveRoot),
      file: try text(.archiveFile).required(.archiveFile),
      fileDigest: try digest(.archiveFileDigest).required(.archiveFileDigest))
  }
}
