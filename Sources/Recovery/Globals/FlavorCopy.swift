internal import Cells
internal import Journal

/// A flavor as an instance has it.
struct FlavorCopy {
  let fields: [String: JSONValue]
  /// Nova's numeric id, which `instances.instance_type_id` names.
  let number: UInt64
  let flavorID: ByteText
  let name: ByteText

  /// - Parameter text: What `instance_extra.flavor` holds.
  init(_ text: ByteText) throws(NovaObjectText.Problem) {
    let current = try NovaObjectText.value(text, of: "flavor")?["cur"]
    try self.init(
      fields: try NovaObjectText.fields(of: current, "Flavor", in: "instance_extra.flavor"))
  }

  init(fields: [String: JSONValue]) throws(NovaObjectText.Problem) {
    guard let number = fields["id"]?.integer, number > 0, let name = fields["name"]?.string,
      let flavorID = fields["flavorid"]?.string
    else { throw NovaObjectText.Problem(text: "its flavor has no id, name or flavorid") }
    for column in ["memory_mb", "vcpus"] where fields[column]?.integer == nil {
      throw NovaObjectText.Problem(text: "its flavor has no \(column)")
    }
    self.fields = fields
    self.number = UInt64(number)
    self.flavorID = ByteText(flavorID)
    self.name = ByteText(name)
  }

  /// The row of `flavors`, under the number that Nova once gave it.
  func row(_ dialect: SQLDialect, at now: Timestamp) -> PublishedRow {
    let values = PublishedTable.flavors.columns.map { column in
      Self.value(fields[column.name] ?? .null, of: column)
    }
    return PublishedRow(
      number: number, values: values, createdAt: dialect.creation(of: fields, at: now))
  }

  private static func value(_ value: JSONValue, of column: PublishedTable.Column) -> SQLValue {
    switch column.kind {
    case .number:
      // The one number without which Nova's table takes no row, and that may be none.
      if value.integer == nil, column.name == "swap" { return .integer(0) }
      return value.integer.map { .integer($0) } ?? .null
    case .flag: return SQLValue(value.isTrue)
    case .real:
      guard case .number(let number) = value else { return .null }
      return .text(ByteText(number.text))
    case .text, .time, .word: return SQLValue(value.string.map { ByteText($0) })
    }
  }

  /// The rows of `flavor_extra_specs` of a flavor's row.
  func extraSpecs(of row: PublishedRow) -> [PublishedRow] {
    guard case .object(let pairs)? = fields["extra_specs"] else { return [] }
    return pairs.sorted { $0.key < $1.key }.map { key, value in
      let text: SQLValue =
        switch value {
        case .null: .null
        case .text(let text): .text(ByteText(text))
        case .number, .flag, .list, .object: .text(ByteText(value.line))
        }
      return PublishedRow(
        number: nil, values: [SQLValue(row.number), .text(ByteText(key)), text],
        createdAt: row.createdAt)
    }
  }
}

/// A key pair as an instance has it.
struct KeyPairCopy {
  let fields: [String: JSONValue]
  let user: ByteText
  let name: ByteText
  /// When it was made, as Nova writes times: their order is the texts'.
  let made: ByteText
  let number: Int64

  /// - Parameter text: What `instance_extra.keypairs` holds.
  static func all(in text: ByteText) throws(NovaObjectText.Problem) -> [KeyPairCopy] {
    guard let list = try NovaObjectText.value(text, of: "keypairs") else { return [] }
    let fields = try NovaObjectText.fields(of: list, "KeyPairList", in: "instance_extra.keypairs")
    guard case .list(let objects)? = fields["objects"] else { return [] }
    var copies: [KeyPairCopy] = []
    for object in objects {
      copies.append(
        try KeyPairCopy(
          fields: try NovaObjectText.fields(of: object, "KeyPair", in: "instance_extra.keypairs")))
    }
    return copies
  }

  init(fields: [String: JSONValue]) throws(NovaObjectText.Problem) {
    guard let user = fields["user_id"]?.string, let name = fields["name"]?.string else {
      throw NovaObjectText.Problem(text: "its key pair has no name or user")
    }
    self.fields = fields
    self.user = ByteText(user)
    self.name = ByteText(name)
    made = ByteText(fields["created_at"]?.string ?? "")
    number = fields["id"]?.integer ?? 0
  }

  /// The row of `key_pairs`; nothing names its number.
  func row(_ dialect: SQLDialect, at now: Timestamp) -> PublishedRow {
    let values = PublishedTable.keyPairs.columns.map { column in
      column.name == "type" && fields["type"]?.string == nil
        ? .text("ssh") : SQLValue(fields[column.name]?.string.map { ByteText($0) })
    }
    return PublishedRow(
      number: nil, values: values, createdAt: dialect.creation(of: fields, at: now))
  }
}

extension SQLDialect {
  /// When an object was made, as the database keeps it; now where the object doesn't say.
  fileprivate func creation(of fields: [String: JSONValue], at now: Timestamp) -> ByteText? {
    let made = fields["created_at"]?.string.flatMap { Timestamp($0) }
    guard case .text(let text) = time(made ?? now) else { return nil }
    return text
  }
}
