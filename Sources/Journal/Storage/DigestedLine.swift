/// One line of JSON whose member `digest` is the SHA-256 of the line without that member, so that a
/// changed byte shows.
enum DigestedLine {
  /// The line of an object's members, with the digest.
  static func bytes(of members: [String: JSONValue]) -> [UInt8] {
    var members = members
    members["digest"] = digest(of: members)
    return Array(JSONValue.object(members).line.utf8) + [UInt8(ascii: "\n")]
  }

  /// The members of a line, without the digest; nil if it is not such a line.
  static func members(of bytes: [UInt8]) -> [String: JSONValue]? {
    guard let value = try? JSONValue(parsing: bytes), case .object(var members) = value,
      let found = members.removeValue(forKey: "digest"), found == digest(of: members),
      Array(value.line.utf8) + [UInt8(ascii: "\n")] == bytes
    else { return nil }
    return members
  }

  private static func digest(of members: [String: JSONValue]) -> JSONValue {
    .printed(TreeHash.plain(Array(JSONValue.object(members).line.utf8)))
  }
}
