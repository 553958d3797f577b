internal import Cells
public import Journal
internal import Router

/// How much of Nova's global tables the cells have, counted by the databases themselves.
public struct GlobalCensus: Sendable {
  /// Instances that aren't deleted, and of which a request spec can be made; what a move between cells
  /// hides isn't counted, and one that is visible in two cells is counted twice.
  public private(set) var requestSpecs: UInt64 = 0
  /// Flavors that such instances have, by Nova's number.
  public var flavors: UInt64 { UInt64(flavorNumbers.count) }
  /// Key pairs that such instances were given, by user and name.
  public var keyPairs: UInt64 { UInt64(keyPairNames.count) }
  /// Cells that didn't say, and why: what they have is in no count.
  public private(set) var uncounted: [CellID: String] = [:]

  private var flavorNumbers: Set<Int64> = []
  /// Hashes of users and names: a million are 16 MB.
  private var keyPairNames: Set<Int> = []

  /// Asks each cell for its counts, one after the other.
  ///
  /// - Parameter time: How long a cell may take.
  static func take(_ targets: [CellTarget], time: Duration) -> GlobalCensus {
    var census = GlobalCensus()
    for target in targets {
      do throws(CellUnavailable) {
        let counted = try target.ask(until: .now + time) { (lent) throws(CellError) in
          try lent.connection.globalCounts()
        }
        census.requestSpecs += counted.requestSpecs
        census.flavorNumbers.formUnion(counted.flavors)
        census.keyPairNames.formUnion(counted.keyPairs)
      } catch {
        census.uncounted[target.id] = error.description
      }
    }
    return census
  }
}
