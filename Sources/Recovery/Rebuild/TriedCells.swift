internal import Cells
internal import Journal
internal import Registry
internal import Router

/// Cells that a rebuild which only looks was given: they are read at the addresses that they would get.
enum TriedCells {
  /// The cells to be read, by UUID: those of the map, and in place of them or beside them those that
  /// were given.
  static func targets(
    _ given: [Observation], beside known: [CellTarget], _ router: CellRouter
  ) -> [CellTarget] {
    var targets = Dictionary(known.map { ($0.id, $0) }, uniquingKeysWith: { first, _ in first })
    for observation in given {
      guard case .cell(let id, let draft?) = observation.state,
        let database = draft.addresses.database
      else { continue }
      var row = targets[id]?.row ?? CellRow(record: CellRecord(name: draft.name), changedAt: 0)
      row.record.name = draft.name
      // Nothing is sealed: no key is made where nothing is written.
      row.record.database = SealedAddress(
        publicForm: database.publicForm, key: KeyID(.zero), sealed: [])
      targets[id] = router.target(id, row, trying: database.original)
    }
    return targets.values.sorted { $0.id < $1.id }
  }
}
