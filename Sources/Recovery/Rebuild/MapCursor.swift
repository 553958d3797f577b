internal import Journal
internal import Projections
internal import Registry

/// Walks the map's instances beside another sequence that is in the order of their UUIDs; their owners are
/// opened.
struct MapCursor {
  private let index: IndexReader
  private let owners: OwnerKeys
  private var page: ArraySlice<InstanceItem> = []
  private var last: InstanceID?
  private var isAtEnd = false
  private static let pageRows = 1_000

  init(over index: IndexReader, owners: OwnerKeys) {
    self.index = index
    self.owners = owners
  }

  /// The map's row of an instance; the rows before it, which the other sequence hasn't, go to `passed`.
  mutating func row(
    of id: InstanceID, passing passed: (InstanceItem) throws(RebuildError) -> Void
  ) throws(RebuildError) -> InstanceRow? {
    while let next = try peek() {
      if next.id > id { return nil }
      page.removeFirst()
      if next.id == id { return next.row.opened(by: owners) }
      try passed(next)
    }
    return nil
  }

  /// The rest of the map.
  mutating func finish(
    passing passed: (InstanceItem) throws(RebuildError) -> Void
  ) throws(RebuildError) {
    while let next = try peek() {
      page.removeFirst()
      try passed(next)
    }
  }

  private mutating func peek() throws(RebuildError) -> InstanceItem? {
    if page.isEmpty, !isAtEnd {
      do throws(ProjectionError) {
        page = try index.instances(after: last, limit: Self.pageRows)[...]
      } catch {
        throw .registry(.index(error))
      }
      last = page.last?.id
      isAtEnd = page.count < Self.pageRows
    }
    return page.first
  }
}
