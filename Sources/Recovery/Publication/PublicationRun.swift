internal import Cells
internal import Journal

/// One walk over map and database: what it is for, and what it has come to.
struct PublicationRun {
  enum Output {
    /// Only counts.
    case count
    /// Writes into the database.
    case database
    /// Writes statements into a file.
    case script(PublicationScript)
  }

  let output: Output
  var plan = PublicationPlan()
  /// What the database was last seen to hold; nil where only the map writes it.
  var lastSeen: LastSeen?
  /// The cells of the database by their numbers.
  var cellUUIDs: [UInt64: ByteText] = [:]
  /// The next free number of each table for rows that never had one; nil where it doesn't matter.
  private var next: [PublishedTable: UInt64] = [:]
  /// How far PostgreSQL's own numbers have to stay away.
  private var reserved: [PublishedTable: UInt64] = [:]

  init(output: Output) { self.output = output }

  /// Begins the numbers of new rows behind all that the database and the map have.
  mutating func prepareNumbers(
    after plan: PublicationPlan, in target: PublicationTarget
  ) throws(PublicationError) {
    for table in [PublishedTable.hosts, .instances, .flavors] where plan[table].added > 0 {
      let most = max(try target.largest("id", of: table), plan.largestNumber[table, default: 0])
      next[table] = most + 1
      reserved[table] = most + plan[table].added
    }
  }

  /// The number up to which a table's own numbers must not come; nil if no row is added.
  func reservation(of table: PublishedTable) -> UInt64? { reserved[table] }

  mutating func reserve(_ number: UInt64, in table: PublishedTable) {
    reserved[table] = max(reserved[table] ?? 0, number)
  }

  /// A number that no row has had.
  mutating func freshNumber(in table: PublishedTable) -> UInt64? {
    guard let number = next[table] else { return nil }
    next[table] = number + 1
    return number
  }
}
