import Journal
import Projections

/// A generator of random numbers that gives the same ones for the same seed (SplitMix64).
struct SeededGenerator: RandomNumberGenerator {
  private var state: UInt64

  init(seed: UInt64) { state = seed }

  mutating func next() -> UInt64 {
    state &+= 0x9E37_79B9_7F4A_7C15
    var word = state
    word = (word ^ (word >> 30)) &* 0xBF58_476D_1CE4_E5B9
    word = (word ^ (word >> 27)) &* 0x94D0_49BB_1331_11EB
    return word ^ (word >> 31)
  }
}

extension UUID128 {
  /// The same with the first `count` bits of another.
  func sharing(_ count: Int, of other: UUID128) -> UUID128 {
    let (high, low) = (~UInt64(0) >> UInt64(count), ~UInt64(0) >> UInt64(max(0, count - 64)))
    return UUID128(
      high: self.high & high | other.high & ~high, low: self.low & low | other.low & ~low)
  }
}

/// A history as a registry could have written it, and what the map holds after it, kept by the
/// pure folds in dictionaries: the reference that indexes are compared with.
struct RandomHistory {
  private(set) var changes: [EntryChange] = []
  private(set) var cells: [CellID: CellRow] = [:]
  private(set) var hosts: [ByteText: HostRow] = [:]
  private(set) var instances: [InstanceID: InstanceRow] = [:]
  private(set) var requests: [RequestID: RequestRow] = [:]
  /// Every instance that was ever mapped, and those that are gone.
  private(set) var known: [InstanceID] = []
  private(set) var departed: [EntityKey: UInt64] = [:]
  private var generator: SeededGenerator
  private let sharedBits: Int
  private var request: RequestMark?
  let store = StoreID(UUID128(high: 0x5707_e000_0000_4000, low: 0x8000_0000_0000_0001))

  /// A history of `count` entries, in which the first `sharedBits` bits of the instances' UUIDs are the same.
  init(seed: UInt64, count: Int, sharedBits: Int = 0) {
    generator = SeededGenerator(seed: seed)
    self.sharedBits = sharedBits
    append(.store(.epochOpened(opening(1))))
    append(.cell(.cell0, .added(CellRecord(name: "cell0", isCovered: true))))
    while changes.count < count { append(nextEvent()) }
  }

  var head: UInt64 { changes.last?.position.index ?? 0 }

  /// A stand-in for the tree's root after an entry.
  static func root(_ index: UInt64) -> Digest {
    Digest(words: (index, ~index, index &* 0x9E37_79B9_7F4A_7C15, 7))
  }

  mutating func append(_ event: Event) {
    let index = UInt64(changes.count + 1)
    let change = EntryChange(
      position: Position(epoch: 1, index: index), request: nextRequest(), event: event)
    changes.append(change)
    if change.request.id != .none {
      requests[change.request.id] = RequestRow.folded(change, into: requests[change.request.id])
    }
    var isGone = false
    switch event {
    case .cell(let id, let event):
      cells[id] = CellRow.folded(event, at: index, into: cells[id])
      isGone = cells[id] == nil
    case .host(let name, let event):
      hosts[name] = HostRow.folded(event, at: index, into: hosts[name])
      isGone = hosts[name] == nil
    case .instance(let id, let event):
      instances[id] = InstanceRow.folded(event, at: index, into: instances[id])
      isGone = instances[id] == nil
      if case .mapped = event { known.append(id) }
    case .conflict, .store: return
    }
    departed[event.entity] = isGone ? index : nil
  }

  mutating func uuid() -> UUID128 {
    UUID128(high: generator.next(), low: generator.next())
  }

  private mutating func newInstance() -> InstanceID {
    let prefix = UUID128(high: 0x0193_2c07_5b1e_7a2d, low: 0x9d3c_5a4e_3f21_7766)
    return InstanceID(uuid().sharing(sharedBits, of: prefix))
  }

  mutating func number(below bound: Int) -> Int { Int.random(in: 0..<bound, using: &generator) }

  private func opening(_ epoch: UInt32) -> EpochOpening {
    EpochOpening(
      store: store, epoch: epoch, id: EpochID(UUID128(high: 1, low: UInt64(epoch))),
      cause: .initialized, commonIndex: 0, commonRoot: Self.root(0), leftIndex: 0,
      leftRoot: Self.root(0))
  }

  /// Sometimes the request of before goes on, as in a bulk command.
  private mutating func nextRequest() -> RequestMark {
    if let request, number(below: 3) > 0 { return RequestMark(id: request.id) }
    if number(below: 20) == 0 { return RequestMark(id: .none) }
    let fresh = RequestMark(id: RequestID(uuid()), content: Self.root(generator.next()))
    request = fresh
    return fresh
  }

  private mutating func nextEvent() -> Event {
    switch number(below: 100) {
    case 0..<3: return .cell(CellID(uuid()), .added(cellRecord()))
    case 3..<8: return cellEvent()
    case 8..<14: return hostEvent()
    case 14..<16:
      return .conflict(.instance(newInstance()), .found(kind: "two cells", evidence: "[]"))
    case 16..<18: return .store(.requestFinished(counts: ChangeCounts(cells: 1, instances: 7)))
    case 18..<55: return .instance(newInstance(), .mapped(instanceRecord()))
    default: return instanceEvent()
    }
  }

  private mutating func someCell() -> CellID {
    cells.keys.sorted()[number(below: cells.count)]
  }

  private mutating func cellRecord() -> CellRecord {
    let key = KeyID(uuid())
    var record = CellRecord(
      name: number(below: 5) == 0 ? nil : ByteText("cell-é\(number(below: 9))"),
      database: SealedAddress(
        publicForm: "mysql+pymysql://nova:***@db/nova", key: key, sealed: Array(0..<60)))
    record.disabled = [nil, true, false][number(below: 3)]
    record.row = NovaRow(
      number: UInt64(number(below: 99)), createdAt: Timestamp(microseconds: 1_700_000_000_250_000))
    return record
  }

  private mutating func cellEvent() -> Event {
    let id = someCell()
    guard let row = cells[id] else { return .cell(id, .added(cellRecord())) }
    switch number(below: 7) {
    case 0: return .cell(id, .renamed(from: row.record.name, to: "renamed"))
    case 1: return .cell(id, .coverageChanged(from: row.record.isCovered, to: true))
    case 2: return .cell(id, .identityRecorded(identity(replacesEarlier: false)))
    case 3: return .cell(id, .identityRecorded(identity(replacesEarlier: true)))
    case 4: return id == .cell0 ? .cell(id, .added(row.record)) : .cell(id, .removed(row.record))
    case 5:
      return .cell(
        id,
        .availabilityChanged(
          from: row.record.availability, to: CellAvailability(disabled: true)))
    default:
      return .cell(id, .probed(ProbeOutcome(passed: true, report: "{}")))
    }
  }

  private mutating func identity(replacesEarlier: Bool) -> CellIdentity {
    CellIdentity(
      services: (0..<number(below: 4)).map { _ in uuid() },
      computeNodes: [UUID128(high: 5, low: UInt64(number(below: 5)))],
      server: number(below: 2) == 0 ? nil : ByteText("server \(number(below: 3))"),
      replacesEarlier: replacesEarlier)
  }

  private mutating func hostEvent() -> Event {
    let name = ByteText("compute-\(number(below: 12))")
    guard let row = hosts[name] else {
      return .host(name, .mapped(HostRecord(cell: someCell())))
    }
    if number(below: 2) == 0 { return .host(name, .unmapped(row.record)) }
    return .host(
      name, .rowRecorded(from: row.record.row, to: NovaRow(number: 3, createdAt: nil)))
  }

  private mutating func owner() -> InstanceOwner {
    let project: PersonalText? =
      switch number(below: 12) {
      case 0: nil
      case 1: .sealed(key: KeyID(uuid()), bytes: Array(1...33))
      case 2: .shredded(key: KeyID(uuid()))
      default: .clear(ByteText("project-\(number(below: 4))-0123456789abcdef"))
      }
    let user = number(below: 6) == 0 ? nil : ByteText("user-\(number(below: 3))")
    return InstanceOwner(project: project, user: user.map { .clear($0) })
  }

  private mutating func instanceRecord() -> InstanceRecord {
    var record = InstanceRecord(
      cell: number(below: 8) == 0 ? nil : someCell(), owner: owner(),
      isQueuedForDelete: [nil, true, false, false][number(below: 4)])
    if number(below: 2) == 0 {
      record.row = NovaRow(
        number: UInt64(number(below: 9999)), createdAt: Timestamp(microseconds: -1))
    }
    return record
  }

  private mutating func instanceEvent() -> Event {
    guard !known.isEmpty else { return .instance(newInstance(), .mapped(instanceRecord())) }
    let id = known[number(below: known.count)]
    guard let row = instances[id] else { return .instance(id, .mapped(instanceRecord())) }
    switch number(below: 6) {
    case 0: return .instance(id, .moved(from: row.record.cell, to: someCell()))
    case 1: return .instance(id, .ownerChanged(from: row.record.owner, to: owner()))
    case 2:
      return .instance(
        id, .deletionMarkChanged(from: row.record.isQueuedForDelete, to: number(below: 2) == 0))
    case 3: return .instance(id, .unmapped(row.record))
    case 4:
      let sighting = HostSighting(
        host: "compute-1", at: Timestamp(microseconds: Int64(head)), source: "route")
      return .instance(id, .hostSeen(sighting))
    default:
      return .instance(
        id, .rowRecorded(from: row.record.row, to: NovaRow(number: head, createdAt: nil)))
    }
  }
}
