internal import Cells
internal import Journal
internal import Projections

/// What a scan has set aside, as it is read back.
extension ScanFile {
  /// The rows of all cells, those of one instance together, by UUID and cell; of a row that was read
  /// twice only the later one.
  ///
  /// They are read on a thread of their own, some instances ahead of `body`, and their digests are made there.
  ///
  /// - Parameter keys: Make the rows' digests; nil where nobody wants them.
  /// - Returns: The digests over the rows of each cell.
  func forEachInstance(
    digestedBy keys: KeyRing?, _ body: (StagedCopies) throws(ProjectionError) -> Void
  ) throws(ProjectionError) -> [CellID: Digest] {
    let rows = StagedRows(of: self, digestedBy: keys)
    let batches = Lookahead(ahead: 16) { rows.next() }
    while let batch = try batches.next() { try batch.forEachInstance(body) }
    return rows.cellDigests()
  }

  /// The migrations of an instance between cells, by UUID, with the cells that have them.
  func moves(of instance: InstanceID) throws(ProjectionError) -> [(cell: CellID, CrossCellMove)] {
    let statement = try connection.prepare(
      "SELECT cell, uuid, source, destination, status, created_at FROM move WHERE instance = ?1")
    try statement.bind(instance.uuid, at: 1)
    var moves: [(cell: CellID, CrossCellMove)] = []
    while try statement.step() {
      guard let cell = cellsByNumber[try statement.integer(0)] else { continue }
      let createdAt = try statement.integerIfPresent(5).map { Timestamp(microseconds: $0) }
      let move = CrossCellMove(
        uuid: try statement.uuid(1), instance: instance, source: try statement.textIfPresent(2),
        destination: try statement.textIfPresent(3), status: try statement.textIfPresent(4),
        createdAt: createdAt)
      moves.append((cell, move))
    }
    // The numbers of the cells differ from scan to scan.
    return moves.sorted { ($0.1.uuid, $0.cell) < ($1.1.uuid, $1.cell) }
  }

  /// The compute hosts, by name, each with the cells that have it.
  func hosts() throws(ProjectionError) -> [(name: ByteText, cells: [CellID])] {
    let statement = try connection.prepare("SELECT name, cell FROM host ORDER BY name")
    var hosts: [(name: ByteText, cells: [CellID])] = []
    while try statement.step() {
      let name = try statement.text(0)
      guard let cell = cellsByNumber[try statement.integer(1)] else { continue }
      if hosts.last?.name == name {
        hosts[hosts.count - 1].cells.append(cell)
      } else {
        hosts.append((name, [cell]))
      }
    }
    for place in hosts.indices { hosts[place].cells.sort() }
    return hosts
  }

  /// The evidence of a cell's identity.
  func identity(of cell: CellID) throws(ProjectionError) -> CellIdentity {
    var found: [IdentityKind: [UUID128]] = [:]
    guard let number = numbers[cell] else { return CellIdentity(services: [], computeNodes: []) }
    let statement = try connection.prepare(
      "SELECT kind, uuid FROM identity WHERE cell = ?1 ORDER BY kind, uuid")
    try statement.bind(number, at: 1)
    while try statement.step() {
      let kind = IdentityKind(rawValue: UInt8(truncatingIfNeeded: try statement.integer(0)))
      if let kind { found[kind, default: []].append(try statement.uuid(1)) }
    }
    return CellIdentity(
      services: found[.service] ?? [], computeNodes: found[.computeNode] ?? [])
  }

  /// The instances of which a row was passed over.
  func unreadableInstances() throws(ProjectionError) -> Set<InstanceID> {
    let statement = try connection.prepare(
      "SELECT instance FROM unreadable WHERE instance IS NOT NULL")
    var ids: Set<InstanceID> = []
    while try statement.step() { ids.insert(InstanceID(try statement.uuid(0))) }
    return ids
  }

  /// The first rows that were passed over, of all cells.
  func unreadable(limit: Int) throws(ProjectionError) -> [(cell: CellID, UnreadableRow)] {
    let statement = try connection.prepare(
      "SELECT cell, source, row, why FROM unreadable JOIN cell ON cell.number = unreadable.cell "
        + "ORDER BY cell.id, source, row LIMIT \(limit)")
    var rows: [(cell: CellID, UnreadableRow)] = []
    while try statement.step() {
      guard let cell = cellsByNumber[try statement.integer(0)],
        let table = NovaTable(rawValue: try statement.text(1).string)
      else { continue }
      let row = UnreadableRow(
        table: table, rowID: try statement.integer(2), why: try statement.text(3).string)
      rows.append((cell, row))
    }
    return rows
  }
}
