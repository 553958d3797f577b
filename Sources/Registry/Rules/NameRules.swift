internal import Journal

/// Which texts from outside the map takes. It keeps them byte by byte, and compares them so.
enum NameRules {
  /// Nova's columns hold 255 characters.
  static let maximumScalars = 255

  /// A host name: 1 to 255 of ASCII letters, digits, `-`, `_`, `.` and `:`; case counts, since the
  /// host's queue is named by it.
  static func checkHost(_ name: ByteText) throws(Refusal) {
    let bytes = name.string.utf8
    guard (1...255).contains(bytes.count), bytes.allSatisfy(isHostByte) else {
      throw .badName(
        what: "The host name \(visible(name))",
        why: "must be 1 to 255 ASCII letters, digits, '-', '_', '.' or ':'")
    }
  }

  private static func isHostByte(_ byte: UInt8) -> Bool {
    switch byte {
    case 0x30...0x39, 0x41...0x5A, 0x61...0x7A, UInt8(ascii: "-"), UInt8(ascii: "_"),
      UInt8(ascii: "."), UInt8(ascii: ":"):
      true
    default: false
    }
  }

  /// A name of a cell, a project or a user: 1 to 255 characters, none of which controls a terminal
  /// or the direction of text. It is not normalised.
  // Hot path: ASCII without controls, which nearly all names are, is looked at once, as bytes.
  static func check(_ text: ByteText, what: String) throws(Refusal) {
    let bytes = text.string.utf8Span.span
    if (1...maximumScalars).contains(bytes.count), isPlain(bytes) { return }
    let scalars = text.string.unicodeScalars
    guard !scalars.isEmpty, scalars.count <= maximumScalars else {
      throw .badName(what: what, why: "must have 1 to \(maximumScalars) characters")
    }
    guard !scalars.contains(where: controls) else {
      throw .badName(
        what: "\(what) \(visible(text))", why: "holds a control or a bidirectional mark")
    }
  }

  private static func isPlain(_ bytes: Span<UInt8>) -> Bool {
    // Ranges of bytes and of places are generics here that nobody specialises: ten times the cost.
    var place = 0
    while place < bytes.count {
      let byte = bytes[place]
      guard byte >= 0x20, byte < 0x7F else { return false }
      place += 1
    }
    return true
  }

  /// A reason: at most 4,096 bytes; line ends are allowed, other controls are not.
  static func checkReason(_ text: ByteText) throws(Refusal) {
    guard text.string.utf8.count <= 4096 else {
      throw .badName(what: "The reason", why: "must have at most 4,096 bytes")
    }
    guard !text.string.unicodeScalars.contains(where: { $0 != "\n" && controls($0) }) else {
      throw .badName(
        what: "The reason \(visible(text))", why: "holds a control or a bidirectional mark")
    }
  }

  /// Nova's own upgrade commands leave such a row behind, which maps nothing: whoever reads it back
  /// passes it over.
  private static let markerProject: ByteText = "INSTANCE_MIGRATION_MARKER"

  static func check(_ id: InstanceID) throws(Refusal) {
    guard id.isNovaMarker else { return }
    throw .badName(what: "The UUID \(id)", why: "is that of Nova's marker row, and no instance's")
  }

  static func check(_ owner: InstanceOwner) throws(Refusal) {
    if let project = owner.project?.clearText {
      try check(project, what: "The project")
      guard project != markerProject else {
        throw .badName(
          what: "The project \(project)", why: "marks a row of Nova's that maps nothing")
      }
    }
    if let user = owner.user?.clearText { try check(user, what: "The user") }
  }

  /// C0 and C1 controls, line and paragraph separators, bidirectional marks and isolates.
  static func controls(_ scalar: Unicode.Scalar) -> Bool {
    switch scalar.value {
    case 0...0x1F, 0x7F...0x9F, 0x061C, 0x200E, 0x200F, 0x2028...0x202E, 0x2066...0x2069: true
    default: false
    }
  }

  /// What an entity is called, in the same way.
  static func visible(_ entity: EntityKey) -> String {
    visible(ByteText(entity.description))
  }

  /// The text with controls written as `\u{…}`, shortened to 80 characters.
  static func visible(_ text: ByteText) -> String {
    var result = ""
    for scalar in text.string.unicodeScalars.prefix(80) {
      result +=
        controls(scalar)
        ? "\\u{\(String(scalar.value, radix: 16))}" : String(Character(scalar))
    }
    return text.string.unicodeScalars.count > 80 ? result + "…" : result
  }
}
