import Journal

/// The arguments of this process, kept out of what it says: an address that stands in the wrong
/// place, or was cut by the shell, may hold a password.
struct HiddenArguments {
  private let arguments: [String]

  init(_ arguments: [String]) { self.arguments = arguments }

  /// The words that name the command: `cell`, `add`.
  var words: [String] {
    arguments.prefix(2).prefix { word in
      word.first != "-" && word.utf8.allSatisfy { (0x61...0x7A).contains($0) || $0 == 0x2D }
    }
  }

  /// A message about arguments that could not be understood: only plain words of it are shown.
  func masked(in message: String) -> String {
    var message = message
    for piece in brokenOff { message = message.replacing("'\(piece)'", with: "'…'") }
    return replacing(in: message) { argument in
      !argument.utf8.allSatisfy { byte in
        switch byte {
        case 0x30...0x39, 0x41...0x5A, 0x61...0x7A: true
        default: "-_.".utf8.contains(byte)
        }
      }
    }
  }

  /// Words that may be pieces of an address, which a space in its password has broken.
  private var brokenOff: Set<String> {
    var pieces: Set<String> = []
    var isBehindAddress = false
    for argument in arguments {
      if argument.contains("://") {
        isBehindAddress = true
      } else if argument.hasPrefix("-") {
        isBehindAddress = false
      } else if isBehindAddress {
        pieces.insert(argument)
      }
    }
    return pieces
  }

  /// Any other message: what looks like an address is not shown.
  func addressesMasked(in message: String) -> String {
    replacing(in: message) {
      HiddenArguments.looksLikeAddress($0) && !HiddenArguments.isWithoutSecret($0)
    }
  }

  /// Whether a text is a whole database address in which nothing has to be masked.
  private static func isWithoutSecret(_ text: String) -> Bool {
    (try? DatabaseAddress(parsing: Secret(text)))?.publicForm.string == text
  }

  /// Whether a text might be an address with a password.
  static func looksLikeAddress(_ text: String) -> Bool {
    text.contains("://") || text.contains("@") && text.contains(":")
  }

  /// The beginning of an argument, or a mark where it might be an address.
  static func shown(_ text: String) -> String {
    looksLikeAddress(text) ? "…" : String(text.prefix(80))
  }

  private func replacing(in message: String, where isHidden: (String) -> Bool) -> String {
    var pieces: [String] = []
    for argument in arguments {
      pieces.append(argument)
      if let mark = argument.firstIndex(of: "="), argument.hasPrefix("-") {
        pieces.append(String(argument[argument.index(after: mark)...]))
      }
      if argument.hasPrefix("@") { pieces.append(String(argument.dropFirst())) }
    }
    var result = message
    // A piece of white space alone hides nothing, and stands between all words.
    let hidden = pieces.filter { isHidden($0) && !$0.allSatisfy(\.isWhitespace) }
    for piece in hidden.sorted(by: { $0.utf8.count > $1.utf8.count }) {
      result = result.replacing(piece, with: "…")
      result = result.replacing(String(piece.prefix(80)), with: "…")
    }
    return result
  }
}
