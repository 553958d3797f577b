public import Journal

/// Why a cell isn't believed enough to change the map by it: it looks restored from a backup, or
/// empty.
public enum CellDoubt: Hashable, Sendable, CustomStringConvertible {
  /// Nothing of what is recorded of the cell is in it.
  case unknown
  /// It has no instance, and the map has some of it.
  case empty(mapped: UInt64)
  /// It has fewer rows than at the last finished scan, those that Nova has archived counted.
  case fewerRows(now: UInt64, before: UInt64)
  /// Its newest row is older than the newest mapping of the cell.
  case older(newest: Timestamp, mapped: Timestamp)

  public var description: String {
    switch self {
    case .unknown: "nothing of what is recorded of it is in its database"
    case .empty(let mapped): "it is empty, and the map has \(mapped) instances of it"
    case .fewerRows(let now, let before):
      "it has \(now) rows with the archived ones, and had \(before) at the last scan"
    case .older(let newest, let mapped):
      "its newest instance is of \(newest), and the map's newest of it of \(mapped)"
    }
  }

  /// - Parameters:
  ///   - rowsBefore: The rows that the last finished scan of the cell read.
  ///   - tolerance: So much may the clocks differ of those who write the two times.
  ///   - archive: Asked only where a doubt may be cleared by what Nova has archived since; nil if it
  ///     can't say.
  init?(
    _ tally: CellTally, isUnknown: Bool, rowsBefore: UInt64?, tolerance: Duration,
    archive: () -> (rows: UInt64, newest: Timestamp?)?
  ) {
    if isUnknown {
      self = .unknown
      return
    }
    let toleranceMicroseconds = Int64(tolerance / .microseconds(1))
    func isOlder(_ newest: Timestamp?) -> Bool {
      guard let mapped = tally.newestMapped else { return false }
      guard let newest else { return true }
      return newest.microseconds + toleranceMicroseconds < mapped.microseconds
    }
    let isSmaller = tally.rows < rowsBefore ?? 0
    let isEmpty = tally.rows == 0 && tally.mapped > 0
    guard isEmpty || isSmaller || isOlder(tally.newest) else { return nil }
    let archived = archive() ?? (rows: 0, newest: nil)
    let rows = tally.rows + archived.rows
    let newest = CellTally.later(tally.newest, archived.newest)
    if rows == 0, tally.mapped > 0 {
      self = .empty(mapped: tally.mapped)
    } else if rows < rowsBefore ?? 0 {
      self = .fewerRows(now: rows, before: rowsBefore ?? 0)
    } else if isOlder(newest), let mapped = tally.newestMapped {
      self = .older(newest: newest ?? Timestamp(microseconds: 0), mapped: mapped)
    } else {
      return nil
    }
  }
}
