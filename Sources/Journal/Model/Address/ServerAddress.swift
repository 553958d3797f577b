/// A server of a database or queue: a name or IP address, and a port.
public struct ServerAddress: Hashable, Sendable {
  /// A host name or IPv4 address in lower case, or an IPv6 address as RFC 5952 writes it, without
  /// brackets; ASCII only.
  public let host: ByteText
  /// Always known: where none is written it is the default of the scheme.
  public let port: UInt16

  public init(host: ByteText, port: UInt16) {
    self.host = host
    self.port = port
  }

  var isIPv6: Bool { host.string.utf8.contains(.colon) }

  /// The name as a part of `normalisedLocation`: without the dot that ends a full domain name.
  var locationText: String {
    guard host.string.utf8.last == UInt8(ascii: "."), host.string.utf8.count > 1 else {
      return description
    }
    return "\(host.string.dropLast()):\(port)"
  }
}

extension ServerAddress: CustomStringConvertible {
  /// `host:port`, an IPv6 host in brackets.
  public var description: String { isIPv6 ? "[\(host)]:\(port)" : "\(host):\(port)" }
}

/// Reads host names and ports; nil means that the text is none.
enum HostText {
  /// A port from 1 to 65535, of at most five digits.
  static func port(_ text: some Collection<UInt8>) -> UInt16? {
    guard (1...5).contains(text.count) else { return nil }
    var value = 0
    for byte in text {
      guard (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(byte) else { return nil }
      value = value * 10 + Int(byte - UInt8(ascii: "0"))
    }
    return (1...65535).contains(value) ? UInt16(value) : nil
  }

  /// A name of letters, digits, `-` and `_` in labels of at most 63 bytes, 253 in all; in lower
  /// case. One dot may end it.
  static func name(_ text: some Collection<UInt8>) -> ByteText? {
    guard (1...253).contains(text.count) else { return nil }
    var lowered: [UInt8] = []
    var labelLength = 0
    for byte in text {
      if byte == UInt8(ascii: ".") {
        guard labelLength > 0 else { return nil }
        labelLength = 0
      } else {
        guard PercentCoding.isLetterOrDigit(byte) || byte == UInt8(ascii: "-") || byte == 0x5F,
          labelLength < 63
        else { return nil }
        labelLength += 1
      }
      lowered.append((0x41...0x5A).contains(byte) ? byte | 0x20 : byte)
    }
    return ByteText(utf8: lowered)
  }

  /// The eight groups of an IPv6 address, which may end in an IPv4 one; zones are refused, since
  /// they mean something on one machine only.
  static func ipv6(_ text: some Collection<UInt8>) -> ByteText? {
    guard (2...45).contains(text.count) else { return nil }
    var groups: [UInt16] = []
    var gap: Int?
    var fields = text.split(separator: .colon, omittingEmptySubsequences: false)[...]
    if fields.first?.isEmpty == true {
      guard fields.dropFirst().first?.isEmpty == true else { return nil }
      fields = fields.dropFirst()
    }
    if fields.last?.isEmpty == true, fields.count > 1 {
      guard fields.dropLast().last?.isEmpty == true else { return nil }
      fields = fields.dropLast()
    }
    while let field = fields.popFirst() {
      if field.isEmpty {
        guard gap == nil else { return nil }
        gap = groups.count
      } else if fields.isEmpty, field.contains(UInt8(ascii: ".")) {
        guard let pair = ipv4Groups(field) else { return nil }
        groups += pair
      } else {
        guard let group = ipv6Group(field) else { return nil }
        groups.append(group)
      }
    }
    guard gap == nil ? groups.count == 8 : groups.count < 8 else { return nil }
    if let gap { groups.insert(contentsOf: repeatElement(0, count: 8 - groups.count), at: gap) }
    return ByteText(shortest(groups))
  }

  private static func ipv6Group(_ text: some Collection<UInt8>) -> UInt16? {
    guard text.count <= 4 else { return nil }
    var value: UInt16 = 0
    for byte in text {
      guard let digit = Character(UnicodeScalar(byte)).hexDigitValue, byte < 0x80 else {
        return nil
      }
      value = value << 4 | UInt16(digit)
    }
    return value
  }

  private static func ipv4Groups(_ text: some Collection<UInt8>) -> [UInt16]? {
    let parts = text.split(separator: UInt8(ascii: "."), omittingEmptySubsequences: false)
    guard parts.count == 4 else { return nil }
    var bytes: [UInt16] = []
    for part in parts {
      guard (1...3).contains(part.count) else { return nil }
      var value = 0
      for byte in part {
        guard (0x30...0x39).contains(byte) else { return nil }
        value = value * 10 + Int(byte - 0x30)
      }
      guard value <= 255 else { return nil }
      bytes.append(UInt16(value))
    }
    return [bytes[0] << 8 | bytes[1], bytes[2] << 8 | bytes[3]]
  }

  /// RFC 5952: lower case, no leading zeros, the first longest run of two or more zero groups
  /// shortened.
  private static func shortest(_ groups: [UInt16]) -> String {
    var longest = 0..<0
    var start = 0
    while start < groups.count {
      var end = start
      while end < groups.count, groups[end] == 0 { end += 1 }
      if end - start > max(longest.count, 1) { longest = start..<end }
      start = max(end, start + 1)
    }
    func hexadecimal(_ part: ArraySlice<UInt16>) -> String {
      part.map { String($0, radix: 16) }.joined(separator: ":")
    }
    if longest.isEmpty { return hexadecimal(groups[...]) }
    return hexadecimal(groups[..<longest.lowerBound]) + "::"
      + hexadecimal(groups[longest.upperBound...])
  }
}
