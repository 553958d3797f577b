import Journal
import Projections
import Registry

/// The map as dictionaries, with the rules once more in their plainest form: what random histories
/// are compared with. It shares no code with the rules or the folds.
struct ReferenceMap {
  struct Cell: Equatable {
    var name: ByteText?
    var isDisabled = false
    var isBeingRemoved = false
    var isCovered = false
  }

  struct Instance: Equatable {
    var cell: CellID?
    var owner: InstanceOwner
    var isQueued = false
    var seen: HostSighting?
  }

  enum Answer { case refused, nothing, entries(Int) }

  var cells: [CellID: Cell] = [.cell0: Cell(name: "cell0")]
  var hosts: [ByteText: CellID] = [:]
  var instances: [InstanceID: Instance] = [:]
  /// The first and last entry of each accepted request.
  var requests: [RequestID: ClosedRange<UInt64>] = [:]

  mutating func apply(_ change: Change) -> Answer {
    switch change {
    case .addCell(let id?, let draft):
      guard cells[id] == nil, isFree(draft.name, for: id) else { return .refused }
      cells[id] = Cell(name: draft.name)
    case .renameCell(let id, let name):
      guard let cell = cells[id] else { return .refused }
      if cell.name == name { return .nothing }
      guard isFree(name, for: id) else { return .refused }
      cells[id]?.name = name
    case .disableCell(let id):
      guard let cell = cells[id], id != .cell0 else { return .refused }
      if cell.isDisabled { return .nothing }
      cells[id]?.isDisabled = true
    case .enableCell(let id, force: true):
      guard let cell = cells[id], !cell.isBeingRemoved else { return .refused }
      if !cell.isDisabled { return .nothing }
      cells[id]?.isDisabled = false
    case .beginRemovingCell(let id):
      guard let cell = cells[id], id != .cell0 else { return .refused }
      if cell.isBeingRemoved { return .nothing }
      cells[id]?.isBeingRemoved = true
      cells[id]?.isDisabled = true
    case .removeCell(let id):
      guard cells[id] != nil, id != .cell0, !hosts.values.contains(id),
        !instances.values.contains(where: { $0.cell == id })
      else { return .refused }
      cells[id] = nil
    case .setCoverage(let id, let isCovered):
      guard let cell = cells[id] else { return .refused }
      if cell.isCovered == isCovered { return .nothing }
      cells[id]?.isCovered = isCovered
    case .mapHost(let name, let id):
      guard let cell = cells[id], id != .cell0 else { return .refused }
      if let there = hosts[name] { return there == id ? .nothing : .refused }
      if cell.isBeingRemoved { return .refused }
      hosts[name] = id
    case .unmapHost(let name):
      if hosts.removeValue(forKey: name) == nil { return .refused }
    default: return applyToInstances(change)
    }
    return .entries(1)
  }

  private func isFree(_ name: ByteText?, for id: CellID) -> Bool {
    name == nil || !cells.contains { $0.key != id && $0.value.name == name }
  }

  private mutating func applyToInstances(_ change: Change) -> Answer {
    switch change {
    case .mapInstance(let id, let draft):
      let before = instances[id]
      if let before {
        if before.owner != draft.owner { return .refused }
        if draft.cell == nil || before.cell == draft.cell { return .nothing }
        if before.cell != nil { return .refused }
      }
      if let cell = draft.cell, !takesFirst(cell, isTest: draft.isTest) { return .refused }
      instances[id] = before ?? Instance(owner: draft.owner)
      instances[id]?.cell = draft.cell
    case .remapInstance(let id, let cell):
      guard let before = instances[id] else { return .refused }
      if before.cell == cell { return .nothing }
      if let cell, !takesFirst(cell, isTest: before.cell != nil) { return .refused }
      instances[id]?.cell = cell
    case .setOwner(let id, let owner):
      guard let before = instances[id] else { return .refused }
      if before.owner == owner { return .nothing }
      instances[id]?.owner = owner
    case .markForDeletion(let id, let mark):
      guard let before = instances[id] else { return .refused }
      if before.isQueued == mark { return .nothing }
      instances[id]?.isQueued = mark
    case .unmapInstance(let id):
      if instances.removeValue(forKey: id) == nil { return .refused }
    case .recordSighting(let id, let sighting):
      guard instances[id] != nil else { return .refused }
      instances[id]?.seen = sighting
    case .take(let observations): return take(observations)
    default: preconditionFailure("the histories don't have it")
    }
    return .entries(1)
  }

  private func takesFirst(_ id: CellID, isTest: Bool) -> Bool {
    guard let cell = cells[id], !cell.isBeingRemoved else { return false }
    return isTest || !cell.isDisabled
  }

  /// Observed instances only: all of them or none.
  private mutating func take(_ observations: [Observation]) -> Answer {
    let before = instances
    var count = 0
    for observation in observations {
      guard case .instance(let id, let record) = observation.state else {
        preconditionFailure("the histories observe instances")
      }
      guard let record else {
        if instances.removeValue(forKey: id) != nil { count += 1 }
        continue
      }
      let old = instances[id]
      if let cell = record.cell, old?.cell != cell, !takesFirst(cell, isTest: true) {
        instances = before
        return .refused
      }
      var new = old ?? Instance(owner: record.owner)
      (new.cell, new.owner) = (record.cell, record.owner)
      new.isQueued = record.isQueuedForDelete ?? false
      if let old {
        count += old.cell != new.cell ? 1 : 0
        count += old.owner != new.owner ? 1 : 0
        count += old.isQueued != new.isQueued ? 1 : 0
      } else {
        count += 1
      }
      instances[id] = new
    }
    return count == 0 ? .nothing : .entries(count)
  }
}
