internal import Journal
internal import Projections

/// The rules for compute hosts: from a change and the map to the events it takes.
struct HostRules<Map: MapLookup> {
  let map: RuleMap<Map>

  func map(_ name: ByteText, to record: HostRecord) throws(RegistryError) -> [Event] {
    do throws(Refusal) { try NameRules.checkHost(name) } catch { throw .refused(error) }
    let cell = try cell(record.cell)
    if let row = try map.host(name) {
      guard row.record.cell == record.cell else {
        throw .refused(.hostElsewhere(name, cell: row.record.cell))
      }
      return []
    }
    guard !cell.isBeingRemoved else { throw .refused(.cellBeingRemoved(record.cell)) }
    return [.host(name, .mapped(record))]
  }

  /// A cell that may hold hosts.
  private func cell(_ id: CellID) throws(RegistryError) -> CellRecord {
    guard id != .cell0 else {
      throw .refused(.cell0("holds instances that never got a host; it can't hold hosts"))
    }
    guard let row = try map.cell(id) else { throw .refused(.unknownCell(id)) }
    return row.record
  }

  func unmap(_ name: ByteText) throws(RegistryError) -> [Event] {
    guard let row = try map.host(name) else { throw .refused(.unknownHost(name)) }
    return [.host(name, .unmapped(row.record))]
  }

  /// The events that make the map hold what was observed.
  func take(_ name: ByteText, _ record: HostRecord?) throws(RegistryError) -> [Event] {
    let row = try map.host(name)
    guard let record else { return row.map { [.host(name, .unmapped($0.record))] } ?? [] }
    guard let before = row?.record else { return try map(name, to: record) }
    if before.cell != record.cell {
      guard try !cell(record.cell).isBeingRemoved else {
        throw .refused(.cellBeingRemoved(record.cell))
      }
      return [.host(name, .unmapped(before)), .host(name, .mapped(record))]
    }
    guard before.row != record.row else { return [] }
    return [.host(name, .rowRecorded(from: before.row, to: record.row))]
  }
}
