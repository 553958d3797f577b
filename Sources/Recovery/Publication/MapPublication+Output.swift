internal import Cells
internal import Journal

extension MapPublication {
  /// Counts changes, and writes them where the run's output is.
  func put(_ changes: [RowChange], _ run: inout PublicationRun) throws(PublicationError) {
    guard !changes.isEmpty else { return }
    switch run.output {
    case .count: for change in changes { run.plan.count(change) }
    case .script(let script):
      try script.append(changes)
      for change in changes { run.plan.count(change) }
    case .database:
      beforeWriting()
      let size = options.isNovaStopped ? Self.batchRows : Self.batchRowsBesideNova
      for start in stride(from: 0, to: changes.count, by: size) {
        try write(Array(changes[start...].prefix(size)), &run)
      }
    }
  }

  /// Before a table's first row: its own numbers keep away from those that are written.
  func reserve(_ table: PublishedTable, _ run: inout PublicationRun) throws(PublicationError) {
    guard let number = run.reservation(of: table) else { return }
    switch run.output {
    case .count: break
    case .script(let script): try script.reserve(table, upTo: number)
    case .database: try target.reserve(table, upTo: number)
    }
  }

  private func write(
    _ batch: [RowChange], _ run: inout PublicationRun
  ) throws(PublicationError) {
    var passedOver: [RowChange] = []
    try attempt(batch, &run, &passedOver)
    // A number may have been given to another row since; any other one does.
    let added = passedOver.filter {
      $0.seen == nil && ($0.table == .hosts || $0.table == .instances)
    }
    guard let table = added.first?.table else { return note(passedOver, &run) }
    let present = try target.present(added.map(\.key), in: table)
    var again: [RowChange] = []
    for var change in added where !present.contains(change.key) {
      change.row.number = nil
      again.append(change)
    }
    let retried = Set(again.map(\.key))
    passedOver.removeAll { retried.contains($0.key) }
    try attempt(again, &run, &passedOver)
    note(passedOver, &run)
  }

  private func note(_ changes: [RowChange], _ run: inout PublicationRun) {
    for change in changes {
      if change.table == .keyPairs {
        // Its column may take names for one that differ by more than case.
        run.plan.keyPairs.same += 1
        continue
      }
      run.plan[change.table].left += 1
      run.plan.note(
        .overtaken, change.table, change.key,
        "the database had something else by the time it was written")
    }
  }

  /// Writes rows in one transaction; if the database refuses what one of them holds, each in its own.
  private func attempt(
    _ batch: [RowChange], _ run: inout PublicationRun, _ passedOver: inout [RowChange]
  ) throws(PublicationError) {
    guard !batch.isEmpty else { return }
    do throws(DatabaseError) {
      let written = try target.write(batch, at: .now)
      for (change, isWritten) in zip(batch, written) {
        if isWritten { run.plan.count(change) } else { passedOver.append(change) }
      }
    } catch {
      guard error.isOfOneRow else { throw target.unwritable(error) }
      guard batch.count == 1 else {
        for change in batch { try attempt([change], &run, &passedOver) }
        return
      }
      run.plan[batch[0].table].left += 1
      run.plan.note(
        .unpublishable, batch[0].table, batch[0].key, "the database refuses it: \(error)")
    }
  }
}
