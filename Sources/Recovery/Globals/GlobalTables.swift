/// Tables of Nova's API database, beside the map's three, that the cells have pieces of.
public struct GlobalTables: OptionSet, Hashable, Sendable {
  public let rawValue: UInt8
  public init(rawValue: UInt8) { self.rawValue = rawValue }

  /// `request_specs`: what resize, migrate, unshelve and evacuate begin with.
  public static let requestSpecs = GlobalTables(rawValue: 1)
  /// `flavors` with their extra specs.
  public static let flavors = GlobalTables(rawValue: 2)
  /// `key_pairs`.
  public static let keyPairs = GlobalTables(rawValue: 4)

  var tables: [PublishedTable] {
    var tables: [PublishedTable] = []
    if contains(.flavors) { tables += [.flavors, .flavorExtraSpecs] }
    if contains(.keyPairs) { tables.append(.keyPairs) }
    if contains(.requestSpecs) { tables.append(.requestSpecs) }
    return tables
  }

  /// As the options of the command are named.
  var words: [String] {
    [(.requestSpecs, "request-specs"), (.flavors, "flavors"), (.keyPairs, "keypairs")]
      .compactMap { (table: GlobalTables, word: String) in contains(table) ? word : nil }
  }
}
