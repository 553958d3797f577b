import Journal
import Testing

@Suite struct AddressFuzzTests {
  private static let pieces: [String] = [
    "mysql", "mysql+pymysql", "mariadb", "postgresql", "sqlite", "rabbit", "kombu", "none", "fake",
    "://", ":", "/", "//", "@", "?", "#", "&", "=", ",", "[", "]", "[::1]", "::", ".", "%", "%40",
    "%2F", "%00", "%zz", "%25", "+", "h", "H2", "db.example", "10.0.0.1", "3306", "5672", "0",
    "65536", "u", "user", "p", "nova", "charset=utf8", "ssl=1", "password=x", "host=/run",
    "host=a,b",
    "unix_socket=/s", "port=1", ":memory:", "..", "{", "}", "ü", "\u{202E}", " ", "\n", "\u{0}",
  ]

  private func randomText(_ numbers: inout SeededNumbers) -> [UInt8] {
    if UInt8.random(in: 0..<8, using: &numbers) == 0 {
      return (0..<Int.random(in: 0..<60, using: &numbers)).map { _ in
        UInt8.random(in: 0...255, using: &numbers)
      }
    }
    var bytes: [UInt8] = []
    if Bool.random(using: &numbers) {
      bytes = Array((Self.pieces[..<9].randomElement(using: &numbers) ?? "").utf8) + "://".utf8
    }
    for _ in 0..<Int.random(in: 0..<14, using: &numbers) {
      bytes += (Self.pieces.randomElement(using: &numbers) ?? "").utf8
    }
    return bytes
  }

  private func isPrintableASCII(_ text: ByteText) -> Bool {
    text.string.utf8.allSatisfy { (0x21...0x7E).contains($0) }
  }

  @Test func `never traps, keeps the original, and reads its own public form again`() throws {
    let seed = UInt64.random(in: 0...UInt64.max)
    print("seed \(seed)")
    var numbers = SeededNumbers(state: seed)
    var accepted = 0
    for _ in 0..<30_000 {
      let text = Secret(randomText(&numbers))
      if let address = try? DatabaseAddress(parsing: text) {
        accepted += 1
        #expect(address.printed == text)
        let form = address.publicForm
        #expect(isPrintableASCII(form))
        let again = try database(form.string)
        #expect(again.publicForm == form)
        #expect(
          again.normalisedLocation(baseDirectory: "/b")
            == address.normalisedLocation(baseDirectory: "/b"))
      }
      if let address = try? QueueAddress(parsing: text) {
        accepted += 1
        #expect(address.printed == text)
        let form = address.publicForm
        #expect(isPrintableASCII(form))
        let again = try queue(form.string)
        #expect(again.publicForm == form)
        #expect(again.normalisedLocation == address.normalisedLocation)
      }
    }
    #expect(accepted > 500, "seed \(seed)")
  }
}
