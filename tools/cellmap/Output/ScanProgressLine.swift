import Journal
import Recovery

/// How far each cell of a scan has been read, how fast that goes and how long it still takes; shown where
/// a person watches.
struct ScanProgressLine {
  private let name: (CellID) -> String
  private var begun: [CellID: Begin] = [:]
  /// So many cells have room in a line.
  private static let shownCells = 3

  /// Where a cell was when it was first seen: a scan that goes on has rows already.
  private struct Begin {
    let at: ContinuousClock.Instant
    let rows: UInt64
    let row: Int64
  }

  init(name: @escaping (CellID) -> String) { self.name = name }

  mutating func show(_ states: [CellScanState]) { Console.progress(text(states, at: .now)) }

  mutating func text(_ states: [CellScanState], at now: ContinuousClock.Instant) -> String {
    let open = states.filter { !$0.isFinished && $0.failure == nil }
    let rows = states.reduce(0) { $0 + $1.rows }
    var text =
      "reading: \(rows) instances, \(states.count - open.count) of \(states.count) cells done"
    // Those that take longest.
    let waiting = open.map { (state: $0, left: left(of: $0, at: now)) }
      .sorted { ($0.left ?? .infinity) > ($1.left ?? .infinity) }
    for (state, left) in waiting.prefix(Self.shownCells) {
      text += "; \(Console.safe(name(state.cell))) \(state.rows)"
      if let rate = rate(of: state, at: now) { text += ", \(rate)/s" }
      if let left { text += ", \(WorkProgress.words(left)) left" }
    }
    if waiting.count > Self.shownCells { text += "; …" }
    return text
  }

  private mutating func left(of state: CellScanState, at now: ContinuousClock.Instant) -> Double? {
    guard let row = state.row, let last = state.lastRow else { return nil }
    guard let begin = begun[state.cell] else {
      begun[state.cell] = Begin(at: now, rows: state.rows, row: row)
      return nil
    }
    let done = Double(row) - Double(begin.row)
    guard done > 0 else { return nil }
    let seconds = begin.at.duration(to: now) / .seconds(1)
    return max(0, Double(last) - Double(row)) / done * seconds
  }

  private func rate(of state: CellScanState, at now: ContinuousClock.Instant) -> Int? {
    guard let begin = begun[state.cell], state.rows > begin.rows else { return nil }
    let seconds = begin.at.duration(to: now) / .seconds(1)
    return seconds > 0.1 ? Int(Double(state.rows - begin.rows) / seconds) : nil
  }
}
