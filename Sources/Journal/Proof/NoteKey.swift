internal import Crypto

/// The public half of a key that signs notes, under a name: checks Ed25519 signatures.
public struct NoteKey: Hashable, Sendable {
  public let name: String
  /// 32 bytes.
  public let publicKey: [UInt8]

  /// The number of Ed25519 in C2SP's list of algorithms.
  private static let ed25519: UInt8 = 1
  static let publicKeyBytes = 32

  init(name: String, publicKey: [UInt8]) {
    precondition(Self.isName(name) && publicKey.count == Self.publicKeyBytes, "a key under a name")
    self.name = name
    self.publicKey = publicKey
  }

  /// Reads `NAME+HASH+KEY`, the form in which verifiers are handed on; nil for anything else.
  public init?(_ text: String) {
    let parts = text.split(separator: "+", maxSplits: 2, omittingEmptySubsequences: false)
    guard parts.count == 3, Self.isName(String(parts[0])),
      let bytes = Base64.standard.bytes(of: String(parts[2])),
      bytes.count == Self.publicKeyBytes + 1, bytes[0] == Self.ed25519
    else { return nil }
    self.init(name: String(parts[0]), publicKey: Array(bytes[1...]))
    guard self.text == text else { return nil }
  }

  /// Names have no spaces, no plus and no control characters.
  static func isName(_ text: String) -> Bool {
    !text.isEmpty
      && text.unicodeScalars.allSatisfy { scalar in
        scalar != "+" && !scalar.properties.isWhitespace && scalar.value >= 0x20
      }
  }

  /// Which of the keys of its name: SHA-256(name ‖ newline ‖ 1 ‖ key), the first four bytes.
  public var hash: [UInt8] {
    Array(
      TreeHash.plain(Array(name.utf8) + [0x0A, Self.ed25519] + publicKey).bytes[..<4])
  }

  /// `NAME+HASH+KEY`.
  public var text: String {
    let digits = hash.map { ($0 < 16 ? "0" : "") + String($0, radix: 16) }.joined()
    return "\(name)+\(digits)+\(Base64.standard.text(of: [Self.ed25519] + publicKey))"
  }

  /// The key as OpenSSL reads it (SubjectPublicKeyInfo, RFC 8410).
  public var pem: String {
    let head: [UInt8] = [0x30, 0x2A, 0x30, 0x05, 0x06, 0x03, 0x2B, 0x65, 0x70, 0x03, 0x21, 0x00]
    return """
      -----BEGIN PUBLIC KEY-----
      \(Base64.standard.text(of: head + publicKey))
      -----END PUBLIC KEY-----

      """
  }

  /// The same key under another name: a store's key signs each epoch under the epoch's name.
  public func named(_ name: String) -> NoteKey { NoteKey(name: name, publicKey: publicKey) }

  /// Whether the note bears a valid signature of this key.
  public func verifies(_ note: SignedNote) -> Bool {
    guard let key = try? Curve25519.Signing.PublicKey(rawRepresentation: publicKey) else {
      return false
    }
    return note.signatures.contains { signature in
      signature.name == name && signature.keyHash == hash
        && key.isValidSignature(signature.bytes, for: Array(note.text.utf8))
    }
  }
}
