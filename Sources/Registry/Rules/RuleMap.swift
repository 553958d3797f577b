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

  func check(_ condition: Guard) throws(RegistryError) {
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
