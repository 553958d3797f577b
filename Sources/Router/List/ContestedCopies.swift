internal import Journal
internal import Projections

/// Tells the copies of instances that two cells have from the instances.
///
/// Where a conflict was found the map's word counts: an operator's decision, or the mapping of before. What
/// the map has of an instance in no conflict may be older than what a cell says.
struct ContestedCopies {
  private let map: MapSnapshot
  /// Nearly every map has no conflict, and then no row is looked up.
  private let isAny: Bool

  init(in map: MapSnapshot) {
    self.map = map
    isAny = (try? map.hasConflicts()) ?? false
  }

  /// Whether an instance that a cell has is, by the map, another cell's.
  func isElsewhere(_ id: InstanceID, than cell: CellID) -> Bool {
    guard isAny, (try? map.conflict(of: id)) != nil else { return false }
    return home(of: id).map { $0 != cell } ?? false
  }

  /// Whether the cell is the one that the map names.
  func isNamed(_ cell: CellID?, for id: InstanceID) -> Bool {
    home(of: id).map { $0 == cell } ?? false
  }

  private func home(of id: InstanceID) -> CellID? {
    guard let row = try? map.row(of: id) else { return nil }
    return row.record.cell
  }
}
