internal import Journal
internal import Projections
internal import Registry

extension MapAdoption {
  /// The cells of which the map isn't told as much as it will be, or as it says.
  func findCoverage(
    _ rows: AdoptionRows, _ index: IndexReader, _ plan: inout AdoptionPlan
  ) throws(AdoptionError) {
    let cells = try indexed { () throws(ProjectionError) in try index.allCells() }
    for id in rows.namedCells {
      let isWhole = plan.isWhole(id)
      // One that isn't there and isn't added was removed meanwhile, or can't be held.
      guard let row = cells[id] else {
        if isWhole, plan.differingCells.contains(id) { plan.coverage[id] = true }
        continue
      }
      if row.record.isCovered != isWhole { plan.coverage[id] = isWhole }
    }
  }

  /// - Returns: The cells where that took an entry.
  func setCoverage(
    _ plan: AdoptionPlan, _ registry: MapRegistry
  ) throws(AdoptionError) -> Set<CellID> {
    var changed: Set<CellID> = []
    for (cell, isCovered) in plan.coverage.sorted(by: { $0.key < $1.key }) {
      do throws(AdoptionError) {
        let outcome = try submit(
          .setCoverage(cell, isCovered), range(.cell, cell.description, cell.description),
          registry)
        if outcome.changed > 0 { changed.insert(cell) }
      } catch .registry(.refused(.unknownCell)) {
        continue  // Somebody has removed it meanwhile.
      }
    }
    return changed
  }
}
