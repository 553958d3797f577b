internal import Journal
internal import Projections

/// The map as the rules ask it: what isn't there is refused, and a damaged index is an error.
struct RuleMap<Map: MapLookup> {
  let map: Map

  func cell(_ id: CellID) throws(RegistryError) -> CellRow? {
    do throws(ProjectionError) { return try map.cell(id) } catch { throw .index(error) }
  }

  func cells() throws(RegistryError) -> [CellID: CellRow] {
    do throws(ProjectionError) { return try map.allCells() } catch { throw .index(error) }
  }

  func host(_ name: ByteText) throws(RegistryError) -> HostRow? {
    do throws(ProjectionError) { return try map.host(name) } catch { throw .index(error) }
  }

  func instance(_ id: InstanceID) throws(RegistryError) -> InstanceRow? {
    do throws(ProjectionError) { return try map.instance(id) } catch { throw .index(error) }
  }

  func request(_ id: RequestID) throws(RegistryError) -> RequestRow? {
    do throws(ProjectionError) { return try map.request(id) } catch { throw .index(error) }
  }

  func conflict(of entity: EntityKey) throws(RegistryError) -> ConflictRow? {
    do throws(ProjectionError) { return try map.conflict(of: entity) } catch {
      throw .index(error)
    }
  }

  /// The last entry about a thing, whether it is there or gone; nil if there never was one.
  func lastEntry(of entity: EntityKey) throws(RegistryError) -> (isThere: Bool, index: UInt64)? {
    let there: UInt64? =
      switch entity {
      case .cell(let id): try cell(id)?.changedAt
      case .host(let name): try host(name)?.changedAt
      case .instance(let id): try instance(id)?.changedAt
      case .store: nil
      }
    if let there { return (true, there) }
    do throws(ProjectionError) {
      return try map.departure(of: entity).map { (false, $0) }
    } catch {
      throw .index(error)
    }
  }

  /// - Parameter positions: The positions that a guard may name.
  func check(_ condition: Guard, _ positions: JournalPositions) throws(RegistryError) {
    if case .unchanged(let since) = condition.condition { try positions.check(since) }
    let last = try lastEntry(of: condition.entity)
    let holds =
      switch condition.condition {
      case .absent: last?.isThere != true
      case .exists: last?.isThere == true
      case .unchanged(let since): last.map { $0.isThere && $0.index <= since.index } ?? false
      }
    guard holds else { throw .refused(.guardFailed(condition, entry: last?.index ?? 0)) }
  }
}

/// The positions of a journal up to its head, as far as a decision rests on them.
struct JournalPositions {
  let head: Position
  /// The position of the entry with an index up to the head.
  let entry: (UInt64) throws(RegistryError) -> Position?

  /// Throws unless there is an entry at that very position: an index alone doesn't tell one history
  /// from another that grew over it.
  func check(_ position: Position) throws(RegistryError) {
    guard position.index >= 1, position.index <= head.index else {
      throw .refused(.notAPosition(position, entry: nil, head: head))
    }
    let found = try entry(position.index)
    guard found == position else {
      throw .refused(.notAPosition(position, entry: found, head: head))
    }
  }
}
