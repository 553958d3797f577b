/// The checks and decoders that database and queue addresses share.
enum AddressText {
  /// The longest address; Nova's column holds 65,535 bytes, real addresses a few hundred.
  static let limitBytes = 8192

  /// The whole text, once nothing in it is invisible, blank or too long.
  static func whole(
    _ original: Secret, _ field: AddressField
  ) throws(AddressError) -> SecretBytes {
    let text = SecretBytes(of: original)
    if text.isEmpty { throw .empty(field) }
    if text.count > limitBytes { throw .tooLong(field, limitBytes: limitBytes) }
    do {
      try TextCheck.check(text, spaceAllowed: false)
    } catch {
      switch error {
      case .notUTF8: throw .notUTF8(field, .text)
      case .invisible(let position): throw .forbiddenCharacter(field, position: position)
      }
    }
    return text
  }

  /// Throws unless decoded bytes are UTF-8 without controls; a space may come out of `%20`.
  static func check(
    _ decoded: some Sequence<UInt8>, _ field: AddressField, _ piece: AddressPiece
  ) throws(AddressError) {
    do {
      try TextCheck.check(decoded, spaceAllowed: true)
    } catch {
      throw error == .notUTF8 ? .notUTF8(field, piece) : .controlInPiece(field, piece)
    }
  }

  /// A piece that may be shown, decoded once.
  static func decoded(
    _ text: SecretBytes, _ field: AddressField, _ piece: AddressPiece
  ) throws(AddressError) -> ByteText {
    let bytes = PercentCoding.decoded(text)
    try check(bytes, field, piece)
    guard let decoded = ByteText(utf8: bytes) else { throw .notUTF8(field, piece) }
    return decoded
  }

  /// A password, decoded once.
  static func password(
    _ text: SecretBytes, _ field: AddressField
  ) throws(AddressError) -> Secret {
    let secret = PercentCoding.decodedSecret(text)
    try check(SecretBytes(of: secret), field, .password)
    return secret
  }

  /// The scheme in lower case, or nil if it can't be one: 1 to 32 letters, digits, `+`, `-`, `.`,
  /// `_`, a letter first.
  static func scheme(_ text: some Collection<UInt8>) -> String? {
    guard (1...32).contains(text.count), let first = text.first,
      PercentCoding.isLetterOrDigit(first), !(0x30...0x39).contains(first),
      text.allSatisfy({ PercentCoding.isLetterOrDigit($0) || "+-._".utf8.contains($0) })
    else { return nil }
    return String(decoding: text, as: UTF8.self).lowercased()
  }

  /// The server that a host of the layout names; nil where nothing is written.
  static func server(
    _ host: AddressLayout<SecretBytes>.Host, ordinal: Int, defaultPort: UInt16,
    _ field: AddressField
  ) throws(AddressError) -> ServerAddress? {
    if host.isMalformed { throw .hostInvalid(field, host: ordinal) }
    var port = defaultPort
    if let text = host.port {
      guard let value = HostText.port(text) else { throw .portInvalid(field, host: ordinal) }
      port = value
    }
    guard let name = host.name else {
      if host.port != nil { throw .hostMissing(field, host: ordinal) }
      return nil
    }
    guard let host = host.isBracketed ? HostText.ipv6(name) : HostText.name(name) else {
      throw .hostInvalid(field, host: ordinal)
    }
    return ServerAddress(host: host, port: port)
  }
}
