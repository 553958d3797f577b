internal import Journal
internal import Projections

/// The rules for cells: from a change and the map to the events it takes.
struct CellRules<Map: MapLookup> {
  let map: RuleMap<Map>
  let sealer: any AddressSealer

  /// What one entry can hold of evidence, and of each address.
  static var maximumEvidence: Int { 2000 }
  static var maximumAddressBytes: Int { 4096 }

  func row(_ id: CellID) throws(RegistryError) -> CellRow {
    guard let row = try map.cell(id) else {
      throw .refused(.unknownCell(id))
    }
    return row
  }

  func add(_ id: CellID, _ draft: CellDraft) throws(RegistryError) -> [Event] {
    let cells = try map.cells()
    guard cells[id] == nil else { throw .refused(.cellExists(id)) }
    try checkName(draft.name, of: id, among: cells)
    try checkDatabase(draft.addresses.database, of: id, among: cells)
    return [.cell(id, .added(try record(draft, of: id)))]
  }

  func record(_ draft: CellDraft, of id: CellID) throws(RegistryError) -> CellRecord {
    CellRecord(
      name: draft.name, database: try seal(draft.addresses.database, of: id, .database),
      queue: try seal(draft.addresses.queue, of: id, .queue), options: draft.addresses.options,
      disabled: draft.disabled, isCovered: draft.isCovered, row: draft.row)
  }

  func rename(_ id: CellID, to name: ByteText?) throws(RegistryError) -> [Event] {
    let record = try row(id).record
    guard record.name != name else { return [] }
    let cells = try map.cells()
    try checkName(name, of: id, among: cells)
    return [.cell(id, .renamed(from: record.name, to: name))]
  }

  func setAddresses(_ id: CellID, _ draft: AddressDraft) throws(RegistryError) -> [Event] {
    let record = try row(id).record
    let cells = try map.cells()
    try checkDatabase(draft.database, of: id, among: cells)
    return try addressChange(of: id, record, draft)
  }

  /// The change that the given addresses make; those that aren't given stay.
  func addressChange(
    of id: CellID, _ record: CellRecord, _ draft: AddressDraft
  ) throws(RegistryError) -> [Event] {
    var addresses = record.addresses
    if let given = draft.database, !isSame(given, record.database, of: id, .database) {
      addresses.database = try seal(given, of: id, .database)
    }
    if let given = draft.queue, !isSame(given, record.queue, of: id, .queue) {
      addresses.queue = try seal(given, of: id, .queue)
    }
    if let options = draft.options { addresses.options = options }
    guard addresses != record.addresses else { return [] }
    return [.cell(id, .addressesChanged(from: record.addresses, to: addresses))]
  }

  func setDisabled(_ id: CellID, _ disabled: Bool) throws(RegistryError) -> [Event] {
    guard id != .cell0 || !disabled else {
      throw .refused(.cell0("holds instances that never got a host; it can't be disabled"))
    }
    let record = try row(id).record
    if record.isBeingRemoved, !disabled { throw .refused(.cellBeingRemoved(id)) }
    // NULL means enabled, so enabling what is NULL changes nothing.
    guard (record.disabled ?? false) != disabled else { return [] }
    return [availability(id, record, disabled, isBeingRemoved: record.isBeingRemoved)]
  }

  /// - Parameter finding: The event of the cell's last evidence since its last change.
  func requirePassedProbe(_ id: CellID, _ finding: Event?) throws(RegistryError) {
    guard case .cell(id, .probed(let outcome))? = finding, outcome.passed else {
      throw .refused(.cellNotProbed(id))
    }
  }

  func beginRemoving(_ id: CellID) throws(RegistryError) -> [Event] {
    try refuseCell0Removal(id)
    let record = try row(id).record
    guard !record.isBeingRemoved else { return [] }
    return [availability(id, record, true, isBeingRemoved: true)]
  }

  private func availability(
    _ id: CellID, _ record: CellRecord, _ disabled: Bool, isBeingRemoved: Bool
  ) -> Event {
    let after = CellAvailability(disabled: disabled, isBeingRemoved: isBeingRemoved)
    return .cell(id, .availabilityChanged(from: record.availability, to: after))
  }

  /// `content` is what the index counts, which has reached the head.
  func remove(
    _ id: CellID, holding content: (hosts: UInt64, instances: UInt64)
  ) throws(RegistryError) -> [Event] {
    try refuseCell0Removal(id)
    let record = try row(id).record
    guard content == (0, 0) else {
      throw .refused(.cellNotEmpty(id, hosts: content.hosts, instances: content.instances))
    }
    return [.cell(id, .removed(record))]
  }

  private func refuseCell0Removal(_ id: CellID) throws(RegistryError) {
    guard id != .cell0 else {
      throw .refused(.cell0("holds instances that never got a host; it can't be removed"))
    }
  }

  func setCoverage(_ id: CellID, _ isCovered: Bool) throws(RegistryError) -> [Event] {
    let record = try row(id).record
    guard record.isCovered != isCovered else { return [] }
    return [.cell(id, .coverageChanged(from: record.isCovered, to: isCovered))]
  }

  func recordIdentity(_ id: CellID, _ identity: CellIdentity) throws(RegistryError) -> [Event] {
    _ = try row(id)
    guard identity.services.count + identity.computeNodes.count <= CellRules.maximumEvidence else {
      throw .refused(
        .tooLarge("at most \(CellRules.maximumEvidence) UUIDs of evidence at once"))
    }
    return [.cell(id, .identityRecorded(identity))]
  }

  /// The probe comes last: whatever changes the cell after it shows that it is out of date.
  func recordProbe(
    _ id: CellID, _ outcome: ProbeOutcome, _ evidence: [CellIdentity]
  ) throws(RegistryError) -> [Event] {
    var events: [Event] = []
    for identity in evidence { events += try recordIdentity(id, identity) }
    _ = try row(id)
    return events + [.cell(id, .probed(outcome))]
  }

  // MARK: Keys

  /// The same addresses under another data key.
  func reseal(_ id: CellID) throws(RegistryError) -> [Event] {
    let record = try row(id).record
    let addresses: [(AddressField, SealedAddress)] = [
      record.database.map { (.database, $0) }, record.queue.map { (.queue, $0) },
    ].compactMap(\.self)
    guard !addresses.isEmpty else { return [] }
    do throws(KeyError) {
      let sealed = try sealer.reseal(addresses, of: id)
      return zip(addresses, sealed).map {
        .cell(id, .addressResealed($0.0, from: $0.1, to: $1))
      }
    } catch {
      throw .keys(error)
    }
  }

  /// Of a cell that is gone, any of its keys may go.
  func shred(_ id: CellID, _ keys: [KeyID]) throws(RegistryError) -> [Event] {
    let record = try map.cell(id)?.record
    for key in keys where record?.database?.key == key || record?.queue?.key == key {
      throw .refused(.keyInUse(key, cell: id))
    }
    return keys.map { .cell(id, .keyShredded($0)) }
  }

  // MARK: Shared pieces

  func checkName(
    _ name: ByteText?, of id: CellID, among cells: [CellID: CellRow]
  ) throws(RegistryError) {
    guard let name else { return }
    do throws(Refusal) {
      try NameRules.check(name, what: "The name of a cell")
      // Commands take a cell's name and its UUID in one place, and "none" there for no cell.
      guard name != "none", CellID(name.string) == nil else {
        throw .badName(
          what: "The name of a cell '\(name)'",
          why: "would be taken for no cell, or for a cell's UUID")
      }
      for (other, row) in cells where other != id && row.record.name == name {
        throw .cellNameTaken(name, by: other)
      }
    } catch {
      throw .refused(error)
    }
  }

  /// One database is one cell's. Templates are compared with templates, by their public text.
  ///
  /// - Parameter given: What the same command gives cells in the place of what they have.
  func checkDatabase(
    _ database: GivenAddress?, of id: CellID, among cells: [CellID: CellRow],
    given: Rulebook<Map>.GivenDatabases = [:]
  ) throws(RegistryError) {
    guard let database else { return }
    for (other, row) in cells where other != id {
      let (publicForm, location) =
        if let theirs = given[other] {
          (theirs.publicForm as ByteText?, theirs.location)
        } else {
          (row.record.database?.publicForm, row.record.database?.databaseLocation)
        }
      let isSame =
        database.publicForm == publicForm
        || database.location != nil && database.location == location
      if isSame { throw .refused(.databaseTaken(database.publicForm, by: other)) }
    }
  }

  func seal(
    _ address: GivenAddress?, of id: CellID, _ field: AddressField
  ) throws(RegistryError) -> SealedAddress? {
    guard let address else { return nil }
    guard address.original.count <= CellRules.maximumAddressBytes else {
      throw .refused(
        .tooLarge("an address of more than \(CellRules.maximumAddressBytes) bytes"))
    }
    do throws(KeyError) {
      return try sealer.seal(
        address.original.exposedBytes(), publicForm: address.publicForm, of: id, field)
    } catch {
      throw .keys(error)
    }
  }

  /// Whether a given address is the one that the cell has. One that can't be opened any more is
  /// not: giving it again seals it anew.
  private func isSame(
    _ given: GivenAddress, _ address: SealedAddress?, of id: CellID, _ field: AddressField
  ) -> Bool {
    guard let address, address.publicForm == given.publicForm else { return false }
    guard let original = try? sealer.open(address, of: id, field) else { return false }
    return given.original.exposedBytes() == original
  }
}
