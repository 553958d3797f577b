import Glibc
import Journal
import TestSupport
import Testing

@testable import cellmap

@Suite(.waiting) struct NovaConfigurationReadTests {
  private func read(
    _ texts: String..., environment: [String: String] = [:]
  ) throws(NovaConfigurationError) -> NovaConfiguration {
    var files: [ConfigurationFile] = []
    for (index, text) in texts.enumerated() {
      files.append(try ConfigurationFile(path: "\(index + 1).conf", text: Array(text.utf8)))
    }
    return try NovaConfiguration(files: files, environment: environment)
  }

  @Test func `finds the addresses and the connection options`() throws {
    let configuration = try read(
      """
      # a comment
      ; another
      [DEFAULT]
      transport_url = rabbit://u:p@h1:5672,u2:p2@h2:5672/v
      debug: true
      [api_database]
      connection: mysql+pymysql://u:p=1@h/nova_api
      [DATABASE]
      connection = "mysql+pymysql://u:p@h/nova?charset=utf8"

      [oslo_messaging_rabbit]
      ssl = True
      kombu_ssl_ca_certs = /etc/ca.pem
      heartbeat_rate = 3
      """)
    #expect(configuration.transportURL == Secret("rabbit://u:p@h1:5672,u2:p2@h2:5672/v"))
    #expect(configuration.apiDatabase == Secret("mysql+pymysql://u:p=1@h/nova_api"))
    #expect(configuration.database == Secret("mysql+pymysql://u:p@h/nova?charset=utf8"))
    #expect(configuration.connectionOptions.canonicalText == "ssl=true&ssl_ca_file=/etc/ca.pem")
  }

  @Test func `has nothing where nothing is set`() throws {
    let configuration = try read("[database]\nconnection =\n[default]\ntransport_url = x")
    #expect(configuration.database == nil)
    #expect(configuration.transportURL == nil)
    #expect(configuration.connectionOptions == .none)
  }

  @Test func `a later file wins, and in one file the last line`() throws {
    let configuration = try read(
      "[database]\nconnection = a\nconnection = b\n[api_database]\nconnection = x",
      "[database]\nconnection = c\n[database]\nconnection = d")
    #expect(configuration.database == Secret("d"))
    #expect(configuration.apiDatabase == Secret("x"))
  }

  @Test func `the environment wins over files`() throws {
    let configuration = try read(
      "[DEFAULT]\nsecret = s\ntransport_url = a",
      environment: [
        "OS_DEFAULT__TRANSPORT_URL": "rabbit://$secret@h", "OS_DATABASE__CONNECTION": "c",
        "OS_OSLO_MESSAGING_RABBIT__SSL": "1",
      ])
    #expect(configuration.transportURL == Secret("rabbit://s@h"))
    #expect(configuration.database == Secret("c"))
    #expect(configuration.connectionOptions.usesTLS == true)
  }

  @Test(arguments: [
    ("$user", "root"), ("${user}", "root"), ("$database.user", "dbuser"),
    ("${database.user}x", "dbuserx"), ("$own", "mine"), ("pa$$word", "pa$word"),
    ("pa\\$word", "pa$word"), ("100$", "100$"), ("a$!b", "a$!b"), ("${user", "${user"),
    ("${nested}", "<root>"), ("$empty.", "$empty."),
  ])
  func `replaces references`(text: String, result: String) throws {
    let read = {
      try self.read(
        """
        [DEFAULT]
        user = root
        nested = <$user>
        [database]
        user = dbuser
        [api_database]
        own = mine
        connection = \(text)
        """)
    }
    if text == "$empty." {
      #expect(throws: NovaConfigurationError.self) { try read() }
    } else {
      #expect(try read().apiDatabase == Secret(result))
    }
  }

  @Test func `joins indented lines as oslo config does`() throws {
    let configuration = try read("[database]\r\nconnection = a\r\n   b  \r\n\tc\r\n")
    #expect(configuration.database == Secret("a\nb\nc"))
  }

  @Test(arguments: [
    ("connection = x", 1, NovaConfigurationError.Problem.noSection),
    ("[database\n", 1, .noBracket), ("\n[]", 2, .noGroupName), ("[a]\nconnection", 2, .noValue),
    ("[a]\n= x", 2, .noName), ("[a]\n  x = y", 2, .noContinuedLine),
    ("[a]\nb = c\n\n  d", 4, .noContinuedLine), ("\u{FEFF}[a]", 1, .noValue),
  ])
  func `names file and line of what it can't read`(
    text: String, line: Int, problem: NovaConfigurationError.Problem
  ) {
    #expect(
      throws: NovaConfigurationError.syntax(.file(path: "1.conf", line: line), problem)
    ) { try read(text) }
  }

  @Test(arguments: [
    ("pa$word", NovaConfigurationError.ReferenceProblem.unknown), ("${no.such}", .unknown),
    ("$connection", .tooDeep),
  ])
  func `refuses a reference that leads nowhere, without showing the value`(
    text: String, problem: NovaConfigurationError.ReferenceProblem
  ) {
    let place = ConfigurationPlace.file(path: "1.conf", line: 2)
    let error = NovaConfigurationError.reference(
      group: "database", name: "connection", at: place, problem)
    #expect(throws: error) { try read("[database]\nconnection = \(text)") }
    #expect(!error.description.contains("pa$word"))
  }

  @Test func `names the place of an option that can't be used`() {
    let error = NovaConfigurationError.option(
      group: "oslo_messaging_rabbit", name: "ssl", at: .file(path: "1.conf", line: 2),
      .optionInvalid(.queue, name: "ssl", expected: .flag))
    #expect(throws: error) { try read("[oslo_messaging_rabbit]\nssl = perhaps") }
    #expect(error.description.contains("1.conf, line 2"))
  }

  @Test func `reads a directory in the order of names, after the files before it`() throws {
    try withTemporaryFolder { folder in
      for name in ["nova.conf", "b.conf", "a.conf", ".hidden.conf", "z.conf.bak"] {
        let file = try #require(fopen("\(folder)/\(name)", "w"))
        fputs("[database]\nconnection = \(name)\n", file)
        fclose(file)
      }
      let all = try NovaConfiguration(paths: [folder], environment: [:])
      #expect(all.database == Secret("nova.conf"))
      let ordered = try NovaConfiguration(
        paths: [folder + "/", "\(folder)/a.conf"], environment: [:])
      #expect(ordered.database == Secret("a.conf"))
      let missing = NovaConfigurationError.unreadable(
        path: "\(folder)/none", reason: "No such file or directory")
      #expect(throws: missing) {
        try NovaConfiguration(paths: ["\(folder)/none"], environment: [:])
      }
    }
  }

  @Test func `never traps on random text`() {
    let seed = UInt64.random(in: 0...UInt64.max)
    print("seed \(seed)")
    var state = seed
    func next(_ limit: Int) -> Int {
      state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
      return Int(state >> 33) % limit
    }
    let pieces = [
      "[", "]", "DEFAULT", "database", "connection", "=", ":", "\n", " ", "\t", "#", ";", "$", "${",
      "}", "$$", "\\$", "\"", "'", ".", "x", "\r", "[database]\n", "connection = ", "\u{0}", "ü",
    ]
    for _ in 0..<5_000 {
      let text = (0..<next(20)).map { _ in pieces[next(pieces.count)] }.joined()
      _ = try? read("[database]\n" + text)
    }
  }
}
