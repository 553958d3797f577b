public import Journal

extension PastModel {
  /// The parts of a row as text, read from its record alone.
  public static func state(_ row: EntityRow?) -> State? {
    switch row {
    case nil: nil
    case .cell(let row)?: state(row.record)
    case .host(let row)?: ["cell": "\(row.record.cell)"]
    case .instance(let row)?: state(row.record)
    }
  }

  private static func state(_ record: CellRecord) -> State {
    var state = [
      "coverage": record.isCovered ? "complete" : "incomplete",
      "being_removed": "\(record.isBeingRemoved)",
    ]
    state["cell_name"] = record.name?.string
    state["database"] = record.database.map(text)
    state["queue"] = record.queue.map(text)
    state["disabled"] = record.disabled.map { "\($0)" }
    state["row"] = record.row.number.map { "\($0)" }
    return state
  }

  private static func text(_ address: SealedAddress) -> String {
    "\(address.publicForm.string)#\(String(decoding: address.sealed.dropFirst(28), as: UTF8.self))"
  }

  private static func state(_ record: InstanceRecord) -> State {
    var state: State = [:]
    state["cell"] = record.cell?.description
    state["project"] = record.owner.project?.clearText?.string
    state["user"] = record.owner.user?.clearText?.string
    state["queued_for_delete"] = record.isQueuedForDelete.map { "\($0)" }
    state["last_known_host"] = record.lastSeen?.host.string
    state["last_known_host_at"] = record.lastSeen?.at.description
    state["row"] = record.row.number.map { "\($0)" }
    return state
  }

  /// For each part of a thing the entry that made it what it is after an entry; parts that are not
  /// there are under their names too.
  public func origins(_ entity: EntityKey, at index: UInt64, _ names: [String]) -> [String: UInt64]
  {
    var origins: [String: UInt64] = [:]
    var before: State?
    for step in lives[entity] ?? [] where step.index <= index {
      for name in names where before == nil || before?[name] != step.state?[name] {
        origins[name] = step.index
      }
      before = step.state
      if before == nil { origins = [:] }
    }
    return origins
  }

  /// The parts that a thing's record has, whether or not they are there.
  public static func parts(of entity: EntityKey) -> [String] {
    let own: [String] =
      switch entity {
      case .store: []
      case .cell:
        ["cell_name", "database", "queue", "options", "disabled", "being_removed", "coverage"]
      case .host: ["cell"]
      case .instance:
        ["cell", "project", "user", "queued_for_delete", "last_known_host", "last_known_host_at"]
      }
    return own + ["row", "created_at"]
  }

  /// Things that differ between two entries, and how many were touched and don't.
  public func difference(
    from first: UInt64, to last: UInt64
  ) -> (changed: [EntityKey: [UInt64]], unchanged: Int) {
    var changed: [EntityKey: [UInt64]] = [:]
    var unchanged = 0
    let touched = Set(drafts[Int(first)..<Int(last)].map(\.event.entity))
    for entity in touched where entity != .store {
      let between = (lives[entity] ?? []).filter { $0.index > first && $0.index <= last }.map(
        \.index
      )
      .filter { index in
        if case .conflict = drafts[Int(index) - 1].event { false } else { true }
      }
      guard !between.isEmpty else { continue }
      if state(entity, at: first) == state(entity, at: last) {
        unchanged += 1
      } else {
        changed[entity] = between
      }
    }
    return (changed, unchanged)
  }

  /// The last entry whose order time is not later.
  public func index(at time: Timestamp) -> UInt64? {
    orderedAt.lastIndex { $0 <= time }.map { UInt64($0) + 1 }
  }
}
