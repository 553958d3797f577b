internal import Cells
public import Journal
internal import Projections
internal import Registry

/// An old Nova API database beside a rebuild: a backup, or a damaged copy. It says what the cells
/// can't (cells' UUIDs and names, instances that are in no cell yet, owners that a cell's row lacks,
/// what is in a cell as long as that can't be read) and nothing that they can: what has become stale in it never beats a cell.
public final class OldMap {
  let source: NovaAPIDatabase
  /// The cells that it names; rows without a UUID are left out.
  public let cells: [(id: CellID, row: NovaCellRow)]

  /// - Throws: `unreadable`.
  public init(_ source: NovaAPIDatabase) throws(AdoptionError) {
    self.source = source
    cells = try source.cells().compactMap { row in CellID(row.uuid.string).map { ($0, row) } }
  }

  /// Which row says so, of a cell that has its UUID, its name or its address from here.
  public func evidence(of row: NovaCellRow, keys: KeyRing, basis: Position) -> Evidence? {
    var rows = AdoptionRows(source: source, keys: keys, basis: basis)
    return try? rows.observation(row).evidence
  }

  /// A cell's number in the old database leads to it.
  var cellIDs: [UInt64: CellID] {
    Dictionary(cells.map { ($0.row.number, $0.id) }, uniquingKeysWith: { first, _ in first })
  }
}

/// What the old database has of instances, walked in the order of their UUIDs beside the cells'.
struct OldInstances {
  private let source: NovaAPIDatabase
  private let rows: AdoptionRows
  private let cellIDs: [UInt64: CellID]
  private var page: ArraySlice<NovaInstanceRow> = []
  private var last: ByteText?
  private var isAtEnd = false
  /// The instance whose row was taken last.
  private var taken: InstanceID?
  private static let pageRows = 1_000

  init(_ old: OldMap, keys: KeyRing, basis: Position) {
    source = old.source
    var rows = AdoptionRows(source: old.source, keys: keys, basis: basis)
    // One that the map can't hold is none that could be down.
    for cell in old.cells { _ = try? rows.observation(cell.row) }
    self.rows = rows
    cellIDs = old.cellIDs
  }

  /// A row with its instance.
  struct Item {
    let id: InstanceID
    let row: NovaInstanceRow
  }

  /// The next row, if it is of an instance before `end`; nil for `end` takes all that are left.
  mutating func next(before end: InstanceID?) throws(AdoptionError) -> Item? {
    guard let item = try peek(), end.map({ item.id < $0 }) ?? true else { return nil }
    page.removeFirst()
    taken = item.id
    return item
  }

  /// The row of an instance, once all before it were taken.
  mutating func row(of id: InstanceID) throws(AdoptionError) -> NovaInstanceRow? {
    guard let item = try peek(), item.id == id else { return nil }
    page.removeFirst()
    taken = id
    return item.row
  }

  /// The cell that a row names; nil if that cell has no row.
  func cell(of row: NovaInstanceRow) -> CellID? { row.cellNumber.flatMap { cellIDs[$0] } }

  /// What a row is to become in the map; nil for one that the map can't hold.
  func observation(_ item: Item) -> Observation? {
    try? rows.observation(item.row, lastSeen: nil)
  }

  /// What a row that names a cell is to become in the map until that cell can be read; nil for one
  /// that the map can't hold.
  func provisional(_ item: Item, in cell: CellID) -> Observation? {
    var observation = observation(item)
    // It tells what stands in for a cell from what was adopted.
    observation?.evidence?.cell = cell
    return observation
  }

  /// The next row that is of an instance: neither one of Nova's markers nor one that nobody asks for.
  private mutating func peek() throws(AdoptionError) -> Item? {
    while true {
      if page.isEmpty {
        guard !isAtEnd else { return nil }
        page = try source.instances(after: last, limit: Self.pageRows)[...]
        last = page.last?.uuid
        isAtEnd = page.count < Self.pageRows
        if page.isEmpty { return nil }
      }
      let row = page[page.startIndex]
      // A dump that was put back by hand may lack the constraint that keeps a UUID in one row.
      if !row.isMarker, let id = InstanceID(row.uuid.string), id.description == row.uuid.string,
        id != taken
      {
        return Item(id: id, row: row)
      }
      page.removeFirst()
    }
  }
}
