public import Journal

/// An entry about a thing, and what the map held of the thing from it on.
public struct EntityVersion: Hashable, Sendable {
  public let entry: Entry
  /// What the map held before the entry, and after it; nil for nothing.
  public let before: EntityRow?
  public let after: EntityRow?
  /// The next entry about the thing, up to which `after` was true; nil if it still is, at the head or
  /// at the position that was asked for.
  public let until: Position?

  /// The parts of the record that the entry changed.
  public var changes: [FieldChange] { EntityRow.changes(from: before, to: after) }
}

/// A part of a record as it is, and the entry that made it so.
public struct FieldOrigin: Hashable, Sendable {
  public let field: RecordField
  public let entry: Entry
}

extension MapHistory {
  /// The life of a thing: every entry about it, up to the one at `last`, with what the map held then.
  ///
  /// - Parameter last: nil for the head.
  /// - Throws: As `init`.
  public func versions(
    of entity: EntityKey, upTo last: UInt64? = nil
  ) throws(ProjectionError) -> [EntityVersion] {
    let entries = try entries(of: entity, upTo: last)
    var versions: [EntityVersion] = []
    var row: EntityRow?
    for (place, entry) in entries.enumerated() {
      let after = EntityRow.folded(entry.event, at: entry.position.index, into: row)
      let until = place + 1 < entries.count ? entries[place + 1].position : nil
      versions.append(EntityVersion(entry: entry, before: row, after: after, until: until))
      row = after
    }
    return versions
  }

  /// What the map held of a thing after the entry at `index`; nil for nothing.
  ///
  /// - Throws: As `init`.
  public func row(
    of entity: EntityKey, at index: UInt64
  ) throws(ProjectionError) -> EntityRow? {
    var row: EntityRow?
    for entry in try entries(of: entity, upTo: index) {
      row = EntityRow.folded(entry.event, at: entry.position.index, into: row)
    }
    return row
  }

  /// Why a record is what it is at `index`: for each part of it the entry that made it so; empty if the
  /// map held nothing then. Another key for the same address makes nothing so.
  ///
  /// - Throws: As `init`.
  public func origins(
    of entity: EntityKey, at index: UInt64
  ) throws(ProjectionError) -> [FieldOrigin] {
    var origins: [FieldOrigin] = []
    for version in try versions(of: entity, upTo: index) {
      guard let fields = version.after?.fields else {
        origins = []
        continue
      }
      origins = fields.enumerated().map { place, field in
        guard place < origins.count,
          version.entry.event.isResealing || version.before?.fields[place] == field
        else { return FieldOrigin(field: field, entry: version.entry) }
        return FieldOrigin(field: field, entry: origins[place].entry)
      }
    }
    return origins
  }
}
