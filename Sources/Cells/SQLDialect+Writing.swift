internal import Journal

/// What a column of Nova's holds, as far as writing and comparing it by SQL goes.
public enum SQLColumnKind: Hashable, Sendable {
  case number, text, flag, time, real
  /// One of a few words, which PostgreSQL has a type of its own for.
  case word(ofType: String)
}

extension SQLColumnKind {
  fileprivate var isText: Bool {
    switch self {
    case .text, .word: true
    case .number, .flag, .time, .real: false
    }
  }
}

extension SQLDialect {
  /// A column's name, quoted where it is a word of the language.
  public func name(_ column: String) -> String {
    guard column == "key" else { return column }
    return self == .mariadb ? "`\(column)`" : "\"\(column)\""
  }

  /// A flag as the database keeps it.
  public func flag(_ flag: Bool?) -> SQLValue {
    guard let flag else { return .null }
    return self == .postgresql ? .text(flag ? "true" : "false") : .integer(flag ? 1 : 0)
  }

  /// A parameter as a value of a column; PostgreSQL can't always tell its type from the place.
  public func value(_ parameter: String, of kind: SQLColumnKind) -> String {
    guard self == .postgresql else { return parameter }
    let type =
      switch kind {
      case .number: "bigint"
      case .text: "text"
      case .flag: "boolean"
      case .time: "timestamp"
      case .real: "double precision"
      case .word(let type): type
      }
    return "CAST(\(parameter) AS \(type))"
  }

  /// A condition that a column holds exactly a parameter's value, NULL among them; texts by their
  /// bytes, whatever the collation.
  public func isSame(_ column: String, as parameter: String, _ kind: SQLColumnKind) -> String {
    switch self {
    case .sqlite: "\(column) IS \(parameter)"
    case .mariadb:
      kind.isText
        ? "\(byteOrder(column)) <=> \(byteOrder(parameter))" : "\(column) <=> \(parameter)"
    case .postgresql: "\(column) IS NOT DISTINCT FROM \(value(parameter, of: kind))"
    }
  }

  /// What stands between the values of a SELECT without a table and its WHERE.
  public var fromNothing: String { self == .mariadb ? " FROM DUAL" : "" }

  /// The end of an INSERT that leaves a row alone that is there already, under any unique key, and
  /// says so by its count; every other refusal stays one.
  public func unlessThere(in table: NovaTable) -> String {
    self == .mariadb
      ? " ON DUPLICATE KEY UPDATE id = \(table).id" : " ON CONFLICT DO NOTHING"
  }
}

extension SQLQuery {
  /// The statement with its values in it, as a person can read it and the database's own client run
  /// it.
  ///
  /// Addresses among the values stand there in clear.
  public var script: String {
    var result = ""
    let mark: Character = dialect == .postgresql ? "$" : "?"
    var rest = text[...]
    while let place = rest.firstIndex(of: mark) {
      result += rest[..<place]
      rest = rest[rest.index(after: place)...]
      let digits = rest.prefix { $0.isASCII && $0.isNumber }
      guard let number = Int(digits), (1...values.count).contains(number) else {
        preconditionFailure("a placeholder of the query")
      }
      result += literal(values[number - 1])
      rest = rest.dropFirst(digits.count)
    }
    return result + rest + ";"
  }

  private func literal(_ value: SQLValue) -> String {
    switch value {
    case .integer(let value): return "\(value)"
    case .null: return "NULL"
    case .text(let text):
      // A client's character set and MariaDB's mode decide what other texts mean.
      let isPlain = text.string.utf8.allSatisfy { (0x20...0x7E).contains($0) && $0 != 0x5C }
      if dialect == .mariadb, !isPlain { return Self.hexadecimal(text) }
      return "'" + text.string.replacing("'", with: "''") + "'"
    }
  }
}
