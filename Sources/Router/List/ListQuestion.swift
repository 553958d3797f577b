internal import Cells
internal import Journal
internal import Projections

/// Which cells a list is about, and what the map can say of it.
struct ListQuestion {
  /// The cells in question, by UUID.
  let targets: [CellTarget]
  /// Whether instances without a cell are.
  let includesUnscheduled: Bool
  /// Whether the map can tell which instances the filter means.
  let isJudged: Bool
  /// Whether the map has what the list is sorted by.
  let isOrderKnown: Bool
  private let filter: InstanceFilter
  private let map: MapSnapshot
  /// The owners in question, as the map has them.
  private let owner: OwnerFilter

  init(_ request: InstanceListRequest, in map: MapSnapshot, owners: OwnerKeys?) {
    self.map = map
    filter = request.filter
    isOrderKnown = request.order.isKnown(toMapWith: owners)
    let (project, user) = (filter.project, filter.user)
    // Keys that can't be read leave every owner unknown.
    owner =
      (try? owners?.filter(project: project, user: user))
      ?? OwnerFilter(project: project, user: user)
    isJudged = filter.isKnownToMap && filter.instance == nil
    switch request.scope {
    case .everything:
      let asksAll = !request.asksOnlyCellsOfProject || filter.project == nil
      let cells = asksAll ? nil : map.cells(ofProjectOf: owner)
      targets = map.cells.all.filter { target in
        cells?.contains(target.id) ?? true || target.row.record.database == nil
      }
      includesUnscheduled = true
    case .cell(let id):
      targets = map.cells.target(id).map { [$0] } ?? []
      includesUnscheduled = false
    case .withoutCell:
      targets = []
      includesUnscheduled = true
    }
  }

  /// Why the map can't say anything; instances without a cell are then not known.
  var mapError: ProjectionError? {
    guard includesUnscheduled, case .unusable(let error) = map.index else { return nil }
    return error
  }

  /// The instances of a cell, or of none, that the list is about, as far as the map can judge.
  func query(for cell: CellID?) -> MapInstanceQuery {
    var query = MapInstanceQuery(cell: cell)
    query.owner = owner
    query.includesQueued = filter.deletion != .live
    return query
  }

  /// How many of the instances of a cell that doesn't answer, or of none, the map keeps off the
  /// list because it can't judge the filter, or doesn't know whose they are; nil if it can't be read.
  func unlisted(in cell: CellID?) -> Int? {
    let ofUnknownOwner =
      filter.project == nil && filter.user == nil
      ? 0 : try? map.count(query(for: cell), .unknown)
    if isJudged { return ofUnknownOwner }
    // Without a cell there is no host, and nothing that could be deleted.
    if cell == nil, filter.host != nil || filter.deletion == .deleted { return 0 }
    guard let ofUnknownOwner, let others = try? map.count(query(for: cell), .yes) else {
      return nil
    }
    return others + ofUnknownOwner
  }
}
