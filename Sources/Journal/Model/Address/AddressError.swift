/// Why an address was refused; each message names the piece and the next step.
///
/// No case carries a password, an address, or text that might be a part of one: what stands in the
/// wrong place of a mistyped address is often a piece of its password.
public enum AddressError: Error, Hashable {
  case empty(AddressField)
  case tooLong(AddressField, limitBytes: Int)
  /// A control, a space or a mark that reorders text, at a byte counted from 1.
  case forbiddenCharacter(AddressField, position: Int)
  case notUTF8(AddressField, AddressPiece)
  case schemeMissing(AddressField)
  case schemeUnknown(AddressField, scheme: String)
  case driverUnknown(engine: DatabaseEngine, driver: String)
  /// A host without a name; hosts count from 1.
  case hostMissing(AddressField, host: Int)
  case hostInvalid(AddressField, host: Int)
  case portInvalid(AddressField, host: Int)
  case databaseMissing(DatabaseEngine)
  /// A decoded piece holds a control.
  case controlInPiece(AddressField, AddressPiece)
  /// A raw `@` or `#` behind the hosts, which means that a password isn't encoded.
  case unencoded(AddressField, character: UInt8)
  case pieceNotAllowed(AddressField, AddressPiece, scheme: String)
  /// A host with credentials after one without: a raw comma in a password looks the same.
  case credentialsMixed(host: Int)
  case optionUnknown(AddressField, scheme: String, name: String)
  case optionWithoutValue(AddressField, name: String)
  case optionRepeated(AddressField, name: String)
  case optionInvalid(AddressField, name: String, expected: OptionShape)
  case optionConflict(AddressField, name: String, with: AddressPiece)
  case braceUnmatched(AddressField, position: Int)
  /// A placeholder with a name that isn't Nova's; they count from 1.
  case placeholderUnknown(AddressField, ordinal: Int)
  case placeholderModified(AddressField, ordinal: Int)
  case placeholderMisplaced(AddressField, ordinal: Int)
  case placeholderWithoutValue(AddressField, name: String)
  case placeholderAmbiguous(AddressField, name: String)
  case baseInvalid(AddressField, AddressPiece)
  case baseMissing(AddressField)
}

/// A piece of an address, as messages name it.
public enum AddressPiece: String, Hashable, Sendable {
  case text, scheme, user, password, host, port, path, options, fragment
}

extension AddressError: CustomStringConvertible {
  public var description: String {
    switch self {
    case .empty(let field):
      "The \(field) address is empty. Give one, such as \(field.example)."
    case .tooLong(let field, let limit):
      "The \(field) address is longer than \(limit) bytes. Check what was passed for it."
    case .forbiddenCharacter(let field, let position):
      "The \(field) address has a control, a space or an invisible mark at byte \(position). "
        + "Remove it, or percent-encode it if it belongs to a password."
    case .notUTF8(let field, let piece):
      "The \(piece) of the \(field) address isn't UTF-8. Write it in UTF-8, percent-encoded."
    case .controlInPiece(let field, let piece):
      "The \(field) address holds an encoded control or invisible mark (\(piece)). Remove it."
    case .unencoded(let field, let character):
      "The \(field) address has a raw '\(Self.text(character))' after its hosts. Percent-encode "
        + "it as %\(PercentCoding.hexadecimal(character)); in a password ':', '/', '?', '#', "
        + "'@' and ',' must all be encoded."
    case .schemeMissing, .schemeUnknown, .driverUnknown: schemeDescription
    case .hostMissing, .hostInvalid, .portInvalid, .databaseMissing, .pieceNotAllowed,
      .credentialsMixed:
      placeDescription
    case .optionUnknown, .optionWithoutValue, .optionRepeated, .optionInvalid, .optionConflict:
      optionDescription
    default: templateDescription
    }
  }

  private static func text(_ character: UInt8) -> String { String(UnicodeScalar(character)) }

  private var schemeDescription: String {
    switch self {
    case .schemeMissing(let field):
      "The \(field) address has no scheme. Begin it with one, such as \(field.example)."
    case .schemeUnknown(let field, let scheme):
      "The \(field) address has the scheme '\(scheme)', which isn't known. "
        + "Use one of: \(field.schemes)."
    case .driverUnknown(let engine, let driver):
      "The database address names the driver '\(driver)', which isn't known for \(engine). "
        + "Use one of: \(engine.drivers.joined(separator: ", ")), or none."
    default: ""
    }
  }

  private var placeDescription: String {
    switch self {
    case .hostMissing(let field, let host):
      "Host \(host) of the \(field) address has credentials but no name. Write it after the '@'."
    case .hostInvalid(let field, let host):
      "Host \(host) of the \(field) address isn't a host name, an IPv4 address or an IPv6 address "
        + "in brackets. Correct it; encode '@' in a password as %40."
    case .portInvalid(let field, let host):
      "The port of host \(host) of the \(field) address isn't a number from 1 to 65535. Correct "
        + "it; percent-encode ':', '/', '?', '#' and ',' in a password."
    case .databaseMissing(let engine):
      "The database address names no database. Write it as the path: \(engine)://HOST/NAME."
    case .pieceNotAllowed(let field, let piece, let scheme):
      "The \(field) address has a \(piece), which \(scheme):// doesn't take. Remove it."
    case .credentialsMixed(let host):
      "Host \(host) of the queue address has credentials, and one before it has none. Give them "
        + "to every host, or move those without to the end; encode ',' in a password as %2C."
    default: ""
    }
  }

  private var optionDescription: String {
    switch self {
    case .optionUnknown(let field, let scheme, let name):
      "The \(field) address has the option '\(name)', which isn't known for \(scheme)://. "
        + "Correct or remove it; docs/addresses.md lists the known ones."
    case .optionWithoutValue(let field, let name):
      "The option '\(name)' of the \(field) address has no value. Write \(name)=VALUE."
    case .optionRepeated(let field, let name):
      "The option '\(name)' of the \(field) address is there twice. Keep one."
    case .optionInvalid(let field, let name, let expected):
      "The option '\(name)' of the \(field) address isn't \(expected). Correct it."
    case .optionConflict(let field, let name, let piece):
      "The option '\(name)' of the \(field) address says what its \(piece) says already. Keep one."
    default: ""
    }
  }

  private var templateDescription: String {
    switch self {
    case .braceUnmatched(let field, let position):
      "The \(field) template has a brace without its partner at byte \(position). Write a literal "
        + "brace twice, or percent-encode it as %7B or %7D."
    case .placeholderUnknown(let field, let ordinal):
      "Placeholder \(ordinal) of the \(field) template isn't one of Nova's. "
        + "Use \(PlaceholderName.list), or a literal brace twice."
    case .placeholderModified(let field, let ordinal):
      "Placeholder \(ordinal) of the \(field) template has an attribute, an index or a format. "
        + "Write the name alone."
    case .placeholderMisplaced(let field, let ordinal):
      "Placeholder \(ordinal) of the \(field) template stands where only a literal or one whole "
        + "placeholder may stand. Move it."
    case .placeholderWithoutValue(let field, let name):
      "The \(field) template asks for {\(name)}, which the base address doesn't have. Write it "
        + "out in the template, or name a base that has it with --base or CELLMAP_BASE."
    case .placeholderAmbiguous(let field, let name):
      "The \(field) template asks for {\(name)}, but its base has several hosts. Use the numbered "
        + "names ({\(name)1} …), or all four as {username}:{password}@{hostname}:{port}."
    case .baseInvalid(let field, let piece):
      "The \(piece) of the base for \(field) templates can't be read. Correct the base address."
    case .baseMissing(let field):
      "The \(field) address is a template, and there is no base for it. Name the nova.conf it "
        + "was made for with --base or CELLMAP_BASE."
    default: ""
    }
  }
}

extension AddressField: CustomStringConvertible {
  public var description: String {
    switch self {
    case .database: "database"
    case .queue: "queue"
    }
  }

  var example: String {
    switch self {
    case .database: "mysql+pymysql://USER:PASSWORD@HOST/NAME"
    case .queue: "rabbit://USER:PASSWORD@HOST:5672/VHOST"
    }
  }

  var schemes: String {
    switch self {
    case .database: "sqlite, mysql, mariadb, postgresql (with +DRIVER where wanted)"
    case .queue: QueueAddress.Transport.allCases.map(\.rawValue).joined(separator: ", ")
    }
  }
}
