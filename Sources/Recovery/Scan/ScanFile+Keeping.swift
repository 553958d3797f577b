internal import Journal
internal import Projections

/// What of a staging file outlives a run that came to its end.
extension ScanFile {
  /// The epoch of the basis of a file that waits for cells that broke off: no entry has it.
  static let waitingEpoch: UInt32 = 0

  /// Keeps the pages of cells that broke off in the middle, for the next scan to go on from, and nothing
  /// else; a file without any is taken away.
  ///
  /// The next scan reads what has changed since in those cells, so that all it finds rests on the head
  /// of then.
  ///
  /// - Returns: Whether something is kept.
  private func keepUnfinished() throws(ProjectionError) -> Bool {
    let begun = "SELECT number FROM cell WHERE phase IN (1, 2, 3) AND rows > 0"
    let count = try connection.integer("SELECT count(*) FROM (\(begun))") ?? 0
    guard count > 0 else { return false }
    // Killed in between, it rests on the older head, which only leaves more as it is.
    try forget("NOT IN (\(begun))")
    try setBasis(Position(epoch: Self.waitingEpoch, index: 0))
    try connection.execute("DELETE FROM request")
    requests = []
    // Else the WAL would keep what was forgotten, in clear, and grow with each run. What can't be moved now is
    // moved by the next run that keeps something.
    try? connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    return true
  }

  /// Takes the file away once what it says is in the journal, but for what the next scan goes on from.
  ///
  /// - Returns: Whether it is still there.
  @discardableResult
  func discard() -> Bool {
    // A file that can't be written is read anew.
    if (try? keepUnfinished()) == true { return true }
    remove()
    return false
  }

  func setBasis(_ basis: Position) throws(ProjectionError) {
    let update = try connection.prepare("UPDATE scan SET basis_epoch = ?1, basis_index = ?2")
    try update.bind(Int64(basis.epoch), at: 1)
    try update.bind(Int64(bitPattern: basis.index), at: 2)
    try update.run()
    self.basis = basis
  }

  /// Names what makes the map hold what the file says, before it begins.
  func add(_ request: RequestID) throws(ProjectionError) {
    let insert = try connection.prepare("INSERT OR IGNORE INTO request (id) VALUES (?1)")
    try insert.bind(request.uuid, at: 1)
    try insert.run()
    requests.insert(request)
  }

  /// Does with the files of requests that have ended what these did not come to do. One that another process has open
  /// is passed over.
  static func discardEnded(in folder: String, _ hasEnded: HasEnded) {
    for path in scans(in: folder) {
      guard let file = try? ScanFile(resuming: path) else { continue }
      if file.requests.contains(where: hasEnded) { file.discard() }
    }
  }

  /// Forgets what was read of all cells but these, and of those that have another database since.
  func keep(only cells: [(id: CellID, database: ByteText)]) throws(ProjectionError) {
    let databases = Dictionary(cells.map { ($0.id, $0.database) }) { first, _ in first }
    var forgotten: [Int64] = []
    let known = try connection.prepare("SELECT number, id, database FROM cell")
    while try known.step() {
      let id = CellID(try known.uuid(1))
      if try databases[id] != known.text(2) { forgotten.append(try known.integer(0)) }
    }
    known.reset()
    if forgotten.isEmpty { return }
    try forget("IN (\(forgotten.map { "\($0)" }.joined(separator: ", ")))")
    for number in forgotten {
      if let cell = cellsByNumber.removeValue(forKey: number) { numbers[cell] = nil }
    }
  }

  /// - Parameter numbers: A condition on cells' numbers.
  private func forget(_ numbers: String) throws(ProjectionError) {
    try connection.execute("BEGIN")
    for table in ["page", "move", "host", "identity", "unreadable"] {
      try connection.execute("DELETE FROM \(table) WHERE cell \(numbers)")
    }
    try connection.execute("DELETE FROM cell WHERE number \(numbers); COMMIT")
  }
}
