public import Journal
public import Registry

/// Why a map can't be taken over; what had been appended before stays, and the same command goes on
/// from there.
public enum AdoptionError: Error, Sendable, CustomStringConvertible {
  /// The database can't be opened or read.
  case unreadable(ByteText, why: String)
  /// The database isn't a Nova API database.
  case notNovaAPI(ByteText, what: String)
  /// Rows that the map can't hold; nothing was appended.
  case problems(count: Int, first: String)
  /// The map has cells, hosts or mappings that the database has not; nothing was appended.
  /// Counted and named, as `AdoptionPlan.surplusText`.
  case wouldUnmap(String)
  /// The API database has no more a cell of the map, and its database is now another cell's; nothing
  /// was appended.
  case wouldReplace(CellID, by: CellID, count: Int)
  /// More hosts and mappings are gone from the database than are taken out unasked; nothing was
  /// appended.
  case lostTooMuch(count: UInt64, limit: UInt64)
  /// The database has no cell at all, which Nova's never is; nothing was appended.
  case emptied(ByteText)
  /// The caller wanted it to end; what was appended stays.
  case cancelled
  /// An accepted command under the same request id was another one, or the registry failed.
  case registry(RegistryError)

  public var description: String {
    switch self {
    case .unreadable(let database, let why): "The API database \(database) can't be read: \(why)"
    case .notNovaAPI(let database, let what):
      "\(database) is not a Nova API database: \(what). Give the address in [api_database]."
    case .problems(let count, let first):
      "\(count) rows can't be adopted; the first: \(first) Look at all with --dry-run, mend them, "
        + "or pass them over with --skip-invalid."
    case .wouldUnmap(let what):
      "The map has what the API database has not (\(what)). Is it the right one, and not an old "
        + "copy? --prune takes it out of the map."
    case .wouldReplace(let old, let new, let count):
      "The API database has no cell with the UUID \(old) any more, and its database is now that of "
        + "the cell with the UUID \(new)"
        + (count > 1 ? " (and \(count - 1) more like it)" : "")
        + ". If Nova's cell was deleted and made again, give the same command with --prune: it moves "
        + "the hosts and mappings to the new cell and removes the old one. If not, the API database "
        + "is the wrong one."
    case .lostTooMuch(let count, let limit):
      "\(count) hosts and mappings are gone from the API database since it was last read, and at most "
        + "\(limit) are taken out of the map unasked: it looks emptied, or restored from an old backup. "
        + "If it isn't, give --prune-limit \(count)."
    case .emptied(let database):
      "\(database) names no cells, not even cell0: it was emptied or made anew. Nothing is taken out "
        + "of the map."
    case .cancelled: "It was ended; what was recorded stays."
    case .registry(let error): error.description
    }
  }
}
