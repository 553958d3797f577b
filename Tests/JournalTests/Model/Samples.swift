import Journal

/// One of every event, with every optional field there and away.
enum Samples {
  static let cell = CellID(UUID128("07158ab7-95f3-4183-9b69-13cd87684f34")!)
  static let other = CellID(UUID128("f45ed8c5-5d5c-4422-a399-227ae1d6f9f5")!)
  static let instance = InstanceID(UUID128("00362c73-3663-435a-98a7-1b33c690f5c4")!)
  static let time = Timestamp(microseconds: 1_767_225_600_123_456)
  static let digest = Digest(words: (1, 2, 3, .max))
  static let address = SealedAddress(
    publicForm: "rabbit://nova:****@h:5672/", key: KeyID(UUID128(high: 7, low: 9)),
    sealed: (0..<200).map { UInt8($0) })
  static let row = NovaRow(number: 300, createdAt: time)
  static let fullCell = CellRecord(
    name: "cell1", database: address, queue: address, options: "ssl=1", disabled: true,
    isBeingRemoved: true, isCovered: true, row: row)
  static let bareCell = CellRecord(name: nil, disabled: nil)
  static let owner = InstanceOwner(project: "4d4d3a0afdf04a919bce358ff6709501", user: "u\u{301}")
  static let sealedOwner = InstanceOwner(
    project: .sealed(key: address.key, bytes: [1, 2]), user: .shredded(key: address.key))
  static let sighting = HostSighting(host: "cmp-1.example", at: time, source: "scan")
  static let fullInstance = InstanceRecord(
    cell: cell, owner: owner, isQueuedForDelete: true, row: row, lastSeen: sighting)
  static let bareInstance = InstanceRecord(
    cell: nil, owner: InstanceOwner(project: nil as PersonalText?, user: nil),
    isQueuedForDelete: nil)
  static let opening = EpochOpening(
    store: StoreID(UUID128(high: 1, low: 2)), epoch: 3, id: EpochID(UUID128(high: 3, low: 4)),
    cause: .restored, commonIndex: 0, commonRoot: digest, leftIndex: .max, leftRoot: digest)
  static let sealingOpening = EpochOpening(
    store: StoreID(UUID128(high: 1, low: 2)), epoch: 1, id: EpochID(UUID128(high: 3, low: 4)),
    cause: .initialized, commonIndex: 0, commonRoot: digest, leftIndex: 0, leftRoot: digest,
    sealsOwners: true)
  static let transfer = MapTransfer(
    database: "sqlite:///x", snapshotAt: time, cells: 4, hosts: 0, instances: 1505)
  static let scan = ScanProgress(
    scan: UUID128(high: 5, low: 6), cell: cell, rows: 128, digest: digest)
  static let archive = ArchivePoint(index: 9, root: digest, file: "a", fileDigest: digest)

  static let cellEvents: [CellEvent] = [
    .added(fullCell), .added(bareCell), .renamed(from: nil, to: ""),
    .addressesChanged(
      from: bareCell.addresses, to: fullCell.addresses),
    .availabilityChanged(from: bareCell.availability, to: fullCell.availability),
    .removed(fullCell),
    .identityRecorded(
      CellIdentity(
        services: [UUID128(high: 1, low: 1), UUID128(high: 2, low: 2)], computeNodes: [],
        server: "m", replacesEarlier: true)),
    .probed(ProbeOutcome(passed: false, report: "{}")), .coverageChanged(from: false, to: true),
    .rowRecorded(from: .unknown, to: row), .addressResealed(.queue, from: address, to: address),
    .addressResealed(.database, from: address, to: address), .keyShredded(address.key),
  ]

  static let instanceEvents: [InstanceEvent] = [
    .mapped(fullInstance), .mapped(bareInstance), .moved(from: nil, to: cell),
    .moved(from: cell, to: nil), .ownerChanged(from: owner, to: sealedOwner),
    .deletionMarkChanged(from: nil, to: true), .deletionMarkChanged(from: true, to: false),
    .unmapped(fullInstance), .hostSeen(sighting), .rowRecorded(from: row, to: .unknown),
  ]

  static let storeEvents: [StoreEvent] = [
    .epochOpened(opening), .adopted(transfer), .published(transfer), .scanStarted(scan),
    .scanFinished(scan),
    .requestFinished(counts: ChangeCounts(cells: 1, hosts: 2, instances: 70_000)),
    .archived(archive), .epochOpened(sealingOpening), .ownerKeyShredded(address.key),
  ]

  static let events: [Event] =
    cellEvents.map { .cell(cell, $0) } + instanceEvents.map { .instance(instance, $0) }
    + storeEvents.map { .store($0) } + [
      .host("h_1", .mapped(HostRecord(cell: cell, row: row))),
      .host("h_1", .unmapped(HostRecord(cell: cell))),
      .host("h_1", .rowRecorded(from: row, to: row)),
      .conflict(.host("h"), .found(kind: "twin", evidence: "[]")),
      .conflict(.instance(instance), .resolved(kind: "twin", decision: "cell1")),
      .conflict(.cell(cell), .found(kind: "twin", evidence: "[]")),
    ]

  static let bareAuthorship = Authorship(
    actor: "root", program: "cellmap/1", observedAt: Timestamp(microseconds: -5))
  static let fullAuthorship = Authorship(
    actor: "alice", program: "cellmap/1", reason: String(repeating: "why ", count: 60).text,
    correlation: "ticket 7", observedAt: time, isObserved: true)
  static let bareRequest = RequestMark(id: RequestID(UUID128(high: 8, low: 8)))
  static let fullRequest = RequestMark(
    id: RequestID(UUID128(high: 8, low: 8)), content: digest,
    chunk: KeyRange(kind: .instance, first: "0", last: "9"))
  static let evidence = Evidence(
    source: "sqlite:///x", cell: cell, table: "instances", rowKey: "17", rowDigest: digest,
    readAt: time)

  static let entries: [Entry] = events.enumerated().map { number, event in
    let isFull = number % 2 == 0
    return Entry(
      position: Position(epoch: 1, index: UInt64(number) + 1), orderedAt: time,
      draft: EntryDraft(
        event: event, authorship: isFull ? fullAuthorship : bareAuthorship,
        request: isFull ? fullRequest : bareRequest, evidence: isFull ? evidence : nil))
  }
}

extension String {
  var text: ByteText { ByteText(self) }
}
