import ArgumentParser

/// Texts that are kept in clear for ever: none of them may hold an address with a password.
enum PlainText {
  /// A sentence may name a page of the web, but no user of it.
  static func checkSentence(_ text: String?, _ what: String) throws {
    for word in (text ?? "").split(whereSeparator: \.isWhitespace) {
      guard let mark = word.firstRange(of: "://"), word[mark.upperBound...].contains("@") else {
        continue
      }
      throw refusal(what)
    }
  }

  static func checkName(_ text: String?, _ what: String) throws {
    if let text, HiddenArguments.looksLikeAddress(text) { throw refusal(what) }
  }

  private static func refusal(_ what: String) -> ValidationError {
    ValidationError(
      "\(what) holds an address, and would be kept in clear, with its password. Leave it out.")
  }
}
