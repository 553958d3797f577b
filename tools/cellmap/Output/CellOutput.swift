import Journal
import Registry
import Router

/// How cells are printed.
enum CellOutput {
  static func fields(
    _ id: CellID, _ row: CellRow, _ map: some MapView
  ) -> [String: JSONValue] {
    let record = row.record
    let fields: [String: JSONValue] = [
      "cell": .printed(id), "cell_name": .printed(record.name),
      "database": .printed(record.database?.publicForm),
      "queue": .printed(record.queue?.publicForm), "options": .printed(record.options),
      "disabled": .flag(record.disabled), "being_removed": .flag(record.isBeingRemoved),
      "coverage": .text(record.isCovered ? "complete" : "incomplete"),
      "row": record.row.number.map { .number($0) } ?? .null,
      "created_at": .printed(record.row.createdAt), "changed_at": .number(row.changedAt),
    ]
    return fields.merging(map.label) { $1 }
  }

  /// Says of addresses which nobody can read any more that their key is shredded: in the past, or after
  /// a key was lost.
  static func markShredded(
    in fields: inout [String: JSONValue], _ row: CellRow, _ session: StoreSession, json: Bool
  ) {
    var shredded: [JSONValue] = []
    for (name, address) in [("database", row.record.database), ("queue", row.record.queue)] {
      guard let address, AddressKeys.isGone(address.key, from: session.files.keys) else { continue }
      shredded.append(.text(name))
      if !json { fields[name] = .text("\(address.publicForm) (key shredded)") }
    }
    if json, !shredded.isEmpty { fields["key_shredded"] = .list(shredded) }
  }

  static func publicAddresses(_ row: CellRow) -> [String: String] {
    var values: [String: String] = [:]
    values["database"] = row.record.database?.publicForm.string
    values["queue"] = row.record.queue?.publicForm.string
    return values
  }

  /// The whole addresses, templates filled in where a base is given.
  static func revealed(
    _ id: CellID, _ row: CellRow, _ session: StoreSession, _ base: BaseOptions
  ) throws(CommandFailure) -> [String: String] {
    let keys = try session.keysForReading()
    let base = try base.addressBase()
    var values: [String: String] = [:]
    for (name, field, address, from) in [
      ("database", AddressField.database, row.record.database, base.database),
      ("queue", AddressField.queue, row.record.queue, base.queue),
    ] {
      guard let address else { continue }
      let original: Secret
      do throws(KeyError) {
        original = Secret(try keys.open(address, of: id, field))
      } catch {
        throw CommandFailure(error)
      }
      // A template without a base is shown as it was given.
      let text = from == nil ? original : try? field.resolved(original, base: from)
      values[name] = (text ?? original).exposedText()
    }
    return values
  }

  /// Prints fields below each other: those of `order` first, in that order, then the others by name.
  static func printFields(_ fields: [String: JSONValue], order: [String] = []) {
    let width = fields.keys.map(\.count).max() ?? 0
    for name in order + fields.keys.sorted().filter({ !order.contains($0) }) {
      guard let value = fields[name] else { continue }
      let text =
        switch value {
        case .null: "-"
        case .flag(let flag): flag ? "yes" : "no"
        case .number(let number): "\(number)"
        case .text(let text): Console.safe(text)
        case .list, .object: Console.safe(value.line)
        }
      Console.print(
        name + String(repeating: " ", count: width - name.count + 2) + text)
    }
  }

  /// A text as a YAML scalar in double quotes.
  static func yaml(_ text: String) -> String {
    // JSON's strings are YAML's.
    JSONValue.text(text).line
  }
}
