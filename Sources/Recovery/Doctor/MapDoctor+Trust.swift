internal import Cells
internal import Journal

extension MapDoctor {
  private struct Archive: Sendable {
    let rows: UInt64
    let newest: Timestamp?
  }

  /// Which cells can't be relied on: those that were not read, that look restored or empty, and that have
  /// rows that can't be read.
  func trust(
    after instances: InstanceExamination, _ readings: [UInt64: CellReading],
    withShadows: Set<UInt64>, hostless: [UInt64: Int]
  ) -> CellTrust {
    let cells = instances.cells
    var unread: [UInt64: String] = [:]
    for number in cells.unread {
      unread[number] = cells.cells[number]?.failure ?? "its UUID is none"
    }
    var doubts: [UInt64: String] = [:]
    for (number, reading) in readings where unread[number] == nil {
      guard let cell = cells.cells[number] else { continue }
      if !notRestored.contains(cell.id) {
        doubts[number] = doubt(
          reading, instances, number, hasShadows: withShadows.contains(number),
          lostHosts: hostless[number]
        ).map {
          "\($0): restore what it lacks, or give --not-restored \(cell.id) if it is whole"
        }
      }
      if doubts[number] == nil, let count = instances.malformed[number] {
        doubts[number] =
          "\(count) of its rows have no UUID that can be read: mend them (malformed_uuid), and run "
          + "doctor again"
      }
    }
    return CellTrust(unread: unread, doubts: doubts, cells: cells)
  }

  private func doubt(
    _ reading: CellReading, _ instances: InstanceExamination, _ number: UInt64, hasShadows: Bool,
    lostHosts: Int?
  ) -> String? {
    var tally = instances.tallies[number] ?? CellTally()
    tally.rows = reading.rowCount
    tally.newest = reading.newest
    // Rows without times are of no time, and show nothing.
    if tally.newest == nil, tally.rows > 0 { tally.newestMapped = nil }
    let known = CellDoubt(
      tally, isUnknown: false, rowsBefore: nil, tolerance: ScanSettings().clockTolerance
    ) {
      guard hasShadows else { return nil }
      let asked = reading.ask { (connection) throws(CellError) in
        let archive = try connection.archiveSummary()
        return Archive(rows: archive.rows, newest: archive.newest)
      }
      // What can't be read clears no doubt.
      return reading.answer(asked) { _ in Archive(rows: 0, newest: nil) }
        .map { ($0.rows, $0.newest) }
    }
    if let known { return "it looks restored or empty: \(known)" }
    if let lostHosts, tally.rows == 0 {
      return
        "it looks empty: it has neither instances nor hosts, and \(lostHosts) hosts are mapped to it"
    }
    let missing = instances.missing[number] ?? 0
    if missing > Self.missing(among: tally.mapped) {
      return
        "it looks restored: it has no row of \(missing) instances that are mapped to it and weren't "
        + "queued for delete"
    }
    return nil
  }

  /// So many mappings of a cell may lack their rows by mistakes of long ago: a few, or 1 %, and at most
  /// 100.
  private static func missing(among mapped: UInt64) -> UInt64 { max(3, min(100, mapped / 100)) }
}
