internal import Cells
internal import Dispatch
internal import Glibc
public import Journal
internal import Projections
internal import Router
internal import Synchronization

/// How cells are read.
public struct ScanSettings: Sendable {
  /// Rows of a page: one statement, one consistent view.
  public var pageRows = 1_000
  /// The most rows a second that are read of a cell; nil for as fast as it answers.
  public var rowsPerSecond: Int?
  /// How long a page may take.
  public var pageTime = Duration.seconds(30)
  /// The clocks of those who write `updated_at` may differ by so much.
  public var clockTolerance = Duration.seconds(600)

  public init() {}
}

/// How far the scan of a cell has come.
public struct CellScanState: Hashable, Sendable {
  public var cell: CellID
  public var rows: UInt64 = 0
  public var unreadable: UInt64 = 0
  public var markers: UInt64 = 0
  /// Nova's `id` of the row that was read last, and of the last one that it had at first; nil where
  /// that isn't known, and behind the instances.
  public var row: Int64?
  public var lastRow: Int64?
  /// The revision of its schema, if no Nova that is known has it.
  public var unknownSchema: String?
  public var isFinished = false
  /// Why it broke off.
  public var failure: String?
}

extension CellScanState {
  /// What is to be said of a schema that isn't known; what is needed of it is there.
  ///
  /// - Parameter name: The cell's.
  public func schemaRemark(_ name: String) -> String? {
    unknownSchema.map {
      "Cell \(name) has the schema '\($0.prefix(80))', which no Nova from 2023.1 to 34 has. The columns "
        + "that are needed are there; look whether what was read of it is right."
    }
  }

  fileprivate mutating func take(_ progress: ScanFile.Progress, _ outline: CellOutline) {
    rows = progress.rows
    unreadable = progress.unreadable
    markers = progress.markers
    row = progress.phase == .instances ? progress.cursor : nil
    lastRow = outline.lastRow
    unknownSchema = outline.isKnownSchema ? nil : outline.schema?.string
  }
}

/// Reads all cells at once into a staging file, each on a thread of its own, and goes on where an
/// earlier scan of the same file was stopped.
struct CellScanner {
  let file: ScanFile
  let settings: ScanSettings

  /// The cells that are read: all but those on their way out.
  static func targets(of router: CellRouter) throws(RebuildError) -> [CellTarget] {
    do throws(RouterError) {
      return try router.cells().filter { !$0.row.record.isBeingRemoved }
    } catch {
      throw .router(.init(text: error.description))
    }
  }

  private final class Board: Sendable {
    let states: Mutex<[CellScanState]>
    let done = DispatchSemaphore(value: 0)
    init(_ cells: [CellID]) {
      states = Mutex(cells.map { CellScanState(cell: $0) })
    }
  }

  /// Blocks until each cell is read, or has failed.
  ///
  /// - Parameter progress: Called about five times a second.
  func run(
    over targets: [CellTarget], progress: ([CellScanState]) -> Void
  ) -> [CellScanState] {
    let board = Board(targets.map(\.id))
    do throws(ProjectionError) {
      try file.keep(only: targets.map { ($0.id, $0.publicDatabase ?? "") })
    } catch {
      let why = ScanFailure.staging(error).description
      return board.states.withLock { states in
        for place in states.indices { states[place].failure = why }
        return states
      }
    }
    for (place, target) in targets.enumerated() { start(target, place, board) }
    var open = targets.count
    while open > 0 {
      if board.done.wait(timeout: .now() + .milliseconds(200)) == .success {
        open -= 1
      } else {
        progress(board.states.withLock { $0 })
      }
    }
    return board.states.withLock { $0 }
  }

  private func start(_ target: CellTarget, _ place: Int, _ board: Board) {
    @Sendable func end(_ failure: String?) {
      board.states.withLock {
        $0[place].failure = failure
        $0[place].isFinished = failure == nil
      }
      board.done.signal()
    }
    do throws(CellUnavailable) {
      let pool = try target.pool()
      do throws(CellError) {
        try pool.run(until: .now + settings.pageTime) {
          do throws(ScanFailure) {
            try scan(pool, in: target.publicDatabase ?? "") { progress, outline in
              board.states.withLock { $0[place].take(progress, outline) }
            }
            end(nil)
          } catch {
            end(error.description)
          }
        }
      } catch {
        throw .database(error)
      }
    } catch {
      end(error.description)
    }
  }

  private enum ScanFailure: Error, CustomStringConvertible {
    case cell(CellError)
    case staging(ProjectionError)

    var description: String {
      switch self {
      case .cell(let error): error.description
      case .staging(let error): "The staging file failed: \(error)"
      }
    }
  }

  private func scan(
    _ pool: CellConnectionPool, in database: ByteText,
    _ report: (ScanFile.Progress, CellOutline) -> Void
  ) throws(ScanFailure) {
    let cell = pool.cell
    var progress = try staging { () throws(ProjectionError) in
      try file.progress(of: cell, in: database)
    }
    if progress.phase == .finished {
      // Read before, by a scan that was stopped: only what has changed since.
      progress.phase = .changes
      progress.cursor = nil
    }
    let outline = try read(pool) { (connection) throws(CellError) in try connection.outline() }
    report(progress, outline)
    let since = Timestamp(
      microseconds: progress.beganAt.microseconds
        - Int64(settings.clockTolerance / .microseconds(1)))
    // They are few, and of now also where a scan goes on.
    let (hosts, identity) = try read(pool) { (connection) throws(CellError) in
      (try connection.computeHosts(), try connection.identity())
    }
    if progress.phase == .hosts { progress.phase = .instances }
    try staging { () throws(ProjectionError) in
      try file.set(hosts: hosts, identity, of: cell, &progress)
    }
    while progress.phase != .finished {
      switch progress.phase {
      case .instances, .changes:
        let phase = progress.phase
        let began = ContinuousClock.now
        let cursor = progress.cursor
        let page = try read(pool) { (connection) throws(CellError) in
          try connection.instances(
            afterRow: cursor, changedSince: phase == .changes ? since : nil,
            limit: settings.pageRows)
        }
        try staging { () throws(ProjectionError) in
          progress.cursor = page.next
          if page.next == nil { progress.phase = phase == .instances ? .changes : .moves }
          try file.add(page, readAt: .now, isFirst: phase == .instances, of: cell, &progress)
        }
        pace(page.rows.count, since: began)
      case .moves:
        let cursor = progress.cursor
        let page = try read(pool) { (connection) throws(CellError) in
          try connection.crossCellMoves(afterRow: cursor, limit: settings.pageRows)
        }
        try staging { () throws(ProjectionError) in
          progress.cursor = page.next
          if page.next == nil { progress.phase = .finished }
          try file.add(moves: page, of: cell, &progress)
        }
      case .hosts, .finished: break
      }
      report(progress, outline)
    }
  }

  /// Reads a page; a connection that broke is made anew once, as a server that was restarted wants.
  private func read<Value>(
    _ pool: CellConnectionPool, _ body: (CellConnection) throws(CellError) -> Value
  ) throws(ScanFailure) -> Value {
    func attempt() throws(CellError) -> Value {
      try pool.withConnection(until: .now + settings.pageTime) { (lent) throws(CellError) in
        try body(lent.connection)
      }
    }
    do throws(CellError) {
      do throws(CellError) { return try attempt() } catch {
        guard error.isStaleConnection else { throw error }
        return try attempt()
      }
    } catch {
      throw .cell(error)
    }
  }

  private func staging<Value>(
    _ body: () throws(ProjectionError) -> Value
  ) throws(ScanFailure) -> Value {
    do throws(ProjectionError) { return try body() } catch { throw .staging(error) }
  }

  /// Waits so long that no more rows a second are read than may.
  private func pace(_ rows: Int, since began: ContinuousClock.Instant) {
    guard let limit = settings.rowsPerSecond, rows > 0 else { return }
    let wanted = Duration.seconds(1) * rows / limit
    let left = wanted - began.duration(to: .now)
    if left > .zero { usleep(UInt32(clamping: Int64(left / .microseconds(1)))) }
  }
}
