internal import Cells
internal import Journal
internal import Projections

extension CellRouter {
  /// A page of the instances of all cells, asked at once, in one order.
  ///
  /// Blocks the calling thread until the deadline at most, and a moment to put the answer together.
  /// What hinders a cell is a part of the answer: its instances come from the map, as unknown.
  ///
  /// - Throws: `token` for one that gives no page; `markerUnknown` and `markerUnreadable`; `journal`.
  public func list(
    _ request: InstanceListRequest, until deadline: ContinuousClock.Instant
  ) throws(RouterError) -> InstanceList {
    precondition(
      (1...InstanceListRequest.maximumLimit).contains(request.limit), "a page has 1 to 10,000 rows")
    let map = try follower.snapshot()
    let token = ListToken(for: request, in: follower.journal.store)
    var progress = ListProgress()
    var isFirstPage = true
    switch request.start {
    case .beginning: break
    case .after(let marker):
      progress.after = try values(of: marker, for: request.order, in: map, until: deadline)
    case .token(let text):
      do throws(ListTokenFault) { progress = try token.progress(of: text) } catch {
        throw .token(error)
      }
      isFirstPage = false
    }
    var listing = InstanceListing(
      request, from: progress, isFirstPage: isFirstPage, in: map, owners: owners,
      until: deadline)
    let list = listing.run(token)
    if let error = list.mapError { follower.note(error, in: map) }
    return list
  }

  /// Where an instance is in an order, deleted or hidden ones too.
  private func values(
    of marker: InstanceID, for order: InstanceOrder, in map: MapSnapshot,
    until deadline: ContinuousClock.Instant
  ) throws(RouterError) -> [SortValue] {
    let row = try onIndex { () throws(ProjectionError) in try map.row(of: marker) }
    // A cell that hangs has half of the time: the others are still to be asked for the page.
    let now = ContinuousClock.now
    let half = now.advanced(by: now.duration(to: deadline) / 2)
    guard let row else {
      return try values(of: marker, for: order, in: map.cells.all, until: half)
    }
    // By UUID nothing of its row is needed.
    if order.isByUUID { return [.uuid(marker.uuid)] }
    if let target = row.record.cell.flatMap({ map.cells.target($0) }) {
      do throws(RouterError) {
        return try values(of: marker, for: order, in: [target], until: half)
      } catch .markerUnreadable where order.isKnown(toMapWith: owners) {}
    }
    guard order.isKnown(toMapWith: owners) else { throw .markerUnreadable(marker, nil) }
    return order.keys.map { key in
      switch key.column {
      case .uuid: .uuid(marker.uuid)
      case .createdAt: row.record.row.createdAt.map { .time($0) } ?? .null
      default: row.record.owner.project?.clearText.map { .text($0) } ?? .null
      }
    }
  }

  private func values(
    of marker: InstanceID, for order: InstanceOrder, in targets: [CellTarget],
    until deadline: ContinuousClock.Instant
  ) throws(RouterError) -> [SortValue] {
    var filter = InstanceFilter()
    filter.instance = marker
    filter.deletion = .any
    filter.includesHidden = true
    let query = InstancePageQuery(order: order, filter: filter, limit: 1)
    let answers = fanOut(over: targets, until: deadline) { target throws(CellUnavailable) in
      try target.ask(until: deadline) { lent throws(CellError) in
        try lent.connection.page(query)
      }
    }
    var failure: CellUnavailable?
    var best: InstancePageRow?
    for answer in answers {
      switch answer {
      case .success(let page):
        guard let row = page.first else { continue }
        // Of the two copies of a move between cells, the visible one.
        if best?.instance.placement.isHidden ?? true { best = row }
      case .failure(let error): failure = error
      }
    }
    if let best { return best.values }
    if let failure { throw .markerUnreadable(marker, failure) }
    throw .markerUnknown(marker)
  }
}
