internal import Journal

/// The bytes of a command that all uses of one request id must share, clear secrets among them.
///
/// They are compared for as long as the store lives, so their form never changes. Each piece is
/// preceded by its length, so that no two commands have the same bytes.
struct CommandContent {
  private(set) var bytes: [UInt8] = []

  /// The content of a bulk command, the same for each of its commits.
  init(ofBulk title: ByteText) {
    self.init()
    text("bulk")
    text(title.string)
  }

  init(of command: Command) {
    if let bulk = command.bulk {
      self.init(ofBulk: bulk.title)
    } else {
      self.init()
      change(command.change)
      for condition in command.guards { guardCondition(condition) }
    }
  }

  private init() {}

  private mutating func piece(_ piece: some Collection<UInt8>) {
    let count = UInt64(piece.count)
    for shift in stride(from: 56, through: 0, by: -8) {
      bytes.append(UInt8(truncatingIfNeeded: count >> UInt64(shift)))
    }
    bytes.append(contentsOf: piece)
  }

  private mutating func text(_ text: String) { piece(text.utf8) }
  private mutating func uuid(_ uuid: UUID128) { piece(uuid.bytes) }

  /// An optional is a piece of its own first: absent and empty differ.
  private mutating func optional<Value>(
    _ value: Value?, _ write: (inout CommandContent, Value) -> Void
  ) {
    piece([value == nil ? 0 : 1])
    if let value { write(&self, value) }
  }

  private mutating func optional(_ value: ByteText?) { optional(value) { $0.text($1.string) } }
  private mutating func optional(_ value: Bool?) { optional(value) { $0.piece([$1 ? 1 : 0]) } }
  private mutating func optional(_ value: CellID?) { optional(value) { $0.uuid($1.uuid) } }

  private mutating func addresses(_ draft: AddressDraft) {
    for address in [draft.database, draft.queue] {
      optional(address) { content, address in
        content.piece(address.original.exposedBytes())
      }
    }
    optional(draft.options)
  }

  private mutating func row(_ row: NovaRow) {
    optional(row.number.map { ByteText("\($0)") })
    optional(row.createdAt.map { ByteText("\($0.microseconds)") })
  }

  private mutating func personal(_ text: PersonalText?) {
    optional(text) { content, text in
      switch text {
      case .clear(let clear): content.text(clear.string)
      case .sealed(let key, let bytes):
        content.uuid(key.uuid)
        content.piece(bytes)
      case .shredded(let key): content.uuid(key.uuid)
      }
    }
  }

  private mutating func owner(_ owner: InstanceOwner) {
    personal(owner.project)
    personal(owner.user)
  }

  private mutating func guardCondition(_ condition: Guard) {
    text("guard")
    text(condition.entity.description)
    switch condition.condition {
    case .absent: text("absent")
    case .exists: text("exists")
    case .unchanged(let since): text(since.description)
    }
  }

  private mutating func change(_ change: Change) {
    switch change {
    case .addCell(let id, let draft):
      text("add cell")
      optional(id)
      optional(draft.name)
      optional(draft.disabled)
      addresses(draft.addresses)
      optional(draft.isCovered)
      row(draft.row)
    case .renameCell(let id, let name): cell("rename cell", id) { $0.optional(name) }
    case .setCellAddresses(let id, let draft):
      cell("set cell addresses", id) { $0.addresses(draft) }
    case .disableCell(let id): cell("set cell disabled", id) { $0.optional(true) }
    // With or without a probe it is the same wish.
    case .enableCell(let id, force: _): cell("set cell disabled", id) { $0.optional(false) }
    case .beginRemovingCell(let id): cell("begin removing cell", id) { _ in }
    case .removeCell(let id): cell("remove cell", id) { _ in }
    case .resealCell(let id): cell("reseal cell", id) { _ in }
    case .shredKeys(let id, let named, _):
      cell("shred keys", id) { content in
        content.optional(named) { $0.uuid($1.uuid) }
      }
    case .shredOwnerKeys(let asked, _):
      text("shred owner keys")
      text(asked.string)
    case .recordIdentity(let id, let identity):
      cell("record identity", id) { $0.identity(identity) }
    case .setCoverage(let id, let isCovered):
      cell("set coverage", id) { $0.optional(isCovered) }
    // Not what it found: a second probe differs in its times at least, and the first one's answer
    // stands.
    case .recordProbe(let id, _, _, let accepting):
      cell("record probe", id) { $0.optional(accepting) }
    case .mapHost(let host, let id): cell("map host", id) { $0.text(host.string) }
    case .unmapHost(let host):
      text("unmap host")
      text(host.string)
    case .mapInstance, .remapInstance, .setOwner, .markForDeletion, .unmapInstance,
      .recordSighting:
      instanceChange(change)
    case .resolveConflict(let entity, let decision, _):
      text("resolve conflict")
      text(entity.description)
      text(decision.string)
    case .noteArchive(_, let asked):
      text("archive")
      text(asked.string)
    // Not the plan: it is another one once it is carried out.
    case .revert(let reversal):
      text("revert")
      text(reversal.first.description)
      text(reversal.last.description)
    case .take, .emptyCell, .openEpoch, .noteScan, .finishAdoption, .finishPublication,
      .finishRequest:
      preconditionFailure("A bulk command is known by its title.")
    }
  }

  private mutating func cell(
    _ name: String, _ id: CellID, _ rest: (inout CommandContent) -> Void
  ) {
    text(name)
    uuid(id.uuid)
    rest(&self)
  }

  private mutating func identity(_ identity: CellIdentity) {
    for list in [identity.services, identity.computeNodes] { piece(list.flatMap(\.bytes)) }
    optional(identity.server)
    optional(identity.replacesEarlier)
  }

  private mutating func instanceChange(_ change: Change) {
    switch change {
    case .mapInstance(let id, let draft):
      instance("map instance", id)
      optional(draft.cell)
      owner(draft.owner)
      optional(draft.isTest)
    case .remapInstance(let id, let cell):
      instance("remap instance", id)
      optional(cell)
    case .setOwner(let id, let owner):
      instance("set owner", id)
      self.owner(owner)
    case .markForDeletion(let id, let mark):
      instance("mark for deletion", id)
      optional(mark)
    case .recordSighting(let id, let sighting):
      instance("record sighting", id)
      text(sighting.host.string)
      text(sighting.at.description)
      text(sighting.source.string)
    case .unmapInstance(let id): instance("unmap instance", id)
    default: preconditionFailure("No change of an instance.")
    }
  }

  private mutating func instance(_ name: String, _ id: InstanceID) {
    text(name)
    uuid(id.uuid)
  }
}
