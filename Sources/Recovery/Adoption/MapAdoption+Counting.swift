internal import Journal
internal import Projections
internal import Registry

extension MapAdoption {
  /// Those of a chunk's cells that the map can hold beside each other; all of what isn't cells.
  ///
  /// A cell that can't have its new database keeps the one that it has, and may so stand in the way of
  /// another.
  func holdable(
    _ chunk: Chunk, _ index: IndexReader, _ head: Position
  ) throws(AdoptionError) -> [Observation] {
    guard chunk.range.kind == .cell else { return chunk.observations }
    var held = chunk.observations
    while true {
      let preview = ChangePreview(map: LiveMap(over: index), head: head.index, keys: keys)
      var scratch = AdoptionPlan()
      var taken: [Observation] = []
      for observation in held {
        do throws(RegistryError) {
          _ = try events(observation, in: chunk, beside: held, preview, &scratch)
          taken.append(observation)
        } catch .refused {
          continue
        } catch {
          throw .registry(error)
        }
      }
      if taken.count == held.count { return held }
      held = taken
    }
  }

  func count(
    _ chunk: Chunk, beside held: [Observation], _ preview: ChangePreview,
    _ plan: inout AdoptionPlan
  ) throws(AdoptionError) {
    for observation in chunk.observations {
      do throws(RegistryError) {
        plan.count(
          observation.state, try events(observation, in: chunk, beside: held, preview, &plan))
      } catch .refused(let refusal) {
        let row = observation.evidence.map { "\($0.table) row \($0.rowKey): " } ?? ""
        plan.note(row + refusal.description, lacking: observation.state.lacking)
      } catch {
        throw .registry(error)
      }
    }
  }

  /// What an observation takes; a cell that has the database of one which the API database has no more
  /// takes that one's place.
  private func events(
    _ observation: Observation, in chunk: Chunk, beside held: [Observation],
    _ preview: ChangePreview, _ plan: inout AdoptionPlan
  ) throws(RegistryError) -> [Event]? {
    do throws(RegistryError) {
      return try preview.events(observation, in: held)
    } catch .refused(.databaseTaken(let database, let old)) {
      guard case .cell(let new, _?) = observation.state, old != .cell0,
        !chunk.namedCells.contains(old)
      else { throw .refused(.databaseTaken(database, by: old)) }
      plan.replacedCells[old] = new
      try preview.assume(.beginRemovingCell(old))
      return try preview.events(observation, in: held)
    }
  }
}
