internal import Journal
internal import Projections
internal import Registry

extension MapAdoption {
  /// Calls `body` with the hosts and instances of the map that the API database has not.
  func forEachSurplus(
    _ index: IndexReader, _ body: (Chunk) throws(AdoptionError) -> Void
  ) throws(AdoptionError) {
    let hosts = try indexed { () throws(ProjectionError) in try index.hosts().map(\.name) }
    var missing: [ByteText] = []
    for host in hosts where try !source.hasHost(host) { missing.append(host) }
    for start in stride(from: 0, to: missing.count, by: MapAdoption.chunkRows) {
      let part = missing[start...].prefix(MapAdoption.chunkRows)
      guard let first = part.first, let last = part.last else { break }
      try body(
        Chunk(
          observations: part.map {
            Observation(.host($0, nil), evidence: nil, basis: options.basis)
          }, range: range(.host, first.string, last.string)))
    }
    try forEachSurplusInstance(index, body)
  }

  private func forEachSurplusInstance(
    _ index: IndexReader, _ body: (Chunk) throws(AdoptionError) -> Void
  ) throws(AdoptionError) {
    var after: InstanceID?
    while true {
      let page = try indexed { () throws(ProjectionError) in
        try index.instances(after: after, limit: MapAdoption.chunkRows)
      }
      guard let first = page.first, let last = page.last else { return }
      var missing: [Observation] = []
      let known = try source.known(among: page.map(\.id))
      for item in page where !known.contains(item.id) {
        missing.append(
          Observation(.instance(item.id, nil), evidence: nil, basis: options.basis))
      }
      if !missing.isEmpty {
        try body(
          Chunk(
            observations: missing,
            range: range(.instance, first.id.description, last.id.description)))
      }
      after = last.id
    }
  }

  func countSurplus(
    _ observation: Observation, _ preview: ChangePreview, _ plan: inout AdoptionPlan
  ) throws(AdoptionError) {
    do throws(RegistryError) {
      switch (try preview.events(observation), observation.state) {
      case (nil, _): plan.overtaken += 1
      case (_, .host(let name, _)): plan.countSurplus(.host, name.string)
      case (_, .instance(let id, _)): plan.countSurplus(.instance, id.description)
      case (_, .cell), (_, .conflict): preconditionFailure("only hosts and instances are counted")
      }
    } catch {
      throw .registry(error)
    }
  }

  /// The cells of the map that the API database has not; cell0 is always there, and one that was
  /// added or changed since the basis stays.
  func findSurplusCells(
    _ rows: AdoptionRows, _ index: IndexReader, _ plan: inout AdoptionPlan
  ) throws(AdoptionError) {
    let cells = try indexed { () throws(ProjectionError) in try index.allCells() }
    for (id, row) in cells where id != .cell0 && !rows.namedCells.contains(id) {
      if row.changedAt > options.basis.index {
        plan.overtaken += 1
      } else {
        plan.surplusCells.append(id)
      }
    }
    plan.surplusCells.sort()
    for id in plan.surplusCells {
      plan.countSurplus(.cell, cells[id]?.record.name?.string ?? id.description)
    }
  }

  /// Marks the cells whose place others take as being removed: so the others can have their
  /// databases, and nothing new comes into the old ones while they are emptied.
  func beginReplacing(
    _ plan: AdoptionPlan, _ registry: MapRegistry
  ) throws(AdoptionError) {
    for cell in plan.replacedCells.keys.sorted() {
      try submit(
        .beginRemovingCell(cell), range(.cell, cell.description, cell.description), registry,
        guards: [Guard(.cell(cell), .unchanged(since: options.basis))])
    }
  }

  /// Takes out what the API database has not: hosts and mappings first, then the emptied cells. What
  /// someone mapped meanwhile stays, and is counted.
  func prune(
    _ plan: AdoptionPlan, _ index: IndexReader, _ registry: MapRegistry, _ done: inout Done
  ) throws(AdoptionError) {
    try forEachSurplus(index) { (chunk) throws(AdoptionError) in
      done.add(try submit(.take(chunk.observations), chunk.range, registry), chunk.range.kind)
    }
    for cell in plan.surplusCells {
      let isReplaced = plan.replacedCells[cell] != nil
      let outcome = try submit(
        .removeCell(cell), range(.cell, cell.description, cell.description), registry,
        guards: isReplaced ? [] : [Guard(.cell(cell), .unchanged(since: options.basis))])
      done.add(outcome, .cell)
    }
  }
}
