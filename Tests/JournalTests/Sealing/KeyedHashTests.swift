import Testing

@testable import Journal

@Suite struct KeyedHashTests {
  /// The test cases 1 to 4 of RFC 4231, section 4.
  private static let cases: [(key: [UInt8], data: [UInt8], code: String)] = [
    (
      [UInt8](repeating: 0x0b, count: 20), Array("Hi There".utf8),
      "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7"
    ),
    (
      Array("Jefe".utf8), Array("what do ya want for nothing?".utf8),
      "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"
    ),
    (
      [UInt8](repeating: 0xaa, count: 20), [UInt8](repeating: 0xdd, count: 50),
      "773ea91e36800e46854db8ebd09181a72959098b3ef8c122d9635514ced565fe"
    ),
    (
      Array(1...25), [UInt8](repeating: 0xcd, count: 50),
      "82558a389a443c0ea4cc819899f2083a85f0faa3e578f8077a2e3ff46729665b"
    ),
  ]

  @Test func `is HMAC-SHA-256, each time anew`() {
    for (key, data, code) in Self.cases {
      let hash = key.withUnsafeBytes { KeyedHash($0) }
      #expect(hash.code(of: data.span).description == code)
      _ = hash.code(of: [UInt8](repeating: 7, count: 1_000).span)
      #expect(hash.code(of: data.span).description == code)
    }
  }
}
