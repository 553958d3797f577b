import Journal
import Testing

@Suite struct QueueAddressParseTests {
  /// A host as `user:password@host:port`, so that tables stay readable.
  private func shown(_ hosts: [QueueAddress.Host]) -> [String] {
    hosts.map { host in
      let user = host.user?.string ?? "-"
      let password = host.password?.exposedText() ?? "-"
      return "\(user) \(password) \(host.server)"
    }
  }

  @Test(arguments: [
    ("rabbit://u:p@h1:5672/vh", "vh", ["u p h1:5672"]),
    ("rabbit://u:p@h1,h2:1/", "/", ["u p h1:5672", "- - h2:1"]),
    ("rabbit://u:p@h1:1,u2:p2@h2:2/v", "v", ["u p h1:1", "u2 p2 h2:2"]),
    ("rabbit://u:p@h:5672//", "/", ["u p h:5672"]),
    ("rabbit://u:p@h/%2F", "/", ["u p h:5672"]),
    ("rabbit://u:p@h", "/", ["u p h:5672"]),
    ("rabbit://", "/", ["guest guest localhost:5672"]),
    ("rabbit:///v", "v", ["guest guest localhost:5672"]),
    ("rabbit://us%40er:p%2Fss@h/v%2Fh", "v/h", ["us@er p/ss h:5672"]),
    ("rabbit://user@dom:p@h/", "/", ["user@dom p h:5672"]),
    ("rabbit://u:p@[::1]:5672/v", "v", ["u p [::1]:5672"]),
    ("rabbit://u:p@[::FFFF:10.0.0.1]/v", "v", ["u p [::ffff:a00:1]:5672"]),
    ("KOMBU://token@H.Example/v", "v", ["token - h.example:5672"]),
    ("rabbit://u:p@h1,,u:p@h2,/v", "v", ["u p h1:5672", "u p h2:5672"]),
    ("rabbit://u:p:q@h:/v?#", "v", ["u p:q h:5672"]),
    ("none:///", "/", []), ("none://", "/", []), ("fake:///", "/", []),
  ])
  func `reads hosts and virtual host`(text: String, virtualHost: ByteText, hosts: [String]) throws {
    let address = try queue(text)
    #expect(address.virtualHost == virtualHost)
    #expect(shown(address.hosts) == hosts)
    #expect(address.printed == Secret(text))
  }

  @Test func `reads options by name`() throws {
    let address = try queue("rabbit://u:p@h/v?ssl=1&heartbeat_rate=4")
    #expect(
      address.options == [
        AddressOption(name: "heartbeat_rate", value: .clear("4")),
        AddressOption(name: "ssl", value: .clear("1")),
      ])
  }

  @Test(arguments: [
    ("", AddressError.empty(.queue)), ("h:5672/v", .schemeMissing(.queue)),
    ("rabbit:/h/v", .schemeMissing(.queue)),
    ("bogus://h/", .schemeUnknown(.queue, scheme: "bogus")),
    ("rabbit://u:p@h:port/", .portInvalid(.queue, host: 1)),
    ("rabbit://u:p@h1,h2:70000/", .portInvalid(.queue, host: 2)),
    ("rabbit://u:p@/v", .hostMissing(.queue, host: 1)),
    ("rabbit://u:p@h_1,h 2/v", .forbiddenCharacter(.queue, position: 19)),
    ("rabbit://u:p@h!/v", .hostInvalid(.queue, host: 1)),
    ("rabbit://u:p@[::1/v", .hostInvalid(.queue, host: 1)),
    ("rabbit://u:12/34@h/v", .unencoded(.queue, character: 0x40)),
    ("rabbit://u:12?34@h/v", .unencoded(.queue, character: 0x40)),
    ("rabbit://u:12#34@h/v", .unencoded(.queue, character: 0x23)),
    ("rabbit://u:12,34@h/v", .credentialsMixed(host: 2)),
    ("none://h/", .pieceNotAllowed(.queue, .host, scheme: "none")),
    ("none:///v", .pieceNotAllowed(.queue, .path, scheme: "none")),
    ("none:///?ssl=1", .optionUnknown(.queue, scheme: "none", name: "ssl")),
    ("rabbit://h/v?sll=1", .optionUnknown(.queue, scheme: "rabbit", name: "sll")),
    ("rabbit://h/v?password=x", .optionUnknown(.queue, scheme: "rabbit", name: "password")),
    ("rabbit://h/v?ssl=perhaps", .optionInvalid(.queue, name: "ssl", expected: .flag)),
    (
      "rabbit://h/v?heartbeat_timeout_threshold=65536",
      .optionInvalid(
        .queue, name: "heartbeat_timeout_threshold", expected: .wholeNumber(upTo: 65_535))
    ),
    (
      "rabbit://h/v?heartbeat_timeout_threshold=99999999999999999999",
      .optionInvalid(
        .queue, name: "heartbeat_timeout_threshold", expected: .wholeNumber(upTo: 65_535))
    ),
    (
      "rabbit://h/v?heartbeat_timeout_threshold=60.5",
      .optionInvalid(
        .queue, name: "heartbeat_timeout_threshold", expected: .wholeNumber(upTo: 65_535))
    ),
    (
      "rabbit://h/v?rabbit_interval_max=9223372036854775808",
      .optionInvalid(
        .queue, name: "rabbit_interval_max", expected: .number(upTo: 9_223_372_036_854_775_807))
    ),
    ("rabbit://h/v?ssl=1&ssl=0", .optionRepeated(.queue, name: "ssl")),
    ("rabbit://u:%0D%0A@h/v", .controlInPiece(.queue, .password)),
    ("rabbit://h/%00", .controlInPiece(.queue, .path)),
  ])
  func `refuses what it can't read`(text: String, error: AddressError) {
    #expect(throws: error) { try queue(text) }
  }

  @Test func `says that a scheme is missing`() {
    let message = AddressError.schemeMissing(.queue).description
    #expect(message.contains("no scheme") && message.contains("rabbit://"))
  }
}
