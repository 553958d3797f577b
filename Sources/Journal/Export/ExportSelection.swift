/// Which entries an export holds.
public struct ExportSelection: Hashable, Sendable {
  /// The first and the last index.
  public var indexes: ClosedRange<UInt64>
  /// What the entries are about; nil for everything.
  public var entities: Set<EntityKey>?

  public init(indexes: ClosedRange<UInt64>, entities: Set<EntityKey>? = nil) {
    self.indexes = indexes
    self.entities = entities
  }

  /// Whether an entry is one of them.
  ///
  /// - Throws: `malformed` for a host without a name.
  func holds(
    _ header: EntryHeader, _ bytes: [UInt8], at start: Int
  ) throws(EntryError) -> Bool {
    guard let entities else { return true }
    switch header.entityKind {
    case .store: return entities.contains(.store)
    case .cell: return entities.contains(.cell(CellID(header.entityKey)))
    case .instance: return entities.contains(.instance(InstanceID(header.entityKey)))
    case .host:
      var reader = FieldReader(
        bytes, from: start + EntryHeader.length, to: start + Int(header.entryLength))
      try reader.skip(below: .entityName)
      return try reader.text(.entityName).map { entities.contains(.host($0)) } ?? false
    }
  }
}
