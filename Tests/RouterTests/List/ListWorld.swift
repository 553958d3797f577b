import Cells
import Journal
import Projections
import Router
import TestServers
import TestSupport
import Testing

/// Instances in several cells, and the same in memory: the reference that lists are compared with.
final class ListWorld {
  let store: TestStore
  let engine: CellEngine
  private(set) var cells: [ListCell] = []
  /// The cell without hosts; nil where it has no database.
  private(set) var cell0: ListCell?
  private(set) var instances: [InstanceID: Sample] = [:]
  private var down: Set<CellID> = []
  private var routers: [CellRouter] = []

  /// An instance as its cell has it, and as the map does.
  struct Sample {
    var id: InstanceID
    /// nil while it isn't scheduled.
    var cell: CellID?
    var createdAt: Timestamp?
    var updatedAt: Timestamp?
    var launchedAt: Timestamp?
    var name: String?
    var host: String?
    var project: String?
    var user = "user-1"
    /// Whether the map knows the user, too; Nova filled them in later.
    var isUserMapped = true
    var vmState: String?
    var isDeleted = false
    var isHidden = false
    /// When Nova made the mapping; nil where it wasn't read.
    var mappedAt: Timestamp?
    /// nil where the map has no such instance.
    var isMapped = true
    var mark: Bool? = false
  }

  /// - Parameter cell0: Whether the cell without hosts has a database, and an answer.
  init(
    in folder: String, cells count: Int, on engine: CellEngine, cell0 hasCell0: Bool
  ) throws {
    store = try TestStore(in: folder)
    self.engine = engine
    guard let server = engine.server else {
      if hasCell0 { cell0 = ListCell(id: .cell0, place: .file(try store.addCell0())) }
      for number in 0..<count {
        let (id, file) = try store.addCell(number + 1)
        cells.append(ListCell(id: id, place: .file(file)))
      }
      return
    }
    if hasCell0 {
      let place = try serverPlace(server)
      cell0 = ListCell(id: .cell0, place: place.place)
      try store.setCell0(at: place.address)
    }
    for number in 0..<count {
      let place = try serverPlace(server)
      let id = try store.addCell(number + 1, in: place.database, at: place.address)
      cells.append(ListCell(id: id, place: place.place))
    }
  }

  private func serverPlace(
    _ engine: ServerEngine
  ) throws -> (place: ListCell.Place, database: NovaServerDatabase, address: String) {
    let database = try SpareDatabases.take(engine)
    let proxy = try FaultProxy(to: database.server.port, .none)
    let address = try #require(database.text(port: proxy.port).exposedText())
    return (.server(database, proxy), database, address)
  }

  /// Lets go of what the cells have on servers; nobody asks them any more.
  func close() throws {
    for cell in cells + [cell0].compactMap(\.self) {
      guard case .server(let database, let proxy) = cell.place else { continue }
      proxy.stop()
      try SpareDatabases.giveBack(database)
    }
  }

  // MARK: Instances

  /// Puts instances into their cells and into the map.
  func add(_ samples: [Sample], project isProjected: Bool = true) throws {
    for cell in cells + [cell0].compactMap(\.self) {
      let rows = samples.filter { $0.cell == cell.id }
      if !rows.isEmpty { try cell.execute(Self.insertion(of: rows)) }
    }
    let events = samples.filter(\.isMapped).map { sample in
      Event.instance(sample.id, .mapped(ListWorld.record(sample)))
    }
    if !events.isEmpty { try store.append(events, project: isProjected) }
    for sample in samples { instances[sample.id] = sample }
  }

  /// Takes an instance out of its cell and out of the map.
  func remove(_ id: InstanceID) throws {
    guard let sample = instances.removeValue(forKey: id) else { return }
    if let cell = cells.first(where: { $0.id == sample.cell }) {
      try cell.execute("DELETE FROM instances WHERE uuid = '\(id)'")
    }
    if sample.isMapped {
      try store.append(.instance(id, .unmapped(ListWorld.record(sample))), project: false)
    }
  }

  private static func insertion(of samples: [Sample]) -> String {
    let rows = samples.map { "(\(values(of: $0).joined(separator: ", ")))" }
    return "INSERT INTO instances (uuid, host, vm_state, deleted, hidden, project_id, user_id, "
      + "display_name, created_at, updated_at, launched_at) VALUES "
      + rows.joined(separator: ", ") + ";"
  }

  private static func values(of sample: Sample) -> [String] {
    func text(_ value: String?) -> String { value.map { quoted($0) } ?? "NULL" }
    func time(_ value: Timestamp?) -> String {
      guard let value else { return "NULL" }
      let parts = value.description.dropLast().split(separator: "T")
      return "'\(parts[0]) \(parts[1])\(parts[1].contains(".") ? "" : ".000000")'"
    }
    return [
      "'\(sample.id)'", text(sample.host), text(sample.vmState), sample.isDeleted ? "7" : "0",
      sample.isHidden ? "true" : "NULL", text(sample.project), "'\(sample.user)'",
      text(sample.name), time(sample.createdAt), time(sample.updatedAt), time(sample.launchedAt),
    ]
  }

  private static func record(_ sample: Sample) -> InstanceRecord {
    InstanceRecord(
      cell: sample.cell,
      owner: InstanceOwner(
        project: sample.project.map { ByteText($0) },
        user: sample.isUserMapped ? ByteText(sample.user) : nil),
      isQueuedForDelete: sample.mark,
      row: NovaRow(number: nil, createdAt: sample.mappedAt))
  }

  // MARK: Outages

  /// Takes these cells away, and puts the others back.
  func setDown(_ cells: Set<CellID>) {
    // Whoever has a file open goes on reading it; the path is looked at each second.
    for router in routers {
      for target in (try? router.cells()) ?? [] { (try? target.pool())?.closeIdle() }
    }
    for cell in self.cells where down.contains(cell.id) != cells.contains(cell.id) {
      cell.setDown(cells.contains(cell.id))
    }
    down = cells
  }

  /// A router whose breakers never open, so that a cell answers as soon as it is back.
  func router(_ change: (inout CellRouter.Options) -> Void = { _ in }) throws -> CellRouter {
    var options = CellRouter.Options()
    options.pool.breaker.failures = .max
    change(&options)
    let router = try store.router(options: options)
    routers.append(router)
    return router
  }

  // MARK: The reference

  /// The whole list, by sorting everything that should be on it.
  func expected(_ request: InstanceListRequest) -> [InstanceID] {
    let filter = request.filter
    let isJudged = isJudged(filter)
    let isSorted = request.order.keys.allSatisfy {
      [.uuid, .createdAt, .project].contains($0.column)
    }
    var known: [(key: [Key], id: InstanceID)] = []
    var tail: [InstanceID] = []
    for sample in instances.values where isInScope(sample, request.scope) {
      if let cell = sample.cell, !down.contains(cell) {
        guard isListed(sample, filter) else { continue }
        known.append((request.order.keys.map { liveKey(sample, $0.column) }, sample.id))
      } else if isJudged, verdict(sample, filter) == .yes {
        if isSorted {
          known.append((request.order.keys.map { mapKey(sample, $0.column) }, sample.id))
        } else {
          tail.append(sample.id)
        }
      }
    }
    known.sort { left, right in
      for (place, key) in request.order.keys.enumerated() {
        let (one, other) = (left.key[place], right.key[place])
        if one != other { return Key.isLess(one, other) != key.isDescending }
      }
      return false
    }
    return known.map(\.id) + tail.sorted { "\($0)" < "\($1)" }
  }

  /// How many of a cell's instances, or of those without one, the map keeps off the list.
  func unlisted(in cell: CellID?, _ request: InstanceListRequest) -> Int {
    let filter = request.filter
    let isJudged = isJudged(filter)
    return instances.values.filter { sample in
      guard sample.cell == cell else { return false }
      let verdict = verdict(sample, filter)
      return verdict == .unknown || verdict == .yes && !isJudged
    }.count
  }

  /// Whether the map has what the filter asks for.
  private func isJudged(_ filter: InstanceFilter) -> Bool {
    filter.host == nil && filter.vmState == nil && filter.name == nil
      && filter.changedSince == nil && filter.deletion != .deleted
  }

  private func isInScope(_ sample: Sample, _ scope: InstanceListRequest.Scope) -> Bool {
    switch scope {
    case .everything: true
    case .withoutCell: sample.cell == nil
    case .cell(let cell): sample.cell == cell
    }
  }

  private func isListed(_ sample: Sample, _ filter: InstanceFilter) -> Bool {
    if let host = filter.host, sample.host != host.string { return false }
    if let state = filter.vmState, sample.vmState != state.string { return false }
    if let name = filter.name, !contains(sample.name, name.string) { return false }
    if let since = filter.changedSince {
      guard let changed = sample.updatedAt ?? sample.createdAt, changed >= since else {
        return false
      }
    }
    switch filter.deletion {
    case .live: if sample.isDeleted { return false }
    case .deleted: if !sample.isDeleted { return false }
    case .any: break
    }
    if sample.isHidden && !filter.includesHidden { return false }
    return isOwned(sample, filter)
  }

  /// Byte for byte: Swift finds "é" in "e" + U+0301.
  private func contains(_ text: String?, _ part: String) -> Bool {
    guard let text else { return false }
    let (bytes, wanted) = (Array(text.utf8), Array(part.utf8))
    guard bytes.count >= wanted.count else { return false }
    return (0...bytes.count - wanted.count).contains { start in
      bytes[start..<start + wanted.count].elementsEqual(wanted)
    }
  }

  private enum Verdict { case yes, no, unknown }

  /// What the map says of whether an instance is one of those.
  private func verdict(_ sample: Sample, _ filter: InstanceFilter) -> Verdict {
    guard sample.isMapped, filter.deletion != .live || sample.mark != true else { return .no }
    let user = sample.isUserMapped ? sample.user : nil
    if let project = filter.project, let known = sample.project, known != project.string {
      return .no
    }
    if let wanted = filter.user, let user, user != wanted.string { return .no }
    let isUnknown =
      filter.project != nil && sample.project == nil || filter.user != nil && user == nil
    return isUnknown ? .unknown : .yes
  }

  private func isOwned(_ sample: Sample, _ filter: InstanceFilter) -> Bool {
    if let project = filter.project, sample.project != project.string { return false }
    return filter.user == nil || filter.user?.string == sample.user
  }

  /// A value to sort by, compared without any help of the code under test.
  private enum Key: Equatable {
    case none
    case bytes([UInt8])
    case number(Int64)

    static func isLess(_ left: Key, _ right: Key) -> Bool {
      switch (left, right) {
      case (.none, _): right != .none
      case (.bytes(let left), .bytes(let right)): left.lexicographicallyPrecedes(right)
      case (.number(let left), .number(let right)): left < right
      default: false
      }
    }
  }

  private func liveKey(_ sample: Sample, _ column: InstanceColumn) -> Key {
    func text(_ value: String?) -> Key { value.map { .bytes(Array($0.utf8)) } ?? .none }
    func time(_ value: Timestamp?) -> Key { value.map { .number($0.microseconds) } ?? .none }
    return switch column {
    case .uuid: text("\(sample.id)")
    case .createdAt: time(sample.createdAt)
    case .updatedAt: time(sample.updatedAt)
    case .launchedAt: time(sample.launchedAt)
    case .displayName: text(sample.name)
    case .host: text(sample.host)
    case .project: text(sample.project)
    case .vmState: text(sample.vmState)
    }
  }

  private func mapKey(_ sample: Sample, _ column: InstanceColumn) -> Key {
    guard column == .createdAt else { return liveKey(sample, column) }
    return sample.mappedAt.map { .number($0.microseconds) } ?? .none
  }
}

func withWorld(
  cells: Int, on engine: CellEngine = .sqlite, cell0: Bool = true,
  _ body: (ListWorld) throws -> Void
) throws {
  try withTemporaryFolder { folder in
    let world = try ListWorld(in: folder, cells: cells, on: engine, cell0: cell0)
    try body(world)
    try world.close()
  }
}

/// A moment some seconds after a fixed one.
func moment(_ seconds: Int, _ microseconds: Int = 0) -> Timestamp {
  Timestamp(microseconds: Int64(1_767_225_600 + seconds) * 1_000_000 + Int64(microseconds))
}

extension CellRouter {
  /// All pages of a list; `between` is called after each page that has a successor.
  func pages(
    _ request: InstanceListRequest, sizes: () -> Int, milliseconds: Int = 60_000,
    between: (_ page: InstanceList) throws -> Void = { _ in }
  ) throws -> [InstanceList] {
    var request = request
    var pages: [InstanceList] = []
    while true {
      request.limit = sizes()
      let page = try list(request, until: soon(milliseconds))
      #expect(page.rows.count <= request.limit)
      pages.append(page)
      guard let next = page.next, pages.count < 2_000 else { return pages }
      request.start = .token(next)
      try between(page)
    }
  }
}

extension InstanceList {
  var ids: [InstanceID] { rows.map(\.id) }
}
