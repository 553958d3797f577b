internal import Journal
internal import Projections
internal import Registry

/// One walk through what a scan found, beside the map, in the order of the instances' UUIDs.
struct MapWalk {
  let file: ScanFile
  let index: IndexReader
  let owners: OwnerKeys
  let rules: FindingRules
  /// Instances of which a cell has a row that can't be read.
  let unreadable: Set<InstanceID>
  /// What makes the digests of the rows; nil where nobody wants them.
  let records: RebuildRecords?

  /// Writes what differs into the staging file.
  func run(
    _ report: inout ReconcileReport, tallies: inout [CellID: CellTally],
    progress: (UInt64) -> Void
  ) throws(RebuildError) {
    var state = State(report: report, tallies: tallies)
    var cursor = MapCursor(over: index, owners: owners)
    var failure: RebuildError?
    var done: UInt64 = 0
    do throws(ProjectionError) {
      let digests = try file.forEachInstance(digestedBy: records?.keys) {
        copies throws(ProjectionError) in
        guard failure == nil else { return }
        for copy in copies.rows { state.tallies[copy.cell, default: CellTally()].add(copy) }
        do throws(RebuildError) {
          let id = copies.id
          let before = try row(of: id, &cursor, &state)
          if let before { state.add(before) }
          try take(id, copies.rows, before, &state)
        } catch {
          failure = error
        }
        done += 1
        if done % 1000 == 0 { progress(done) }
      }
      for (cell, digest) in digests { state.tallies[cell]?.digest = digest }
    } catch {
      throw .staging("\(error)")
    }
    if let failure { throw failure }
    try cursor.finish { (item) throws(RebuildError) in try pass(item, &state) }
    report = state.report
    tallies = state.tallies
  }

  private struct State {
    var report: ReconcileReport
    var tallies: [CellID: CellTally]

    mutating func add(_ row: InstanceRow) {
      if row.record.owner.isShredded { report.ownersLeft += 1 }
      if let cell = row.record.cell { tallies[cell, default: CellTally()].add(row) }
    }
  }

  private func row(
    of id: InstanceID, _ cursor: inout MapCursor, _ state: inout State
  ) throws(RebuildError) -> InstanceRow? {
    try cursor.row(of: id) { (item) throws(RebuildError) in try pass(item, &state) }
  }

  /// An instance of the map that no cell has.
  private func pass(_ item: InstanceItem, _ state: inout State) throws(RebuildError) {
    state.add(item.row)
    try take(item.id, [], item.row, &state)
  }

  private func take(
    _ id: InstanceID, _ copies: ArraySlice<StagedInstance>, _ before: InstanceRow?,
    _ state: inout State
  ) throws(RebuildError) {
    if unreadable.contains(id) {
      state.report.pending += 1
      return
    }
    let answer = try rules.answer(
      on: id, copies, before,
      moves: { () throws(RebuildError) in
        do throws(ProjectionError) { return try file.moves(of: id).map { ($0.cell, $0.1) } } catch {
          throw .staging("\(error)")
        }
      },
      known: { () throws(RebuildError) in
        do throws(ProjectionError) {
          return try index.conflict(of: .instance(id))?.record
        } catch {
          throw .registry(.index(error))
        }
      })
    var findings: [Finding] = []
    state.report.take(answer, &findings)
    guard !findings.isEmpty else { return }
    do throws(ProjectionError) { try file.add(findings, areBelieved: false) } catch {
      throw .staging("\(error)")
    }
  }
}
