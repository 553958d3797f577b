public import Journal

/// A value bound to a parameter of a query.
public enum SQLValue: Hashable, Sendable {
  case integer(Int64)
  case text(ByteText)
  case null
}

/// A query of a cell's database: its text in the database's dialect, and the values of its
/// parameters.
///
/// Values never become a part of the text by hand: `bind` gives the placeholder that stands for
/// one.
public struct SQLQuery: Hashable, Sendable {
  public let dialect: SQLDialect
  /// Nova's table that the rows come from, for messages.
  public let table: NovaTable
  public private(set) var text: String
  /// The values of the parameters, the first one's first.
  public private(set) var values: [SQLValue] = []

  public init(_ dialect: SQLDialect, on table: NovaTable, _ text: String = "") {
    self.dialect = dialect
    self.table = table
    self.text = text
  }

  /// Gives the next parameter a value, and returns the placeholder to write into the text; it may
  /// be written more than once.
  public mutating func bind(_ value: SQLValue) -> String {
    values.append(value)
    return dialect.parameter(values.count)
  }

  /// Adds to the text.
  public mutating func append(_ part: String) { text += part }
}

/// A table of Nova's that is read, or that a map is published to.
public enum NovaTable: String, Hashable, Sendable, CustomStringConvertible {
  case instances, services
  case computeNodes = "compute_nodes"
  case migrations
  case shadowInstances = "shadow_instances"
  case buildRequests = "build_requests"
  case cellMappings = "cell_mappings"
  case hostMappings = "host_mappings"
  case instanceMappings = "instance_mappings"
  case instanceExtra = "instance_extra"
  case instanceSystemMetadata = "instance_system_metadata"
  case blockDeviceMapping = "block_device_mapping"
  case requestSpecs = "request_specs"
  case flavors
  case flavorExtraSpecs = "flavor_extra_specs"
  case keyPairs = "key_pairs"
  case alembicVersion = "alembic_version"

  public var description: String { rawValue }
}
