internal import Journal
internal import Registry

/// The commits of one bulk command that rests on a scan.
final class Submission {
  enum Note { case scanStarted, scanFinished }

  let registry: MapRegistry
  private let title: ByteText
  private let authorship: Authorship
  private let request: RequestID
  private(set) var overtaken: UInt64 = 0

  init(registry: MapRegistry, title: ByteText, authorship: Authorship, request: RequestID) {
    self.registry = registry
    self.title = title
    self.authorship = authorship
    self.request = request
  }

  func take(_ observations: [Observation], _ range: KeyRange) throws(RebuildError) -> UInt64 {
    note(try submit(.take(observations), range))
  }

  /// Counts what was overtaken.
  ///
  /// - Returns: How much was changed.
  func note(_ outcome: Outcome) -> UInt64 {
    overtaken += outcome.overtaken
    return outcome.changed
  }

  @discardableResult
  func submit(_ change: Change, about cell: CellID) throws(RebuildError) -> UInt64 {
    try submit(change, KeyRange(.cell(cell), through: .cell(cell))).changed
  }

  func note(
    _ what: Note, _ state: CellScanState, _ scan: UUID128, digest: Digest
  ) throws(RebuildError) {
    let isFinished = what == .scanFinished
    let progress = ScanProgress(
      scan: scan, cell: state.cell, rows: isFinished ? state.rows : 0, digest: digest)
    try submit(.noteScan(progress, isFinished: isFinished), about: state.cell)
  }

  func openEpoch(after head: EventJournal.Head, of store: StoreID) throws(RebuildError) {
    let opening = EpochOpening(
      store: store, epoch: head.position.epoch + 1, id: EpochID(.random()), cause: .rebuilt,
      commonIndex: head.position.index, commonRoot: head.root, leftIndex: head.position.index,
      leftRoot: head.root)
    _ = try submit(.openEpoch(opening), KeyRange(.store, through: .store))
  }

  func finish(_ changed: ChangeCounts) throws(RebuildError) -> Outcome {
    try submit(.finishRequest(changed), nil)
  }

  private func submit(_ change: Change, _ chunk: KeyRange?) throws(RebuildError) -> Outcome {
    do throws(RegistryError) { return try registry.submit(command(change, chunk)) } catch {
      throw .registry(error)
    }
  }

  /// One commit of the command; the last one has no keys.
  func command(_ change: Change, _ chunk: KeyRange?) -> Command {
    var author = authorship
    author.observedAt = .now
    return Command(
      change, by: author, request: request, bulk: BulkMark(title: title, chunk: chunk))
  }
}
