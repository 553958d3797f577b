internal import Journal
internal import Registry

/// Turns rows of a Nova API database into observations of the map, or says why it can't.
struct AdoptionRows {
  private let source: NovaAPIDatabase
  private let keys: KeyRing
  /// The cells by the numbers that the other tables name them by.
  private(set) var cellIDs: [UInt64: CellID] = [:]
  /// The cells that have a row, also one that the map can't hold.
  private(set) var namedCells: Set<CellID> = []
  /// The same cells by their numbers.
  private var namedNumbers: [UInt64: CellID] = [:]
  private let basis: Position
  /// What Nova's column of names holds.
  private static let maximumNameScalars = 255

  /// - Parameter basis: What the observations rest on.
  init(source: NovaAPIDatabase, keys: KeyRing, basis: Position) {
    self.source = source
    self.basis = basis
    self.keys = keys
  }

  /// What can't be held in the map, in words for an operator.
  struct Problem: Error {
    let text: String
    /// Whose content the map doesn't hold whole without the row.
    let lacking: AdoptionPlan.Lacking
  }

  mutating func observation(_ row: NovaCellRow) throws(Problem) -> Observation {
    guard let id = CellID(row.uuid.string) else {
      throw Problem(
        text: "cell_mappings row \(row.number): \(row.uuid.string.prefix(80)) is not a UUID.",
        lacking: .nothing)
    }
    namedCells.insert(id)
    namedNumbers[row.number] = id
    guard (row.name?.string.unicodeScalars.count ?? 0) <= AdoptionRows.maximumNameScalars else {
      throw Problem(
        text: "cell_mappings row \(row.number), cell \(id): its name is longer than "
          + "\(AdoptionRows.maximumNameScalars) characters.", lacking: .cell(id))
    }
    var draft = CellDraft(
      name: row.name, addresses: AddressDraft(), disabled: row.disabled,
      row: NovaRow(number: row.number, createdAt: row.createdAt))
    do throws(AddressError) {
      draft.addresses.database = try row.database.map { (text) throws(AddressError) in
        try GivenAddress(text, of: .database)
      }
      draft.addresses.queue = try row.queue.map { (text) throws(AddressError) in
        try GivenAddress(text, of: .queue)
      }
    } catch {
      throw Problem(
        text: "cell_mappings row \(row.number), cell \(id): \(error)", lacking: .cell(id))
    }
    cellIDs[row.number] = id
    // No digest of the secrets themselves: their public forms tell rows apart.
    let shown = [draft.addresses.database?.publicForm, draft.addresses.queue?.publicForm]
    let evidence = evidence("cell_mappings", row.number) { columns in
      columns.add(row.uuid)
      columns.add(row.name)
      columns.add(shown[0])
      columns.add(shown[1])
      columns.add(row.disabled)
      columns.add(row.createdAt)
    }
    return Observation(.cell(id, draft), evidence: evidence, basis: basis)
  }

  func observation(_ row: NovaHostRow) throws(Problem) -> Observation {
    guard let cell = cellIDs[row.cellNumber] else {
      throw Problem(
        text: "host_mappings row \(row.number), host \(row.host.string.prefix(80)): "
          + "there is no cell with the id \(row.cellNumber).", lacking: lacking(row.cellNumber))
    }
    let record = HostRecord(
      cell: cell, row: NovaRow(number: row.number, createdAt: row.createdAt))
    let evidence = evidence("host_mappings", row.number) { columns in
      columns.add(row.host)
      columns.add(ByteText(String(row.cellNumber)))
      columns.add(row.createdAt)
    }
    return Observation(.host(row.host, record), evidence: evidence, basis: basis)
  }

  func observation(
    _ row: NovaInstanceRow, lastSeen: HostSighting?
  ) throws(Problem) -> Observation {
    // In capitals it would be a second row of the instance that the small letters name.
    guard let id = InstanceID(row.uuid.string), id.description == row.uuid.string else {
      throw Problem(
        text: "instance_mappings row \(row.number): \(row.uuid.string.prefix(80)) is not a UUID "
          + "in small letters.", lacking: lacking(row.cellNumber))
    }
    let cell = try row.cellNumber.map { (number) throws(Problem) in
      guard let cell = cellIDs[number] else {
        throw Problem(
          text: "instance_mappings row \(row.number), instance \(id): "
            + "there is no cell with the id \(number).", lacking: lacking(number))
      }
      return cell
    }
    let record = InstanceRecord(
      cell: cell, owner: InstanceOwner(project: row.project, user: row.user),
      isQueuedForDelete: row.queuedForDelete,
      row: NovaRow(number: row.number, createdAt: row.createdAt), lastSeen: lastSeen)
    let evidence = evidence("instance_mappings", row.number) { columns in
      columns.add(row.uuid)
      columns.add(row.cellNumber.map { ByteText(String($0)) })
      columns.add(row.project)
      columns.add(row.user)
      columns.add(row.queuedForDelete)
      columns.add(row.createdAt)
    }
    return Observation(.instance(id, record), evidence: evidence, basis: basis)
  }

  /// A row that names no cell is of none; one that names a cell without a row may be of any.
  private func lacking(_ cellNumber: UInt64?) -> AdoptionPlan.Lacking {
    guard let cellNumber else { return .nothing }
    return namedNumbers[cellNumber].map { .cell($0) } ?? .anyCell
  }

  private func evidence(
    _ table: ByteText, _ number: UInt64, _ columns: (inout RowText) -> Void
  ) -> Evidence {
    Evidence(
      source: source.publicForm, cell: nil, table: table, rowKey: ByteText(String(number)),
      rowDigest: keys.rowDigest(columns), readAt: source.snapshotAt)
  }
}
