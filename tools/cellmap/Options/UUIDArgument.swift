/// What is said of an argument that should be a UUID and isn't.
enum UUIDArgument {
  /// - Parameter what: The argument, if it isn't the instance itself: `--after`.
  static func complaint(about text: String, _ what: String = "") -> String {
    let shown = HiddenArguments.shown(text)
    let prefix = what.isEmpty ? "" : what + " "
    guard text.count == 32, text.allSatisfy(\.isHexDigit) else {
      return "\(prefix)\(shown) is not a UUID of 36 characters. Write it as 8-4-4-4-12 digits."
    }
    var rest = Substring(text)
    let parts = [8, 4, 4, 4, 12].map { count in
      defer { rest = rest.dropFirst(count) }
      return rest.prefix(count)
    }
    return "\(prefix)\(shown) lacks its dashes. Give \(parts.joined(separator: "-").lowercased())."
  }
}
