import Journal
import Testing

@Suite struct AddressPublicFormTests {
  @Test(arguments: [
    ("rabbit://u:p@h:5672/vh", "rabbit://u:****@h:5672/vh"),
    ("rabbit://u:p@h1:1,u2:p2@h2:2/v", "rabbit://u:****@h1:1,u2:****@h2:2/v"),
    ("none:///", "none:///"), ("none://", "none:///"),
    ("rabbit://token@h", "rabbit://token@h:5672/"),
    ("rabbit://", "rabbit://guest:****@localhost:5672/"),
    (
      "Rabbit://us@er:p@H//?ssl=1&heartbeat_rate=2",
      "rabbit://us%40er:****@h:5672/?heartbeat_rate=2&ssl=1"
    ),
    ("rabbit://h/v%2fh", "rabbit://h:5672/v%2Fh"),
    ("rabbit://[0:0::1]/v", "rabbit://[::1]:5672/v"),
  ])
  func `keeps every host of a queue and hides every password`(text: String, form: ByteText) throws {
    #expect(try queue(text).publicForm == form)
  }

  @Test(arguments: [
    ("sqlite:////srv/x.db", "sqlite:////srv/x.db"), ("sqlite:///rel.db", "sqlite:///rel.db"),
    ("sqlite:///:memory:", "sqlite://"),
    ("sqlite:////a%20b", "sqlite:////a%20b"),
    ("mysql+pymysql://u:p/w@h/db", "mysql+pymysql://u:****@h:3306/db"),
    ("mysql://h/db?user=u&password=pw", "mysql://u:****@h:3306/db"),
    (
      "postgresql://u@h/db?sslpassword=pw&sslkey=/k&passfile=/p",
      "postgresql://u@h:5432/db?passfile=****&sslkey=/k&sslpassword=****"
    ),
    (
      "mysql://u:p@/n?unix_socket=/run/s&charset=utf8",
      "mysql://u:****@/n?charset=utf8&unix_socket=/run/s"
    ),
    ("postgresql:///n?host=h2,h1&port=1", "postgresql:///n?host=h2:1,h1:1"),
    ("mysql://h/ü", "mysql://h:3306/%C3%BC"),
  ])
  func `keeps the place of a database and hides every secret`(text: String, form: ByteText) throws {
    #expect(try database(text).publicForm == form)
  }

  @Test(arguments: [
    ("mysql+pymysql://u:p@DB:3306/nova?charset=utf8", "mysql://x:y@db/nova"),
    ("mariadb://db./nova", "mysql+mysqldb://db/nova"),
    ("postgresql:///n?host=a,b", "postgresql+psycopg2://u@/n?host=b:5432&host=a"),
    ("mysql://[::1]/n", "mysql://[0:0:0:0:0:0:0:1]:3306/n"),
    ("sqlite:///nova.db", "sqlite:////srv/base/./sub/..//nova.db?timeout=3"),
    ("mysql:///n", "mysql://localhost/n"),
  ])
  func `finds the same database behind two spellings`(one: String, other: String) throws {
    let locations = try [one, other].map {
      try database($0).normalisedLocation(baseDirectory: "/srv/base")
    }
    #expect(locations[0] == locations[1])
  }

  @Test(arguments: [
    ("mysql://db/nova", "mysql://db/Nova"), ("mysql://db/nova", "mysql://db:3307/nova"),
    ("mysql://db/nova", "postgresql://db:3306/nova"), ("sqlite:///a.db", "sqlite:///b.db"),
    ("sqlite:///é", "sqlite:///e\u{301}"),
    ("postgresql:///n?host=/run", "postgresql:///n?host=/run&port=5433"),
  ])
  func `tells two databases apart`(one: String, other: String) throws {
    let locations = try [one, other].map {
      try database($0).normalisedLocation(baseDirectory: "/srv")
    }
    #expect(locations[0] != locations[1])
  }

  @Test(arguments: [
    ("mysql://{username}:{password}@DB/nova?charset=utf8", "mysql+pymysql://u:p@db:3306/nova"),
    ("{scheme}://{username}:x@Cell1/{path}", "{scheme}://a:b@cell1/{path}?charset=utf8"),
    ("sqlite:///x{{.db", "sqlite:///./x%7B.db"),
  ])
  func `finds the same database behind a template`(one: String, other: String) throws {
    let locations = try [one, other].map {
      try AddressField.database.normalisedLocation(of: Secret($0), baseDirectory: "/srv")
    }
    #expect(locations[0] == locations[1])
    let forms = try [one, other].map { try AddressField.database.publicForm(of: Secret($0)) }
    let again = try forms.map {
      try AddressField.database.normalisedLocation(of: Secret($0.string), baseDirectory: "/srv")
    }
    #expect(again == locations)
  }

  @Test func `tells templates apart by their literal parts`() throws {
    let locations = try ["{scheme}://{username}:{password}@", "mysql://u:p@"].flatMap { start in
      try ["c1/n", "c2/n", "c1/m", "c1:3307/n"].map {
        try AddressField.database.normalisedLocation(of: Secret(start + $0), baseDirectory: "/")
      }
    }
    #expect(Set(locations).count == 8)
  }

  @Test func `finds the same queue behind two spellings`() throws {
    let one = try queue("rabbit://a:b@H1,c:d@h2/v").normalisedLocation
    #expect(try queue("kombu://x:y@h2:5672,x:y@h1:5672/v?ssl=1").normalisedLocation == one)
  }

  /// Addresses with the secret in every field that may hold one.
  private static let shapes: [(field: AddressField, before: String, after: String)] = [
    (.database, "mysql+pymysql://u:", "@h/n"), (.database, "postgresql://u:", "@/n?host=/run"),
    (.database, "mysql://h/n?password=", ""),
    (.database, "mysql://h/n?user=u&passwd=", "&charset=x"),
    (.database, "postgresql://u:p@h/n?sslpassword=", ""), (.database, "mysql://u:", "@[::1]:1/n"),
    (.queue, "rabbit://u:", "@h/v"), (.queue, "rabbit://u:p@h1:1,u2:", "@h2:2/v"),
    (.queue, "rabbit://u:", "@h1,u2:p2@h2/v?ssl=1"), (.queue, "kombu://:", "@h"),
  ]

  /// What a person or a log may get to see of an address or of its refusal.
  private func shown(_ text: String, _ field: AddressField) -> (text: String, isAccepted: Bool) {
    do {
      switch field {
      case .database:
        let address = try database(text)
        let location = address.normalisedLocation(baseDirectory: "/")
        return ("\(address.publicForm) \(location) \(address) \(String(reflecting: address))", true)
      case .queue:
        let address = try queue(text)
        let location = address.normalisedLocation
        return ("\(address.publicForm) \(location) \(address) \(String(reflecting: address))", true)
      }
    } catch {
      return ("\(error) \(String(reflecting: error))", false)
    }
  }

  @Test(arguments: Canary.all)
  func `never shows a secret that is encoded as it should be`(secret: String) {
    for shape in Self.shapes {
      let result = shown(shape.before + Canary.encoded(secret) + shape.after, shape.field)
      #expect(result.isAccepted)
      for form in Canary.forms(of: secret) { #expect(!result.text.contains(form)) }
    }
  }

  @Test(arguments: Canary.all)
  func `never shows a secret that isn't encoded`(secret: String) {
    for shape in Self.shapes {
      let result = shown(shape.before + secret + shape.after, shape.field)
      for form in Canary.forms(of: secret) { #expect(!result.text.contains(form)) }
    }
  }

  @Test func `a secret prints as four stars`() {
    let secret = Secret("hunter2")
    #expect("\(secret)" == "****")
    #expect(String(reflecting: secret) == "****")
    var dumped = ""
    dump(secret, to: &dumped)
    #expect(!dumped.contains("hunter2"))
    #expect(secret.withExposed { $0.count } == 7)
  }
}
