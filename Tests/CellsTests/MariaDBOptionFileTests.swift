import Foundation
import Glibc
import Journal
import Testing
import TestSupport

@testable import Cells

/// What is read of a MySQL option file, and what isn't followed in silence.
@Suite struct MariaDBOptionFileTests {
  /// The options of an address whose option file has this text.
  private func options(
    _ text: String, _ address: String = "mysql:///nova", in folder: String
  ) throws -> MariaDBOptions {
    let path = folder + "/my.cnf"
    try text.write(toFile: path, atomically: false, encoding: .utf8)
    let separator = address.contains("?") ? "&" : "?"
    return try MariaDBOptions(
      DatabaseAddress(
        parsing: Secret("\(address)\(separator)read_default_file=\(path)&read_default_group=cells")),
      until: soon())
  }

  private func refusal(_ text: String, in folder: String) -> String {
    do {
      _ = try options(text, in: folder)
      return ""
    } catch {
      return "\(error)"
    }
  }

  @Test func `takes the groups of clients and the named one, the last word first`() throws {
    try withTemporaryFolder { folder in
      let found = try options(
        """
        user = nobody
        [mysqld]
        user = mysql
        ssl-crl = /server's/own
        [client]
        user = first ; kept
        host= DB.example
        prompt = "x"
        init-command = DROP DATABASE nova
        [ client-mariadb ]
        port=3310  # a comment
        password
        [cells]
        loose-user = 'the # last'  # a comment
        """, in: folder)
      #expect(found.user == "the # last")
      #expect(found.password == nil)
      let server = ServerAddress(host: "db.example", port: 3310)
      #expect(try found.place == .servers([server]))
    }
  }

  @Test(arguments: [
    ("a b", "a b"), ("  x\t", "x"), (#""a # b""#, "a # b"), ("'it''s'", "it"),
    (#"a\\b\s\"c"#, #"a\b "c"#),
    (#"a\qb"#, #"a\qb"#), ("p#ss", "p#ss"), ("p #ss", "p"), ("\"open", "open"), (#"'a\'b'"#, "a'b"),
    ("ünï=x", "ünï=x"),
  ])
  func `reads a value as clients do`(written: String, value: String) throws {
    try withTemporaryFolder { folder in
      let found = try options("[client]\npassword=\(written)\n", in: folder)
      #expect(found.password == Secret(value))
    }
  }

  @Test func `takes the place of the file only where the address has none`() throws {
    try withTemporaryFolder { folder in
      let text = "[client]\nhost = a\nport = 1\nsocket = /s\nuser = u\npassword = p\ndatabase = d"
      let own = try options(text, "mysql://me:mine@h/nova", in: folder)
      #expect(try own.place == .servers([ServerAddress(host: "h", port: 3306)]))
      #expect(own.user == "me" && own.password == Secret("mine") && own.database == "nova")
      let files = try options(text, "mysql:///", in: folder)
      #expect(try files.place == .servers([ServerAddress(host: "a", port: 1)]))
      #expect(files.user == "u" && files.password == Secret("p") && files.database == "d")
      let socket = try options("[client]\nsocket = /run/my.sock", in: folder)
      #expect(try socket.place == .socket(path: "/run/my.sock", port: 3306))
    }
  }

  @Test(arguments: [
    ("", "ssl-ca=/ca", (MariaDBTLS.Use.always, true, true)),
    ("", "ssl_ca = /ca\nssl-verify-server-cert = 0", (.always, true, false)),
    ("", "ssl-ca=/ca\nskip-ssl-verify-server-cert", (.always, true, false)),
    ("", "ssl-verify-server-cert", (.always, true, true)),
    ("", "ssl", (.always, false, false)), ("", "ssl-cert=/c", (.always, false, false)),
    ("", "ssl-mode=PREFERRED", (.ifOffered, false, false)),
    ("", "ssl-ca=/ca\nskip-ssl", (.never, false, false)),
    ("", "user=u", (.never, false, false)),
    // The file adds to what the address asks, and takes nothing back.
    ("?ssl_ca=/a", "skip-ssl\nssl-mode=DISABLED\nssl-verify-server-cert=0", (.always, true, true)),
    ("?ssl=true", "ssl-ca=/ca", (.always, true, true)),
    ("?ssl=true", "ssl-mode=VERIFY_IDENTITY", (.always, true, true)),
    ("?ssl_cert=/c&ssl_key=/k", "ssl-verify-server-cert", (.always, true, true)),
    ("?tls_version=TLSv1.3", "ssl-mode=VERIFY_CA", (.always, true, false)),
    ("?ssl_ca=/a", "ssl-mode=VERIFY_CA", (.always, true, true)),
    ("?ssl=true", "ssl-mode=PREFERRED", (.always, false, false)),
    ("?ssl_disabled=true", "ssl-ca=/ca", (.never, false, false)),
    ("?ssl_verify_identity=false", "ssl-ca=/ca", (.always, true, false)),
  ])
  func `follows the file's TLS`(
    query: String, lines: String, expected: (MariaDBTLS.Use, Bool, Bool)
  ) throws {
    try withTemporaryFolder { folder in
      let tls = try MariaDBTLS(
        options("[client]\n\(lines)\n", "mysql://u:p@h/n\(query)", in: folder))
      #expect((tls.use, tls.verifiesAuthority, tls.verifiesName) == expected)
    }
  }

  @Test(arguments: [
    "ssl-crl = /crl", "ssl-fp = 00", "tls-newest = 1", "skip-ssl-crl", "ssl-ca", "ssl = perhaps",
    "[cells", "!exec x", "!include", "user = a\0b",
  ])
  func `names what it can't follow`(line: String) throws {
    try withTemporaryFolder { folder in
      let message = refusal("[client]\n\(line)\n", in: folder)
      #expect(message.contains("'\(folder)/my.cnf'"), "\(line): \(message)")
      #expect(message.contains("read_default_file"), "\(line): \(message)")
    }
  }

  @Test func `follows includes, a folder's in the order of their names, and ends a ring`() throws {
    try withTemporaryFolder { folder in
      try FileManager.default.createDirectory(
        atPath: folder + "/conf.d", withIntermediateDirectories: false)
      for (name, text) in [
        ("conf.d/b.cnf", "[client]\nuser = b"), ("conf.d/a.cnf", "[client]\nuser = a\nhost = h"),
        ("conf.d/c.txt", "[client]\nuser = c"), ("one", "[cells]\nport = 7"),
      ] {
        try text.write(toFile: "\(folder)/\(name)", atomically: false, encoding: .utf8)
      }
      let found = try options(
        "!include \(folder)/one\n[client]\n!includedir \(folder)/conf.d\n", in: folder)
      #expect(found.user == "b")
      #expect(try found.place == .servers([ServerAddress(host: "h", port: 7)]))
      #expect(refusal("!include \(folder)/my.cnf", in: folder).contains("more than 64 files"))
      #expect(refusal("!include \(folder)/none", in: folder).contains("No such file"))
      #expect(refusal("!includedir \(folder)/none", in: folder).contains("No such file"))
    }
  }

  @Test func `refuses a pipe, a folder, a huge file and one that isn't there`() throws {
    try withTemporaryFolder { folder in
      #expect(mkfifo(folder + "/pipe", 0o600) == 0)
      let huge = FileManager.default.createFile(
        atPath: folder + "/huge", contents: Data(repeating: 0x0A, count: (1 << 20) + 1))
      #expect(huge)
      for (name, word) in [
        ("pipe", "is a pipe"), ("", "is no file"), ("huge", "more than 1048576 bytes"),
        ("none", "No such file"),
      ] {
        let address = try DatabaseAddress(
          parsing: Secret("mysql:///?read_default_file=\(folder)/\(name)"))
        do {
          _ = try MariaDBOptions(address, until: soon())
          Issue.record("'\(name)' was read")
        } catch {
          #expect("\(error)".contains(word), "\(error)")
        }
      }
    }
  }

  @Test func `a group without a file is refused`() throws {
    let address = try DatabaseAddress(parsing: Secret("mysql://h/n?read_default_group=cells"))
    #expect(
      throws: DatabaseError.optionUnusable(
        name: "read_default_group", reason: "the address has no read_default_file")
    ) { try MariaDBOptions(address, until: soon()) }
  }
}
