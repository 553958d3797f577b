@testable import Journal
import Testing

@Suite struct SignedNoteTests {
  /// The example of Go's package of signed notes, from which C2SP's form comes.
  static let example = """
    If you think cryptography is the answer to your problem,
    then you don't know what your problem is.

    \u{2014} PeterNeumann x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdngotpRZb6KE6RyyBwJnAM=

    """
  static let verifier = "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW"

  @Test func `takes the note and the key that others published`() throws {
    let note = try SignedNote(parsing: Array(Self.example.utf8))
    let key = try #require(NoteKey(Self.verifier))
    #expect(key.verifies(note))
    #expect(note.content == Self.example && key.text == Self.verifier)
    #expect(!key.named("PeterNeumann2").verifies(note))
  }

  @Test func `a changed text, signature or key is not verified`() throws {
    let key = try #require(NoteKey(Self.verifier))
    let bytes = Array(Self.example.utf8)
    var taken = 0
    for place in bytes.indices {
      var changed = bytes
      changed[place] ^= 1
      if let note = try? SignedNote(parsing: changed), key.verifies(note) { taken += 1 }
    }
    #expect(taken == 0)
    for place in Self.verifier.utf8.indices {
      var changed = Array(Self.verifier.utf8)
      changed[Self.verifier.utf8.distance(from: Self.verifier.startIndex, to: place)] ^= 1
      #expect(NoteKey(String(decoding: changed, as: UTF8.self))?.text != Self.verifier)
    }
  }

  @Test(arguments: [
    "", "\n", "text\n", "text\n\n", "text\n\n\u{2014} name\n", "text\n\n\u{2014} name AAAA\n",
    "text\n\u{2014} name AAAAAAA=\n", "text\n\n\u{2014} na+me AAAAAAA=\n",
    "text\n\n\u{2014} name AAAAAAA=", "te\u{1}xt\n\n\u{2014} name AAAAAAA=\n",
    "\n\n\u{2014} name AAAAAAA=\n",
  ])
  func `refuses what is no note`(text: String) {
    #expect(throws: NoteError.self) { try SignedNote(parsing: Array(text.utf8)) }
  }

  @Test func `refuses bytes that are no UTF-8, too many, and too many signatures`() {
    let line = "\u{2014} name AAAAAAA=\n"
    let many = "text\n\n" + String(repeating: line, count: 17)
    for bytes in [
      Array(many.utf8), [0xFF] + Array("\n\n\(line)".utf8),
      Array((String(repeating: "x", count: 70_000) + "\n\n" + line).utf8),
    ] {
      #expect(throws: NoteError.self) { try SignedNote(parsing: bytes) }
    }
  }

  @Test func `base64 reads exactly what it writes`() {
    for text in ["", "Zg==", "Zm8=", "Zm9v", "Zm9vYg==", "+/+/"] {
      #expect(Base64.standard.bytes(of: text).map { Base64.standard.text(of: $0) } == text)
    }
    #expect(Base64.standard.bytes(of: "Zm9vYmFy") == Array("foobar".utf8))
    for text in ["Zg", "Zg=", "Zh==", "Z===", "Zg==Zg==", "Zm9v\n", "-_-_", "Zm 9"] {
      #expect(Base64.standard.bytes(of: text) == nil, "\(text)")
    }
  }
}
