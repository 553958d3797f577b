// How records and their parts are written as fields. Each pair of functions stands together, so
// that what one writes the other reads.

extension FieldWriter {
  mutating func cellRecord(_ record: CellRecord) {
    text(.name, record.name)
    addresses(record.addresses)
    availability(record.availability)
    mark(.covered, record.isCovered)
    novaRow(record.row)
  }

  mutating func addresses(_ addresses: CellAddresses) {
    address(.database, addresses.database)
    address(.queue, addresses.queue)
    text(.options, addresses.options)
  }

  mutating func availability(_ availability: CellAvailability) {
    flag(.disabled, availability.disabled)
    mark(.removing, availability.isBeingRemoved)
  }

  mutating func address(_ tag: FieldTag, _ address: SealedAddress?) {
    guard let address else { return }
    nested(tag) { writer in
      writer.text(.publicForm, address.publicForm)
      writer.uuid(.sealKey, address.key.uuid)
      writer.blob(.sealed, address.sealed)
    }
  }

  mutating func hostRecord(_ record: HostRecord) {
    uuid(.cell, record.cell.uuid)
    novaRow(record.row)
  }

  mutating func instanceRecord(_ record: InstanceRecord) {
    uuid(.cell, record.cell?.uuid)
    owner(record.owner)
    flag(.queuedForDelete, record.isQueuedForDelete)
    if let sighting = record.lastSeen { nested(.lastSeen) { $0.sighting(sighting) } }
    novaRow(record.row)
  }

  mutating func owner(_ owner: InstanceOwner) {
    personal(.project, owner.project)
    personal(.user, owner.user)
  }

  mutating func personal(_ tag: FieldTag, _ text: PersonalText?) {
    guard let text else { return }
    nested(tag) { writer in
      switch text {
      case .clear(let text): writer.text(.personalClear, text)
      case .sealed(let key, let bytes):
        writer.uuid(.personalKey, key.uuid)
        writer.blob(.personalSealed, bytes)
      case .shredded(let key): writer.uuid(.personalKey, key.uuid)
      }
    }
  }

  mutating func sighting(_ sighting: HostSighting) {
    text(.seenHost, sighting.host)
    time(.seenAt, sighting.at)
    text(.seenBy, sighting.source)
  }

  mutating func novaRow(_ row: NovaRow) {
    number(.rowNumber, row.number)
    time(.rowCreatedAt, row.createdAt)
  }
}

extension FieldReader {
  mutating func cellRecord() throws(EntryError) -> CellRecord {
    let name = try text(.name)
    let addresses = try addresses()
    let availability = try availability()
    let isCovered = try mark(.covered)
    return CellRecord(
      name: name, database: addresses.database, queue: addresses.queue,
      options: addresses.options, disabled: availability.disabled,
      isBeingRemoved: availability.isBeingRemoved, isCovered: isCovered, row: try novaRow())
  }

  mutating func addresses() throws(EntryError) -> CellAddresses {
    CellAddresses(
      database: try address(.database), queue: try address(.queue), options: try text(.options))
  }

  mutating func availability() throws(EntryError) -> CellAvailability {
    CellAvailability(disabled: try flag(.disabled), isBeingRemoved: try mark(.removing))
  }

  mutating func address(_ tag: FieldTag) throws(EntryError) -> SealedAddress? {
    try nested(tag) { (reader) throws(EntryError) in
      SealedAddress(
        publicForm: try reader.text(.publicForm).required(.publicForm),
        key: KeyID(try reader.uuid(.sealKey).required(.sealKey)),
        sealed: try reader.blob(.sealed).required(.sealed))
    }
  }

  mutating func hostRecord() throws(EntryError) -> HostRecord {
    HostRecord(cell: CellID(try uuid(.cell).required(.cell)), row: try novaRow())
  }

  mutating func instanceRecord() throws(EntryError) -> InstanceRecord {
    let cell = try uuid(.cell).map { CellID($0) }
    let owner = try owner()
    let mark = try flag(.queuedForDelete)
    let lastSeen = try nested(.lastSeen) { (reader) throws(EntryError) in try reader.sighting() }
    return InstanceRecord(
      cell: cell, owner: owner, isQueuedForDelete: mark, row: try novaRow(), lastSeen: lastSeen)
  }

  mutating func owner() throws(EntryError) -> InstanceOwner {
    let project = try personal(.project)
    return InstanceOwner(project: project, user: try personal(.user))
  }

  mutating func personal(_ tag: FieldTag) throws(EntryError) -> PersonalText? {
    try nested(tag) { (reader) throws(EntryError) in
      if let clear = try reader.text(.personalClear) { return .clear(clear) }
      let key = KeyID(try reader.uuid(.personalKey).required(.personalKey))
      guard let bytes = try reader.blob(.personalSealed) else { return .shredded(key: key) }
      return .sealed(key: key, bytes: bytes)
    }
  }

  mutating func sighting() throws(EntryError) -> HostSighting {
    HostSighting(
      host: try text(.seenHost).required(.seenHost), at: try time(.seenAt).required(.seenAt),
      source: try text(.seenBy).required(.seenBy))
  }

  mutating func novaRow() throws(EntryError) -> NovaRow {
    NovaRow(number: try number(.rowNumber), createdAt: try time(.rowCreatedAt))
  }
}
