import Journal
import Projections

/// How records, and what is different between two, are printed.
enum DifferenceOutput {
  /// Each part with what it was and what it became.
  static func fields(_ changes: [FieldChange]) -> JSONValue {
    .object(
      Dictionary(
        uniqueKeysWithValues: changes.map {
          ($0.name, .object(["from": $0.from ?? .null, "to": $0.to ?? .null]))
        }))
  }

  static func record(_ row: EntityRow?) -> JSONValue {
    guard let row else { return .null }
    return .object(Dictionary(uniqueKeysWithValues: row.fields.map { ($0.name, $0.value) }))
  }

  /// What became of a thing: `added`, `removed` or `changed`.
  static func verb(_ before: EntityRow?, _ after: EntityRow?) -> String {
    before == nil ? "added" : after == nil ? "removed" : "changed"
  }

  /// The changes in one line, cells by their names.
  static func sentence(_ changes: [FieldChange], _ naming: CellNaming) -> String {
    changes.filter { $0.from ?? .null != $0.to ?? .null || $0.from != nil && $0.to != nil }
      .map { change in
        let (from, to) = (
          shown(change.from, change.name, naming), shown(change.to, change.name, naming)
        )
        if change.from == nil { return "\(change.name) \(to)" }
        if change.to == nil { return "\(change.name) was \(from)" }
        let isSecret = from == to && ["database", "queue"].contains(change.name)
        return isSecret ? "\(change.name) (its secret)" : "\(change.name) \(from) → \(to)"
      }.joined(separator: ", ")
  }

  /// A value as people read it.
  static func shown(_ value: JSONValue?, _ name: String, _ naming: CellNaming) -> String {
    switch value {
    case nil, .null?: "-"
    case .text(let text)?:
      name == "cell" ? CellID(text).map { naming.name(of: $0) } ?? text : text
    case .flag(let flag)?: flag ? "yes" : "no"
    case let value?: value.line
    }
  }
}
