public import Journal

/// A seeded random history and, in plain dictionaries, what the map held after each entry of it: what
/// answers about the past are compared with. It shares no code with the folds.
public struct PastModel {
  /// The parts of a record that are there, as text.
  public typealias State = [String: String]

  /// What became of a thing by an entry; nil for "nothing any more".
  public struct Step {
    public let index: UInt64
    public let state: State?
  }

  public private(set) var drafts: [EntryDraft] = []
  /// Of each thing, its entries in order.
  public private(set) var lives: [EntityKey: [Step]] = [:]
  /// The order time of each entry.
  public private(set) var orderedAt: [Timestamp] = []
  public private(set) var epochStarts: [UInt64] = []
  public private(set) var instances: [InstanceID] = []
  private var cells: [CellID: ModelCell] = [:]
  private var hosts: [ByteText: CellID] = [:]
  private var records: [InstanceID: ModelInstance] = [:]
  private var conflicts: Set<InstanceID> = []
  private var random: SplitMix
  private var clock: Int64 = 1_767_225_600_000_000
  private var request = RequestMark(id: .none)

  /// A history of `count` entries in three epochs.
  public init(seed: UInt64, count: Int) {
    random = SplitMix(seed: seed)
    openEpoch(1)
    addCell(.cell0)
    for number in 1...6 { addCell(Self.cell(number)) }
    while drafts.count < count {
      if drafts.count == count / 3 { openEpoch(2) }
      if drafts.count == count * 2 / 3 { openEpoch(5) }
      step()
    }
  }

  public var head: UInt64 { UInt64(drafts.count) }

  public func position(_ index: UInt64) -> Position {
    let epochs: [UInt32] = [1, 2, 5]
    let place = epochStarts.lastIndex { $0 <= index } ?? 0
    return Position(epoch: epochs[place], index: index)
  }

  /// What the map held of a thing after an entry.
  public func state(_ entity: EntityKey, at index: UInt64) -> State? {
    (lives[entity] ?? []).last { $0.index <= index }?.state
  }

  public mutating func number(below bound: Int) -> Int { random.number(below: bound) }

  public static func cell(_ number: Int) -> CellID {
    CellID(UUID128(high: 0xCE11, low: UInt64(number)))
  }
  public static func host(_ number: Int) -> ByteText { ByteText("compute-é\(number)") }

  // MARK: Steps

  private mutating func step() {
    switch number(below: 100) {
    case 0..<3: cellStep()
    case 3..<4: spareCellStep()
    case 4..<12: hostStep()
    case 12..<14: append(.store(.requestFinished(counts: ChangeCounts(instances: 3))), nil)
    case 14..<15 where !instances.isEmpty:
      let id = instances[number(below: instances.count)]
      let isDecided = !conflicts.insert(id).inserted && number(below: 2) == 0
      append(
        .conflict(
          .instance(id),
          isDecided
            ? .resolved(kind: "two cells", decision: ByteText("keep \(number(below: 9))"))
            : .found(kind: "two cells", evidence: "[]")), records[id]?.state)
    case 15..<30: boot()
    default: instanceStep()
    }
  }

  private mutating func openEpoch(_ epoch: UInt32) {
    epochStarts.append(head + 1)
    let zero = Digest(words: (0, 0, 0, 0))
    append(
      .store(
        .epochOpened(
          EpochOpening(
            store: StoreID(.zero), epoch: epoch, id: EpochID(UUID128(high: 9, low: UInt64(epoch))),
            cause: epoch == 1 ? .initialized : .restored, commonIndex: head, commonRoot: zero,
            leftIndex: head + 7, leftRoot: zero))), nil)
  }

  private mutating func addCell(_ id: CellID) {
    let cell = ModelCell(name: "cell-\(id.uuid.low)", database: secret(), queue: secret())
    cells[id] = cell
    append(.cell(id, .added(cell.record)), cell.state)
  }

  /// Cells in which no instance is come and go.
  private mutating func spareCellStep() {
    let id = Self.cell(7 + number(below: 3))
    guard let cell = cells[id] else { return addCell(id) }
    guard !hosts.values.contains(id) else { return }
    cells[id] = nil
    append(.cell(id, .removed(cell.record)), nil)
  }

  private mutating func cellStep() {
    let id = Self.cell(1 + number(below: 9))
    guard var cell = cells[id] else { return }
    let before = cell
    let event: CellEvent
    switch number(below: 8) {
    case 0:
      cell.name = number(below: 4) == 0 ? nil : "name \(number(below: 9))"
      event = .renamed(
        from: before.name.map { ByteText($0) }, to: cell.name.map { ByteText($0) })
    case 1:
      cell.database = secret()
      event = .addressesChanged(from: before.record.addresses, to: cell.record.addresses)
    case 2:
      // Only the secret changes: what is shown stays.
      cell.queue.seal += 1
      event = .addressesChanged(from: before.record.addresses, to: cell.record.addresses)
    case 3:
      cell.disabled = [nil, true, false][number(below: 3)]
      event = .availabilityChanged(
        from: before.record.availability, to: cell.record.availability)
    case 4:
      cell.isCovered.toggle()
      event = .coverageChanged(from: before.isCovered, to: cell.isCovered)
    case 5:
      cell.row = UInt64(number(below: 50))
      event = .rowRecorded(from: before.record.row, to: cell.record.row)
    case 6: event = .probed(ProbeOutcome(passed: true, report: "{}"))
    default:
      event = .identityRecorded(
        CellIdentity(
          services: [random.uuid()], computeNodes: [random.uuid()],
          server: [nil, "server 1", "server 2"][number(below: 3)],
          replacesEarlier: number(below: 4) == 0))
    }
    cells[id] = cell
    append(.cell(id, event), cell.state)
  }

  private mutating func hostStep() {
    let name = Self.host(number(below: 25))
    if let cell = hosts[name] {
      hosts[name] = nil
      return append(.host(name, .unmapped(HostRecord(cell: cell))), nil)
    }
    let cell = Self.cell(1 + number(below: 6))
    hosts[name] = cell
    append(.host(name, .mapped(HostRecord(cell: cell))), ["cell": "\(cell)"])
  }

  private mutating func boot() {
    let isAgain = number(below: 5) == 0 && !instances.isEmpty
    let id = isAgain ? instances[number(below: instances.count)] : InstanceID(random.uuid())
    guard records[id] == nil else { return }
    var instance = ModelInstance(
      cell: number(below: 4) == 0 ? nil : Self.cell(1 + number(below: 6)),
      project: "project-\(number(below: 9))", user: number(below: 5) == 0 ? nil : "user")
    instance.mark = [nil, false, false][number(below: 3)]
    if !isAgain { instances.append(id) }
    records[id] = instance
    append(.instance(id, .mapped(instance.record)), instance.state)
  }

  private mutating func instanceStep() {
    guard !instances.isEmpty else { return }
    let id = instances[number(below: instances.count)]
    guard var instance = records[id] else { return }
    let before = instance
    let event: InstanceEvent
    switch number(below: 12) {
    case 0..<4:
      instance.cell = number(below: 9) == 0 ? nil : Self.cell(1 + number(below: 6))
      event = .moved(from: before.cell, to: instance.cell)
    case 4:
      instance.project = "project-\(number(below: 9))"
      event = .ownerChanged(from: before.record.owner, to: instance.record.owner)
    case 5..<7:
      instance.mark = number(below: 2) == 0
      event = .deletionMarkChanged(from: before.mark, to: instance.mark)
    case 7..<9:
      instance.seen = (Self.host(number(below: 25)).string, Timestamp(microseconds: clock))
      guard let sighting = instance.record.lastSeen else { return }
      event = .hostSeen(sighting)
    case 9:
      instance.row = UInt64(number(below: 9999))
      event = .rowRecorded(from: before.record.row, to: instance.record.row)
    default:
      records[id] = nil
      return append(.instance(id, .unmapped(before.record)), nil)
    }
    records[id] = instance
    append(.instance(id, event), instance.state)
  }

  private mutating func secret() -> ModelAddress {
    ModelAddress(host: number(below: 4), seal: UInt64(number(below: 1 << 30)))
  }

  // MARK: Entries

  private mutating func append(_ event: Event, _ state: State?) {
    clock += Int64(number(below: 3_000_000))
    // Now and then a writer's clock is behind.
    let observed = number(below: 40) == 0 ? clock - 90_000_000 : clock
    if number(below: 3) == 0 {
      request = RequestMark(
        id: RequestID(random.uuid()),
        content: Digest(words: (random.next(), random.next(), random.next(), random.next())))
      if number(below: 9) == 0 {
        request.chunk = KeyRange(kind: .host, first: Self.host(1), last: Self.host(2))
      }
    } else {
      (request.content, request.chunk) = (nil, nil)
    }
    let author = number(below: 4)
    let authorship = Authorship(
      actor: ByteText("actor \(author)"), program: "model/1",
      reason: author == 0 ? nil : ByteText("reason \(number(below: 20))"),
      correlation: author == 3 ? "../2026-01-01T00:00:00Z" : nil,
      observedAt: Timestamp(microseconds: observed), isObserved: author == 3)
    drafts.append(EntryDraft(event: event, authorship: authorship, request: request))
    orderedAt.append(max(orderedAt.last ?? authorship.observedAt, authorship.observedAt))
    lives[event.entity, default: []].append(Step(index: head, state: state))
  }
}

/// An address of which the seal stands for the secret.
struct ModelAddress: Equatable {
  var host: Int
  var seal: UInt64

  var text: String { "mysql://nova:****@db\(host)/nova" }
  var address: SealedAddress {
    SealedAddress(
      publicForm: ByteText(text), key: KeyID(.zero),
      sealed: Array(repeating: 7, count: 28) + Array("\(seal)".utf8))
  }
}

private struct ModelCell {
  var name: String?
  var database: ModelAddress
  var queue: ModelAddress
  var disabled: Bool? = false
  var isCovered = false
  var row: UInt64?

  var record: CellRecord {
    CellRecord(
      name: name.map { ByteText($0) }, database: database.address, queue: queue.address,
      disabled: disabled, isCovered: isCovered, row: NovaRow(number: row, createdAt: nil))
  }

  var state: PastModel.State {
    var state = [
      "database": "\(database.text)#\(database.seal)", "queue": "\(queue.text)#\(queue.seal)",
      "coverage": isCovered ? "complete" : "incomplete", "being_removed": "false",
    ]
    state["cell_name"] = name
    state["disabled"] = disabled.map { "\($0)" }
    state["row"] = row.map { "\($0)" }
    return state
  }
}

private struct ModelInstance {
  var cell: CellID?
  var project: String
  var user: String?
  var mark: Bool?
  var seen: (host: String, at: Timestamp)?
  var row: UInt64?

  var record: InstanceRecord {
    InstanceRecord(
      cell: cell,
      owner: InstanceOwner(project: ByteText(project), user: user.map { ByteText($0) }),
      isQueuedForDelete: mark, row: NovaRow(number: row, createdAt: nil),
      lastSeen: seen.map { HostSighting(host: ByteText($0.host), at: $0.at, source: "model") })
  }

  var state: PastModel.State {
    var state = ["project": project]
    state["cell"] = cell?.description
    state["user"] = user
    state["queued_for_delete"] = mark.map { "\($0)" }
    state["last_known_host"] = seen?.host
    state["last_known_host_at"] = seen?.at.description
    state["row"] = row.map { "\($0)" }
    return state
  }
}
