import Journal
import Testing

@Suite struct DatabaseAddressParseTests {
  @Test func `reads every piece of a full address`() throws {
    let address = try database("mysql+pymysql://u:p@h:3307/nova?charset=utf8")
    #expect(address.engine == .mysql)
    #expect(address.dialect == "mysql")
    #expect(address.driver == "pymysql")
    #expect(address.user == "u")
    #expect(address.password == Secret("p"))
    #expect(address.place == .servers([ServerAddress(host: "h", port: 3307)]))
    #expect(address.database == "nova")
    #expect(address.options == [AddressOption(name: "charset", value: .clear("utf8"))])
  }

  @Test(arguments: [
    ("sqlite:///rel.db", DatabaseAddress.Place.file(path: "rel.db")),
    ("sqlite:////abs/x.db", .file(path: "/abs/x.db")),
    ("sqlite:////srv/a@b%20c.db", .file(path: "/srv/a@b c.db")),
    ("sqlite://", .memory),
    ("sqlite:///:memory:", .memory),
    ("sqlite+pysqlite:///rel.db?timeout=5", .file(path: "rel.db")),
  ])
  func `reads a file`(text: String, place: DatabaseAddress.Place) throws {
    #expect(try database(text).place == place)
  }

  @Test(arguments: [
    ("mysql://h/n", "h:3306"), ("mariadb+mysqldb://DB.Example/n", "db.example:3306"),
    ("postgresql://h/n", "h:5432"), ("postgresql+psycopg2://h:/n", "h:5432"),
    ("mysql://[::1]:3307/n", "[::1]:3307"),
    ("mysql://[2001:DB8:0:0:0:0:0:1]/n", "[2001:db8::1]:3306"),
    ("mysql:///n", "localhost:3306"), ("mysql:///n?port=3310", "localhost:3310"),
  ])
  func `reads a server and its port`(text: String, server: String) throws {
    guard case .servers(let servers) = try database(text).place else {
      Issue.record("not a server")
      return
    }
    #expect(servers.map(\.description) == [server])
  }

  @Test(arguments: [
    ("postgresql+psycopg2://u:p@/nova?host=/var/run/postgresql", "/var/run/postgresql", 5432),
    ("postgresql://u:p@/nova?host=/run/pg&port=5433", "/run/pg", 5433),
    ("mysql+pymysql://u:p@/nova?unix_socket=/run/my.sock", "/run/my.sock", 3306),
    ("mysql+pymysql://u:p@localhost/nova?unix_socket=%2Frun%2Fmy.sock", "/run/my.sock", 3306),
  ])
  func `reads a socket`(text: String, path: ByteText, port: UInt16) throws {
    #expect(try database(text).place == .socket(path: path, port: port))
  }

  @Test(arguments: [
    "postgresql://u:p@/n?host=h1:5433&host=h2", "postgresql://u:p@/n?host=h1,h2&port=5433,5432",
    "postgresql://u:p@/n?host=h1:5433,h2:5432",
  ])
  func `reads a list of PostgreSQL servers`(text: String) throws {
    let servers = [ServerAddress(host: "h1", port: 5433), ServerAddress(host: "h2", port: 5432)]
    #expect(try database(text).place == .servers(servers))
  }

  @Test(arguments: [
    ("mysql://u:p%40%2Fw@h/n", "u", "p@/w"), ("mysql://u:p/w@h/n", "u", "p/w"),
    ("mysql://u:p?w#x:y@h/n", "u", "p?w#x:y"), ("mysql://u:p%2540@h/n", "u", "p%40"),
    ("mysql://u:100%@h/n", "u", "100%"), ("mysql://u:a+b@h/n", "u", "a+b"),
    ("mysql://us%40er:p@h/n", "us@er", "p"), ("mysql://us@er:p@h/n", "us@er", "p"),
    ("mysql://h/n?user=u&password=p%26w", "u", "p&w"), ("mysql://u@h/n?passwd=a+b", "u", "a b"),
    ("postgresql://u:{x}@h/n", "u", "{x}"),
  ])
  func `decodes user and password once`(text: String, user: ByteText, password: String) throws {
    let address = try database(text)
    #expect(address.user == user)
    #expect(address.password == Secret(password))
  }

  @Test(arguments: [
    ("", AddressError.empty(.database)),
    ("h:3306/n", .schemeMissing(.database)), ("/srv/nova.db", .schemeMissing(.database)),
    ("://h/n", .schemeMissing(.database)), ("u:p@h/n", .schemeMissing(.database)),
    ("postgres://h/n", .schemeUnknown(.database, scheme: "postgres")),
    ("bogus://h/n", .schemeUnknown(.database, scheme: "bogus")),
    ("mysql+nosuch://h/n", .driverUnknown(engine: .mysql, driver: "nosuch")),
    ("mysql://u:p@w@h/n", .unencoded(.database, character: 0x40)),
    ("mysql://u:p@h/n?charset=a@b", .unencoded(.database, character: 0x40)),
    ("mysql://u:p@h/n#top", .unencoded(.database, character: 0x23)),
    ("mysql://u:p@h:0/n", .portInvalid(.database, host: 1)),
    ("mysql://u:p@h:65536/n", .portInvalid(.database, host: 1)),
    ("mysql://u:p@h:99999999999999999999/n", .portInvalid(.database, host: 1)),
    ("mysql://u:p@h:port/n", .portInvalid(.database, host: 1)),
    ("mysql://u:p@h:+33/n", .portInvalid(.database, host: 1)),
    ("mysql://u:p@h1,h2/n", .hostInvalid(.database, host: 1)),
    ("mysql://u:p@[::1/n", .hostInvalid(.database, host: 1)),
    ("mysql://u:p@[::1]x/n", .hostInvalid(.database, host: 1)),
    ("mysql://u:p@[fe80::1%25eth0]/n", .hostInvalid(.database, host: 1)),
    ("mysql://u:p@[1:2:3]/n", .hostInvalid(.database, host: 1)),
    ("mysql://u:p@h..x/n", .hostInvalid(.database, host: 1)),
    ("mysql://u:p@hö/n", .hostInvalid(.database, host: 1)),
    ("mysql://u:p@:3306/n", .hostMissing(.database, host: 1)),
    ("mysql://u:p@h", .databaseMissing(.mysql)), ("postgresql://h/", .databaseMissing(.postgresql)),
    ("sqlite://u:p@h/x.db", .pieceNotAllowed(.database, .user, scheme: "sqlite")),
    ("sqlite://srv/x.db", .pieceNotAllowed(.database, .host, scheme: "sqlite")),
    ("mysql://h/n\n", .forbiddenCharacter(.database, position: 12)),
    ("mysql://h/a b", .forbiddenCharacter(.database, position: 12)),
    ("mysql://u:p\u{0}@h/n", .forbiddenCharacter(.database, position: 12)),
    ("mysql://u:p\u{202E}@h/n", .forbiddenCharacter(.database, position: 14)),
    ("mysql://u:%00@h/n", .controlInPiece(.database, .password)),
    ("mysql://u:%FF@h/n", .notUTF8(.database, .password)),
    ("mysql://u%0A:p@h/n", .controlInPiece(.database, .user)),
    ("mysql://h/n%1B", .controlInPiece(.database, .path)),
  ])
  func `refuses what it can't read`(text: String, error: AddressError) {
    #expect(throws: error) { try database(text) }
  }

  @Test func `refuses bytes that aren't UTF-8`() {
    let bytes = Array("mysql://h/".utf8) + [0xC3, 0x28]
    #expect(throws: AddressError.notUTF8(.database, .text)) {
      try DatabaseAddress(parsing: Secret(bytes))
    }
  }

  @Test func `refuses more than its limit`() {
    let text = "mysql://h/" + String(repeating: "n", count: 1_000_000)
    #expect(throws: AddressError.tooLong(.database, limitBytes: 8192)) { try database(text) }
  }

  @Test(arguments: [
    (
      "mysql://h/n?charsett=utf8",
      AddressError.optionUnknown(.database, scheme: "mysql", name: "charsett")
    ),
    ("sqlite:///x?charset=1", .optionUnknown(.database, scheme: "sqlite", name: "charset")),
    ("mysql://h/n?%1b[2J=1", .optionUnknown(.database, scheme: "mysql", name: "(not a name)")),
    ("mysql://h/n?charset", .optionWithoutValue(.database, name: "charset")),
    ("mysql://h/n?charset=", .optionWithoutValue(.database, name: "charset")),
    ("mysql://h/n?charset=a&charset=b", .optionRepeated(.database, name: "charset")),
    (
      "mysql://h/n?connect_timeout=soon",
      .optionInvalid(
        .database, name: "connect_timeout", expected: .number(upTo: 31_536_000))
    ),
    (
      "mysql://h/n?connect_timeout=1.2.3",
      .optionInvalid(
        .database, name: "connect_timeout", expected: .number(upTo: 31_536_000))
    ),
    (
      "mysql://h/n?connect_timeout=31536000.5",
      .optionInvalid(
        .database, name: "connect_timeout", expected: .number(upTo: 31_536_000))
    ),
    (
      "postgresql://h/n?keepalives_count=128",
      .optionInvalid(.database, name: "keepalives_count", expected: .wholeNumber(upTo: 127))
    ),
    (
      "postgresql://h/n?keepalives_idle=1.5",
      .optionInvalid(.database, name: "keepalives_idle", expected: .wholeNumber(upTo: 32_767))
    ),
    (
      "mysql://h/n?ssl_verify_cert=maybe",
      .optionInvalid(.database, name: "ssl_verify_cert", expected: .flag)
    ),
    ("mysql://h/n?charset=a%20b", .optionInvalid(.database, name: "charset", expected: .text)),
    ("mysql://u@h/n?user=v", .optionConflict(.database, name: "user", with: .user)),
    ("mysql://u:p@h/n?password=q", .optionConflict(.database, name: "password", with: .password)),
    ("postgresql://h/n?host=g", .optionConflict(.database, name: "host", with: .host)),
    ("postgresql://h/n?port=1", .optionConflict(.database, name: "port", with: .host)),
    ("mysql://h/n?unix_socket=/s", .optionConflict(.database, name: "unix_socket", with: .host)),
    ("mysql://h/n?ssl_ca=%00", .controlInPiece(.database, .options)),
  ])
  func `refuses options that it doesn't know or that contradict`(text: String, error: AddressError)
  {
    #expect(throws: error) { try database(text) }
  }

  @Test(arguments: [
    "mysql://h/n?ssl_ca=/ca&ssl_cert=/c&ssl_key=/k&ssl_verify_cert=true",
    "mysql+mysqldb://u:p@h/n?read_default_file=/etc/my.cnf&read_default_group=tripleo",
    "mysql:///?read_default_file=/etc/my.cnf", "mysql://h/n?charset=utf8mb4&&connect_timeout=10&",
    "postgresql://h/n?sslmode=verify-full&sslrootcert=/ca&application_name=nova", "mysql://h/n?",
  ])
  func `takes the options that deployers write`(text: String) throws {
    #expect(try database(text).printed == Secret(text))
  }
}
