/// Why bytes are no signed note, or a note no checkpoint.
public enum NoteError: Error, Equatable, Sendable, CustomStringConvertible {
  /// The bytes break the form; what breaks it is named.
  case malformed(String)

  public var description: String {
    switch self {
    case .malformed(let what): "It is no signed checkpoint: \(what)."
    }
  }
}

/// A text and signatures over it, in the form of C2SP's signed notes: text that people can read, mail
/// and print, and that anybody can check with the public key.
public struct SignedNote: Hashable, Sendable {
  /// One line under the text.
  public struct Signature: Hashable, Sendable {
    /// The name of the key.
    public let name: String
    /// Which of the keys of that name: the first four bytes of a digest of it.
    public let keyHash: [UInt8]
    public let bytes: [UInt8]
  }

  /// What is signed: lines, each with its newline.
  public let text: String
  public internal(set) var signatures: [Signature]

  /// Bytes of a note at most.
  public static let maximumBytes = 64 << 10
  private static let maximumSignatures = 16
  private static let dash = "\u{2014} "

  init(text: String, signatures: [Signature] = []) {
    self.text = text
    self.signatures = signatures
  }

  /// The whole note: the text, an empty line, and a line for each signature.
  public var content: String {
    text + "\n"
      + signatures.map { signature in
        let base64 = Base64.standard.text(of: signature.keyHash + signature.bytes)
        return "\(Self.dash)\(signature.name) \(base64)\n"
      }.joined()
  }

  /// Reads a note; no signature of it is checked by that.
  ///
  /// - Throws: `malformed`.
  public init(parsing bytes: [UInt8]) throws(NoteError) {
    guard bytes.count <= Self.maximumBytes else { throw .malformed("it is too long") }
    guard let content = String(validating: bytes, as: UTF8.self) else {
      throw .malformed("it is not UTF-8")
    }
    guard bytes.allSatisfy({ $0 >= 0x20 || $0 == 0x0A }) else {
      throw .malformed("it holds control characters")
    }
    guard bytes.last == 0x0A else { throw .malformed("its last line has no end") }
    var lines = content.split(separator: "\n", omittingEmptySubsequences: false).dropLast()
    var signatures: [Signature] = []
    while let line = lines.last, line.hasPrefix(Self.dash) {
      guard let signature = Signature(line.dropFirst(Self.dash.count)) else {
        throw .malformed("a line of a signature has another form")
      }
      signatures.insert(signature, at: 0)
      lines.removeLast()
    }
    guard let last = lines.popLast(), last.isEmpty, lines.last?.isEmpty == false else {
      throw .malformed("no empty line stands before its signatures")
    }
    guard (1...Self.maximumSignatures).contains(signatures.count) else {
      throw .malformed("it has \(signatures.count) signatures")
    }
    self.init(text: lines.map { $0 + "\n" }.joined(), signatures: signatures)
  }
}

extension SignedNote.Signature {
  /// The line behind the dash: `NAME BASE64`.
  fileprivate init?(_ line: Substring) {
    let parts = line.split(separator: " ", omittingEmptySubsequences: false)
    guard parts.count == 2, NoteKey.isName(String(parts[0])),
      let bytes = Base64.standard.bytes(of: String(parts[1])), bytes.count > 4
    else { return nil }
    self.init(name: String(parts[0]), keyHash: Array(bytes[..<4]), bytes: Array(bytes[4...]))
  }
}
