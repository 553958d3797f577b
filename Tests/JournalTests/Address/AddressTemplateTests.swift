import Journal
import Testing

@Suite struct AddressTemplateExpandTests {
  private func expanded(
    _ template: String, _ base: String, _ field: AddressField = .queue
  ) throws(AddressError) -> String? {
    try AddressTemplate(parsing: Secret(template), of: field).expand(base: Secret(base))
      .exposedText()
  }

  private static let single = "rabbit://bob:s3kret@localhost:123/nova?ssl=1#baz"
  private static let double =
    "rabbit://alice:n0ts3kret@otherhost:456,bob:s3kret@localhost:123/nova?ssl=1#baz"
  private static let full = "{scheme}://{username}:{password}@{hostname}:{port}/{path}?{query}"

  @Test(arguments: [
    (
      "{scheme}://not{username}:{password}@{hostname}:1{port}/{path}?{query}"
        + "&heartbeat_rate=4#{fragment}", single,
      "rabbit://notbob:s3kret@localhost:1123/nova?ssl=1&heartbeat_rate=4#baz"
    ),
    (
      "{scheme}://not{username2}:{password1}@{hostname2}:1{port1}/{path}?{query}#{fragment}",
      double, "rabbit://notbob:n0ts3kret@localhost:1456/nova?ssl=1#baz"
    ),
    (
      "{scheme}://not{username2}:{password1}@[{hostname2}]:1{port1}/{path}",
      "rabbit://alice:n0ts3kret@otherhost:456,bob:s3kret@[1:2::7]:123/nova",
      "rabbit://notbob:n0ts3kret@[1:2::7]:1456/nova"
    ),
    (
      "{scheme}://not{username1}:{password2}@{hostname2}:1{port2}/{path}",
      "rabbit://alice@otherhost,bob:s3kret@localhost:123/nova",
      "rabbit://notalice:s3kret@localhost:1123/nova"
    ),
    (
      "{scheme}://not{username2}:{password2}@{hostname1}:1{port2}/{path}",
      "rabbit://otherhost,bob:s3kret@localhost:123/nova",
      "rabbit://notbob:s3kret@otherhost:1123/nova"
    ),
    (full, "rabbit://a:b@c:1,d:e@f:2/vh", "rabbit://a:b@c:1,d:e@f:2/vh?"),
    (
      "rabbit://{username}:{password}@[{hostname}]:{port}/", "rabbit://a:b@c:1,d:e@[::1]:2/vh",
      "rabbit://a:b@c:1,d:e@[::1]:2/"
    ),
    ("rabbit://{username}:{password}@h/v", "rabbit://u%40x:p%2Fq@g//x", "rabbit://u%40x:p%2Fq@h/v"),
    ("rabbit://{username}:{password}@H/{path}", "rabbit://u:@G//x", "rabbit://u:@H/x"),
    (
      "{scheme}://{username1}:{password1}@{hostname1}:{port1},"
        + "{username2}:{password2}@{hostname2}:{port2}/cell2?{query}",
      "rabbit://a:b%40x@mq1:5671,c:d%2Fx@mq2:5672/api?ssl=1",
      "rabbit://a:b%40x@mq1:5671,c:d%2Fx@mq2:5672/cell2?ssl=1"
    ),
    ("rabbit://u:a{{b}}{password}@{hostname}/v", "rabbit://u:p@G", "rabbit://u:a{b}p@g/v"),
  ])
  func `gives what Nova gives`(template: String, base: String, result: String) throws {
    #expect(try expanded(template, base) == result)
  }

  @Test(arguments: [
    (
      "{scheme}://{username}:{password}@cell1-db/{path}?{query}",
      "mysql+pymysql://nova:p%40w@api/nova?charset=utf8",
      "mysql+pymysql://nova:p%40w@cell1-db/nova?charset=utf8"
    ),
    ("{scheme}:////{path}_cell1", "sqlite:////srv/x", "sqlite:////srv/x_cell1"),
    ("{scheme}:///nova_cell2.sqlite", "sqlite:///nova_api.sqlite", "sqlite:///nova_cell2.sqlite"),
    ("sqlite:///{path}", "sqlite:////srv/x", "sqlite:///srv/x"),
  ])
  func `gives what Nova gives for databases`(
    template: String, base: String, result: String
  ) throws {
    #expect(try expanded(template, base, .database) == result)
    #expect(try database(result).printed == Secret(result))
  }

  @Test(arguments: [
    (
      "rabbit://{username}@h", "rabbit://h:1/",
      AddressError.placeholderWithoutValue(.queue, name: "username")
    ),
    (
      "rabbit://u:{password}@h", "rabbit://u@h/", .placeholderWithoutValue(.queue, name: "password")
    ),
    ("rabbit://{hostname}", "rabbit:///v", .placeholderWithoutValue(.queue, name: "hostname")),
    ("rabbit://h:{port}", "rabbit://h/v", .placeholderWithoutValue(.queue, name: "port")),
    ("rabbit://{hostname3}", double, .placeholderWithoutValue(.queue, name: "hostname3")),
    ("rabbit://{hostname1}", single, .placeholderWithoutValue(.queue, name: "hostname1")),
    (
      "rabbit://{username1}@h", "rabbit://g,u:p@h",
      .placeholderWithoutValue(.queue, name: "username1")
    ),
    ("rabbit://{username}:x@{hostname}", double, .placeholderAmbiguous(.queue, name: "username")),
    ("rabbit://{hostname}:{port}/", double, .placeholderAmbiguous(.queue, name: "hostname")),
    (
      "rabbit://{username}:{password}@{hostname}/", double,
      .placeholderAmbiguous(.queue, name: "username")
    ),
    ("rabbit://h:{port}", "rabbit://u:p4ss/34@h/v", .baseInvalid(.queue, .port)),
    ("rabbit://{hostname}", "nova", .baseInvalid(.queue, .scheme)),
    ("rabbit://{hostname}", "rabbit://[::1/", .baseInvalid(.queue, .host)),
    ("rabbit://{hostname}", "", .baseInvalid(.queue, .text)),
  ])
  func `refuses a piece that the base doesn't have`(
    template: String, base: String, error: AddressError
  ) {
    #expect(throws: error) { try expanded(template, base) }
  }

  @Test func `resolves templates and leaves addresses alone`() throws {
    let plain = Secret("rabbit://u:p@h/v")
    #expect(try AddressField.queue.resolved(plain, base: nil) == plain)
    let template = Secret("rabbit://{username}:{password}@h2/v")
    #expect(
      try AddressField.queue.resolved(template, base: plain) == Secret("rabbit://u:p@h2/v"))
    #expect(throws: AddressError.baseMissing(.queue)) {
      try AddressField.queue.resolved(template, base: nil)
    }
    let escaped = Secret("rabbit://u:{{p}}@h/v")
    #expect(try AddressField.queue.resolved(escaped, base: nil) == Secret("rabbit://u:{p}@h/v"))
  }
}

@Suite struct AddressTemplateParseTests {
  private func template(
    _ text: String, _ field: AddressField = .queue
  ) throws(AddressError) -> AddressTemplate {
    try AddressTemplate(parsing: Secret(text), of: field)
  }

  @Test func `an address with a brace is a template`() {
    #expect(AddressTemplate.isTemplate(Secret("rabbit://{hostname}/")))
    #expect(AddressTemplate.isTemplate(Secret("rabbit://u:a}@h/")))
    #expect(!AddressTemplate.isTemplate(Secret("rabbit://u:p@h/")))
  }

  @Test(arguments: [
    ("rabbit://{}@h/", AddressError.placeholderUnknown(.queue, ordinal: 1)),
    ("rabbit://{username}@{host}/", .placeholderUnknown(.queue, ordinal: 2)),
    ("rabbit://{username0}@h/", .placeholderUnknown(.queue, ordinal: 1)),
    ("rabbit://h/{path1}", .placeholderUnknown(.queue, ordinal: 1)),
    ("rabbit://{0}@h/", .placeholderUnknown(.queue, ordinal: 1)),
    ("rabbit://{username.__class__}@h/", .placeholderModified(.queue, ordinal: 1)),
    ("rabbit://{username[0]}@h/", .placeholderModified(.queue, ordinal: 1)),
    ("rabbit://{username!r}@h/", .placeholderModified(.queue, ordinal: 1)),
    ("rabbit://h:{port:5}/", .placeholderModified(.queue, ordinal: 1)),
    ("rabbit://u:a{b@h/", .braceUnmatched(.queue, position: 13)),
    ("rabbit://u:a}b@h/", .braceUnmatched(.queue, position: 13)),
    ("rabbit://u:p@h/{password}", .placeholderMisplaced(.queue, ordinal: 1)),
    ("rabbit://{password}@h/", .placeholderMisplaced(.queue, ordinal: 1)),
    ("rabbit://{password2}/", .placeholderMisplaced(.queue, ordinal: 1)),
    ("x{scheme}://h/", .placeholderMisplaced(.queue, ordinal: 1)),
    ("rabbit://h/v?ssl_version={password}", .placeholderMisplaced(.queue, ordinal: 1)),
    ("rabbit://h/v?{path}=1", .placeholderMisplaced(.queue, ordinal: 1)),
    ("rabbit://h/v?colour={port}", .optionUnknown(.queue, scheme: "rabbit", name: "colour")),
    ("{scheme}://h/v?colour=1", .optionUnknown(.queue, scheme: "{scheme}", name: "colour")),
    ("{hostname}/v", .schemeMissing(.queue)),
    ("bogus://{hostname}", .schemeUnknown(.queue, scheme: "bogus")),
    ("rabbit://u:p@h@{hostname}/v@w", .unencoded(.queue, character: 0x40)),
    ("rabbit://h{port}!/", .hostInvalid(.queue, host: 1)),
    ("rabbit://{hostname}:x{port}/", .portInvalid(.queue, host: 1)),
    ("rabbit://{hostname}/v#x", .unencoded(.queue, character: 0x23)),
  ])
  func `refuses what can't become an address`(text: String, error: AddressError) {
    #expect(throws: error) { try template(text) }
  }

  @Test(arguments: [
    "rabbit://{username}:{password}@{hostname}:{port}/{path}?{query}#{fragment}",
    "rabbit://not{username2}:{password1}@[{hostname2}]:1{port1}/v?ssl=1&{query}",
  ])
  func `keeps a template without literal secrets as it is`(text: String) throws {
    #expect(try template(text).publicForm.string == text)
    #expect(try template(text).printed == Secret(text))
  }

  @Test(arguments: [
    (AddressField.queue, "rabbit://nova:hunter2@{hostname}/v", "rabbit://nova:****@{hostname}/v"),
    (.queue, "Rabbit://u:a{password}b{{c@H{port}/v", "rabbit://u:****{password}****@h{port}/v"),
    (
      .queue, "rabbit://a:b@{hostname1},c:d@{hostname2}",
      "rabbit://a:****@{hostname1},c:****@{hostname2}"
    ),
    (
      .database, "mysql://{username}:p/w@{hostname}/{path}",
      "mysql://{username}:****@{hostname}/{path}"
    ),
    (.database, "mysql://h/n?password=x&{query}", "mysql://h/n?password=****&{query}"),
    (.database, "{scheme}://h/n?password={password}", "{scheme}://h/n?password={password}"),
    (.database, "sqlite:///{path}_ü", "sqlite:///{path}_%C3%BC"),
  ])
  func `masks literal secrets and keeps placeholders`(
    field: AddressField, text: String, form: ByteText
  ) throws {
    #expect(try field.publicForm(of: Secret(text)) == form)
  }

  @Test(arguments: Canary.all)
  func `never shows a secret of a template or of its base`(secret: String) {
    let shapes: [(AddressField, String, String)] = [
      (.queue, "rabbit://{username}:", "@{hostname}/v"), (.queue, "rabbit://u:{password}", "@h"),
      (.database, "{scheme}://u:", "{port}@h/n"), (.database, "mysql://{hostname}/n?password=", ""),
      (.database, "mysql://u:{", "}@h/n"),
    ]
    for (field, before, after) in shapes {
      for text in [secret, Canary.encoded(secret)] {
        let shown: String
        do {
          let template = try AddressTemplate(parsing: Secret(before + text + after), of: field)
          shown = "\(template.publicForm) \(template) \(String(reflecting: template))"
        } catch {
          shown = "\(error) \(String(reflecting: error))"
        }
        for form in Canary.forms(of: secret) { #expect(!shown.contains(form)) }
      }
    }
    for text in [secret, Canary.encoded(secret)] {
      do {
        let template = Secret("rabbit://{username}:{password}@{hostname}:{port}/{path}?{query}")
        let base = Secret("rabbit://u:\(text)@h:1/v")
        let address = try QueueAddress(
          parsing: AddressField.queue.resolved(template, base: base))
        #expect(!address.publicForm.string.contains(text))
      } catch {
        #expect(!"\(error) \(String(reflecting: error))".contains(text))
      }
    }
  }

  @Test func `never traps on random text`() {
    let seed = UInt64.random(in: 0...UInt64.max)
    print("seed \(seed)")
    var numbers = SeededNumbers(state: seed)
    let pieces = [
      "{", "}", "{{", "}}", "{username}", "{password}", "{hostname}", "{port}", "{path}", "{query}",
      "{scheme}", "{fragment}", "{username1}", "{hostname2}", "rabbit", "mysql", "://", ":", "@",
      "/",
      "?", "#", ",", "[", "]", "u", "p", "h", "1", "ssl=1", "&", "=", "%40", "ü",
    ]
    func random(_ count: Int, from start: String) -> String {
      (0..<count).reduce(into: start) { text, _ in
        text += pieces.randomElement(using: &numbers) ?? ""
      }
    }
    var expandedCount = 0
    for _ in 0..<20_000 {
      let field = Bool.random(using: &numbers) ? AddressField.queue : .database
      let text = Secret(random(Int.random(in: 0..<12, using: &numbers), from: "{scheme}://"))
      let base = Secret(random(Int.random(in: 0..<10, using: &numbers), from: "rabbit://u:p@h:1"))
      guard let template = try? AddressTemplate(parsing: text, of: field) else { continue }
      #expect(template.printed == text)
      #expect(template.publicForm.string.utf8.allSatisfy { (0x21...0x7E).contains($0) })
      if (try? template.expand(base: base)) != nil { expandedCount += 1 }
    }
    #expect(expandedCount > 100, "seed \(seed)")
  }
}

@Suite struct ConnectionOptionsTests {
  @Test func `writes one text for equal options and reads it again`() throws {
    let options = try ConnectionOptions([
      ("ssl_ca_file", "/etc/ca & co.pem"), ("ssl", "True"), ("rabbit_login_method", "PLAIN"),
    ])
    #expect(
      options.canonicalText
        == "rabbit_login_method=PLAIN&ssl=true&ssl_ca_file=/etc/ca%20%26%20co.pem")
    #expect(try ConnectionOptions(parsing: options.canonicalText) == options)
    #expect(options.usesTLS == true)
    #expect(options["ssl_ca_file"] == "/etc/ca & co.pem")
    #expect(try ConnectionOptions(parsing: "") == .none)
  }

  @Test func `an address overrides them`() throws {
    let options = try ConnectionOptions([("ssl", "false"), ("ssl_version", "TLSv1_2")])
    let address = try queue("rabbit://h/v?ssl=1&heartbeat_rate=2")
    #expect(options.overridden(by: address).canonicalText == "ssl=true&ssl_version=TLSv1_2")
  }

  @Test func `refuses what it doesn't know`() {
    #expect(throws: AddressError.optionUnknown(.queue, scheme: "rabbit", name: "rabbit_password")) {
      try ConnectionOptions([("rabbit_password", "x")])
    }
    #expect(throws: AddressError.optionRepeated(.queue, name: "ssl")) {
      try ConnectionOptions([("ssl", "1"), ("ssl", "0")])
    }
    #expect(throws: AddressError.optionInvalid(.queue, name: "ssl", expected: .flag)) {
      try ConnectionOptions([("ssl", "maybe")])
    }
    #expect(throws: AddressError.optionWithoutValue(.queue, name: "ssl")) {
      try ConnectionOptions(parsing: "ssl")
    }
  }
}
