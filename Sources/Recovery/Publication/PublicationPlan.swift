internal import Cells
public import Journal

/// What publishing a map does, counted while it is looked at and again while it is done.
public struct PublicationPlan: Hashable, Sendable {
  /// Rows of one table.
  public struct Count: Hashable, Sendable {
    /// Not in the database before, and written.
    public var added: UInt64 = 0
    /// Written over.
    public var changed: UInt64 = 0
    /// As in the map already.
    public var same: UInt64 = 0
    /// In the database and not in the map; they stay.
    public var surplus: UInt64 = 0
    /// Differing, and left so: by a rule, or since the database had another value when it was
    /// written, or since Nova's tables can't hold the map's.
    public var left: UInt64 = 0
    /// Rows of the database, before anything is written.
    public var found: UInt64 = 0

    /// Rows that are written.
    public var written: UInt64 { added + changed }
  }

  /// Something that an operator should look at.
  public struct Finding: Hashable, Sendable {
    public enum Kind: String, Hashable, Sendable {
      /// Nova's tables can't hold what the map has.
      case unpublishable
      /// A rule forbids the change.
      case kept
      /// The row was changed between the look and the write.
      case overtaken
      /// Only the database has the row.
      case surplus
    }

    public var kind: Kind
    /// Nova's table.
    public var table: String
    /// The cell's UUID, the host's name or the instance's UUID.
    public var key: String
    public var reason: String
  }

  /// A row that differs, and how; addresses without their secrets.
  public struct Difference: Hashable, Sendable {
    public var table: String
    public var key: String
    public var isNew: Bool
    public var columns: [Column]

    public struct Column: Hashable, Sendable {
      public var name: String
      /// Empty for a new row.
      public var from: String
      public var to: String
    }
  }

  /// The head of the journal whose map is published.
  public var position = Position.start
  public var cells = Count()
  public var hosts = Count()
  public var instances = Count()
  /// Rows of the global tables that were asked for; `same` are there already, whatever they hold, and
  /// `surplus` aren't wanted: a later flavor has their name.
  public var requestSpecs = Count()
  public var flavors = Count()
  public var keyPairs = Count()
  /// Extra specs, which come and stay with their flavors.
  var flavorExtraSpecs = Count()
  /// Why cells weren't read for them.
  public var unreadCells: [CellID: String] = [:]
  /// Nova's own marker rows, which map nothing and are passed over.
  public var markers: UInt64 = 0
  /// The first hundred of each kind.
  public var findings: [Finding] = []
  /// How many there are of each kind.
  public var findingCounts: [Finding.Kind: UInt64] = [:]
  /// The first twenty.
  public var differences: [Difference] = []
  /// The greatest numeric id that the map has for a table's rows.
  var largestNumber: [PublishedTable: UInt64] = [:]

  /// No row of the database would change.
  public var changesNothing: Bool {
    cells.written + hosts.written + instances.written == 0
      && requestSpecs.written + flavors.written + keyPairs.written == 0
  }

  /// What differs is, or will be, in the database but for these rows.
  public var leftCount: UInt64 {
    cells.left + hosts.left + instances.left + requestSpecs.left + flavors.left + keyPairs.left
  }

  public var written: ChangeCounts {
    ChangeCounts(cells: cells.written, hosts: hosts.written, instances: instances.written)
  }

  private static let findingsKept: UInt64 = 100
  private static let differencesKept = 20

  subscript(table: PublishedTable) -> Count {
    get {
      switch table {
      case .cells: cells
      case .hosts: hosts
      case .instances: instances
      case .requestSpecs: requestSpecs
      case .flavors: flavors
      case .flavorExtraSpecs: flavorExtraSpecs
      case .keyPairs: keyPairs
      }
    }
    set {
      switch table {
      case .cells: cells = newValue
      case .hosts: hosts = newValue
      case .instances: instances = newValue
      case .requestSpecs: requestSpecs = newValue
      case .flavors: flavors = newValue
      case .flavorExtraSpecs: flavorExtraSpecs = newValue
      case .keyPairs: keyPairs = newValue
      }
    }
  }

  mutating func note(
    _ kind: Finding.Kind, _ table: PublishedTable, _ key: ByteText, _ reason: String
  ) {
    let count = findingCounts[kind, default: 0]
    findingCounts[kind] = count + 1
    guard count < Self.findingsKept else { return }
    findings.append(
      Finding(kind: kind, table: table.table.rawValue, key: key.string, reason: reason))
  }

  /// Counts a row that is written.
  mutating func count(_ change: RowChange) {
    if change.seen == nil { self[change.table].added += 1 } else { self[change.table].changed += 1 }
    guard differences.count < Self.differencesKept else { return }
    differences.append(
      Difference(
        table: change.table.table.rawValue, key: change.key.string, isNew: change.seen == nil,
        columns: change.differences.map {
          Difference.Column(name: $0.column, from: $0.from, to: $0.to)
        }))
  }
}
