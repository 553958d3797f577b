/// A name that Nova's templates may ask for.
enum PlaceholderName: String, CaseIterable, Hashable, Sendable {
  case scheme, username, password, hostname, port, path, query, fragment

  /// Whether it also comes with a number, for a base of several hosts.
  var isNumbered: Bool {
    switch self {
    case .username, .password, .hostname, .port: true
    case .scheme, .path, .query, .fragment: false
    }
  }

  static var list: String { allCases.map { "{\($0.rawValue)}" }.joined(separator: " ") }
}
