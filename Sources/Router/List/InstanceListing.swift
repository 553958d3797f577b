internal import Cells
internal import Journal
internal import Projections

/// One page of a list, while it is made: on the caller's thread, with the cells on theirs.
///
/// Two parts: what is known, merged from all cells and from the map; and then, where the map can't
/// sort by what was asked, the instances that only the map knows, by UUID.
struct InstanceListing {
  private let request: InstanceListRequest
  private let map: MapSnapshot
  private let question: ListQuestion
  private let ask: CellAsking
  /// How many rows a cell, or the map in its place, is asked for at a time.
  private let batch: Int

  private var progress: ListProgress
  /// Where the list stood before this page, and whether no page was before it.
  private let begin: ListProgress
  private let isFirstPage: Bool

  private var live: [LiveRows] = []
  private var mapRows: [MapRows] = []
  /// What the map has of cells that are late, by their places in `live`.
  private var readAhead: [Int: MapRows] = [:]
  private var merge: ListMerge
  private var page: [ListedInstance] = []
  private var seen: Set<InstanceID> = []
  /// How many rows of the page are each cell's.
  private var rows: [CellID: Int] = [:]
  private var outcomes: [CellID: CellListing.Outcome] = [:]
  private var mapError: ProjectionError?
  private var mayRepeat = false

  init(
    _ request: InstanceListRequest, from progress: ListProgress, isFirstPage: Bool,
    in map: MapSnapshot, owners: OwnerKeys?, until deadline: ContinuousClock.Instant
  ) {
    self.request = request
    self.map = map
    self.progress = progress
    self.isFirstPage = isFirstPage
    begin = progress
    question = ListQuestion(request, in: map, owners: owners)
    batch = request.batching.size(limit: request.limit, cells: question.targets.count)
    ask = CellAsking(request, batch: batch, until: deadline)
    merge = ListMerge(by: request.order)
    page.reserveCapacity(request.limit)
    seen.reserveCapacity(request.limit)
  }

  private var wanted: Int { request.limit - page.count }

  /// Makes the page.
  mutating func run(_ token: ListToken) -> InstanceList {
    if progress.tail == nil { listKnown() } else { noteMissed() }
    if wanted > 0 { listTail() }
    let next = nextProgress().map { token.text(of: $0) }
    let batches = Dictionary(uniqueKeysWithValues: live.map { ($0.target.id, $0.batches) })
    return InstanceList(
      rows: page, next: next,
      cells: question.targets.compactMap { target in
        outcomes[target.id].map { outcome in
          CellListing(
            target: target, outcome: outcome, rows: rows[target.id, default: 0],
            batches: batches[target.id] ?? 0,
            unlisted: outcome.isAnswered ? 0 : question.unlisted(in: target.id))
        }
      },
      unlistedWithoutCell: question.includesUnscheduled ? question.unlisted(in: nil) : 0,
      mapError: mapError ?? question.mapError, mayRepeat: mayRepeat, position: map.position,
      behind: map.behind)
  }

  // MARK: What is known

  private mutating func listKnown() {
    for target in question.targets where progress.missed[target.id] == nil {
      live.append(LiveRows(of: target, after: progress.after))
    }
    ask.begin(&live, wanted: wanted)
    noteMissed()
    // The map is read while the cells are at work.
    if question.isJudged, question.isOrderKnown {
      if question.includesUnscheduled { addMapRows(newMapRows(of: nil, after: progress.after)) }
      for target in question.targets where progress.missed[target.id] == .inPlace {
        addMapRows(newMapRows(of: target, after: progress.after))
      }
    }
    for place in live.indices where live[place].hasFailed { replace(place) }
    settle()
    for place in live.indices { pushLive(place) }
    while wanted > 0, let head = merge.popFirst() {
      progress.after = head.values
      if head.source >= Self.firstMapSource {
        put(mapRows[head.source - Self.firstMapSource].takeFirst())
        pushMap(head.source - Self.firstMapSource)
      } else {
        put(live[head.source].takeFirst())
        if live[head.source].isWaiting, wanted > 0 { settle() }
        pushLive(head.source)
      }
    }
    for rows in live where outcomes[rows.target.id] == nil { outcomes[rows.target.id] = .answered }
  }

  /// Sources from here on are the map's: of equal rows, a cell's own comes first.
  private static let firstMapSource = 1 << 32

  private mutating func pushLive(_ place: Int) {
    if let values = live[place].first { return merge.add(.init(values: values, source: place)) }
    // What isn't needed any more is left to the next page.
    if live[place].hasFailed, wanted > 0, !live[place].isReplaced { replace(place) }
  }

  private mutating func pushMap(_ number: Int) {
    do throws(ProjectionError) {
      guard let values = try mapRows[number].first(batch: min(batch, wanted)) else { return }
      merge.add(.init(values: values, source: Self.firstMapSource + number))
    } catch {
      mapError = error
    }
  }

  private func newMapRows(of target: CellTarget?, after: [SortValue]?) -> MapRows {
    MapRows(of: target, question.query(for: target?.id), by: request.order, after: after, in: map)
  }

  private mutating func addMapRows(_ rows: MapRows) {
    mapRows.append(rows)
    pushMap(mapRows.count - 1)
  }

  /// Waits until each cell has a row to compare, has no more, or has failed.
  private mutating func settle() {
    while !ask.settle(&live, wanted: wanted) {
      // Those that are late may fail: what would stand in for them is read while they are waited
      // for. In any order but by UUID that is a look at each of their instances.
      guard question.isJudged, question.isOrderKnown else { continue }
      for place in live.indices where live[place].isWaiting {
        guard let (after, _) = placeInMap(of: live[place]) else { continue }
        var rows = newMapRows(of: live[place].target, after: after)
        do throws(ProjectionError) { try rows.readAhead(batch: batch) } catch { continue }
        readAhead[place] = rows
      }
    }
    // It was read for this place in the list; one that answered may fail at another.
    readAhead = readAhead.filter { place, _ in live[place].hasFailed }
  }

  /// After what the map's rows of a cell begin that fails now, and whether the list remembers that;
  /// nil if they come at its end.
  private func placeInMap(of rows: LiveRows) -> (after: [SortValue]?, isRemembered: Bool)? {
    // By UUID, whatever is missing comes after the last row, and nothing before it was left out.
    if request.order.isByUUID { return (progress.after, false) }
    guard question.isOrderKnown, isFirstPage, rows.taken == 0 else { return nil }
    return (begin.after, true)
  }

  /// Lets the map stand in for a cell that has failed.
  private mutating func replace(_ place: Int) {
    guard let failure = live[place].failure else { return }
    live[place].markReplaced()
    let target = live[place].target
    outcomes[target.id] = CellListing.Outcome(failure)
    guard question.isJudged else { return }
    guard let (after, isRemembered) = placeInMap(of: live[place]) else {
      progress.missed[target.id] = .atEnd
      return
    }
    if isRemembered { progress.missed[target.id] = .inPlace }
    addMapRows(readAhead.removeValue(forKey: place) ?? newMapRows(of: target, after: after))
  }

  private mutating func noteMissed() {
    for target in question.targets where progress.missed[target.id] != nil {
      outcomes[target.id] = .missedEarlier
    }
  }

  private mutating func put(_ row: ListedInstance) {
    // The other copy of an instance that moves between cells, or was listed before it moved.
    guard !progress.delivered.contains(row.id) else { return }
    if progress.delivered.isToldByMap(row.id) {
      guard row.isLive else { return }
      mayRepeat = true
    }
    if !seen.insert(row.id).inserted {
      // A cell knows better than the map where an instance is: it was scheduled or moved meanwhile.
      guard row.isLive, let place = page.firstIndex(where: { $0.id == row.id && !$0.isLive })
      else { return }
      if let cell = page.remove(at: place).cell { rows[cell.id, default: 0] -= 1 }
    }
    page.append(row)
    if let cell = row.cell { rows[cell.id, default: 0] += 1 }
  }

  // MARK: What only the map knows

  /// Whether anything is left for the end of the list.
  private var hasTail: Bool {
    guard question.isJudged else { return false }
    return progress.missed.values.contains(.atEnd)
      || question.includesUnscheduled && !question.isOrderKnown
  }

  private mutating func listTail() {
    guard hasTail else { return }
    let order = InstanceOrder()
    let after = progress.tail?.after.map { [SortValue.uuid($0.uuid)] }
    progress.tail = progress.tail ?? ListProgress.Tail()
    (merge, mapRows) = (ListMerge(by: order), [])
    var targets: [CellTarget?] = question.targets.filter { progress.missed[$0.id] == .atEnd }
    if question.includesUnscheduled, !question.isOrderKnown { targets.append(nil) }
    if targets.count > 0, progress.delivered.isOverfull { mayRepeat = true }
    for target in targets {
      mapRows.append(
        MapRows(of: target, question.query(for: target?.id), by: order, after: after, in: map))
      pushMap(mapRows.count - 1)
    }
    while wanted > 0, let head = merge.popFirst() {
      let row = mapRows[head.source - Self.firstMapSource].takeFirst()
      put(row)
      progress.tail?.after = row.id
      pushMap(head.source - Self.firstMapSource)
    }
  }

  // MARK: The next page

  /// How far the list has come; nil if it is at its end.
  private func nextProgress() -> ListProgress? {
    guard wanted == 0 else { return nil }
    let isMore =
      !merge.isEmpty || progress.tail == nil && (hasTail || live.contains(where: \.mayHaveMore))
    guard isMore else { return nil }
    var next = progress
    // By UUID nothing can come twice: what is after the last row was never on the list. What only the
    // map has told may come again as its cell has it.
    if !request.order.isByUUID {
      next.delivered.add(
        page.filter(\.isLive).map(\.id), toldByMap: page.filter { !$0.isLive }.map(\.id))
    }
    return next
  }
}
