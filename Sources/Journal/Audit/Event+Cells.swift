extension Event {
  /// The cells that the event names: its own; that of a host or an instance which it maps, moves or
  /// takes away; that which was scanned. An event that changes something else of an instance names
  /// none.
  public var cells: [CellID] {
    switch self {
    case .cell(let id, _): [id]
    case .host(_, .mapped(let record)), .host(_, .unmapped(let record)): [record.cell]
    case .host(_, .rowRecorded): []
    case .instance(_, .mapped(let record)), .instance(_, .unmapped(let record)):
      record.cell.map { [$0] } ?? []
    case .instance(_, .moved(let from, let to)): [from, to].compactMap(\.self)
    case .instance, .conflict: []
    case .store(.scanStarted(let scan)), .store(.scanFinished(let scan)): [scan.cell]
    case .store: []
    }
  }

  /// The projects that the event names: of an instance that it maps or takes away, or whose owner it
  /// changes.
  public var projects: [PersonalText] {
    switch self {
    case .instance(_, .mapped(let record)), .instance(_, .unmapped(let record)):
      record.owner.project.map { [$0] } ?? []
    case .instance(_, .ownerChanged(let from, let to)):
      [from.project, to.project].compactMap(\.self)
    default: []
    }
  }
}
