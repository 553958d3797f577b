import Foundation
import Glibc
import Journal
import TestServers
import TestSupport
import Testing

/// Passwords that nobody uses, planted wherever an address can be given, and looked for afterwards.
@Suite(.waiting) struct CommandSecretTests {
  /// A password, and how it stands in an address.
  struct Canary {
    let clear: String
    let encoded: String

    init(_ number: Int, _ special: String) {
      clear = "Canary\(number)\(special)x\(number)Yellow"
      encoded = clear.utf8.map { byte in
        switch byte {
        case 0x30...0x39, 0x41...0x5A, 0x61...0x7A: String(UnicodeScalar(byte))
        default: "%" + (byte < 16 ? "0" : "") + String(byte, radix: 16, uppercase: true)
        }
      }.joined()
    }

    /// The forms in which the password could have leaked.
    var forms: [Data] {
      var texts = [clear, encoded, encoded.lowercased(), encoded.replacing("%20", with: "+")]
      let hex = clear.utf8.map { ($0 < 16 ? "0" : "") + String($0, radix: 16) }.joined()
      texts += [hex, hex.uppercased()]
      // In base64 a text looks otherwise at each of three offsets; its ends depend on what is next.
      for offset in 0..<3 {
        let bytes = Data(repeating: 0x41, count: offset) + Data(clear.utf8)
        texts.append(String(bytes.base64EncodedString().dropFirst(4).dropLast(4)))
      }
      return texts.map { Data($0.utf8) }
    }
  }

  static let specials = [
    "@", ":", "/", "?", "#", "%", ",", "+", " ", "&", "=", ";", "$", "\"", "'", "\\", "{", "}",
    "ü", "密碼", "🔑", "",
  ]

  private static let planted = specials.enumerated().map { Canary($0 + 1, $1) }
  private static let forms = planted.flatMap(\.forms)
  private var canaries: [Canary] { Self.planted }

  private func database(_ canary: Canary, _ host: String) -> String {
    "mysql+pymysql://nova:\(canary.encoded)@\(host)/nova"
  }

  private func queue(_ canary: Canary, _ host: String) -> String {
    "rabbit://nova:\(canary.encoded)@\(host):5672/"
  }

  /// Looks for every canary in some bytes.
  private func search(_ bytes: Data, _ what: String) {
    for form in Self.forms where contains(bytes, form) {
      Issue.record("\(what) holds \(String(decoding: form, as: UTF8.self))")
    }
  }

  /// Each file is searched for 200 texts after each command, which Foundation's search is slow at.
  private func contains(_ bytes: Data, _ text: Data) -> Bool {
    bytes.withUnsafeBytes { whole in
      text.withUnsafeBytes { part in
        var place = 0
        while whole.count - place >= part.count,
          let found = memchr(whole.baseAddress! + place, Int32(part[0]), whole.count - place)
        {
          place = UnsafeRawPointer(found) - whole.baseAddress!
          if whole.count - place >= part.count,
            memcmp(whole.baseAddress! + place, part.baseAddress!, part.count) == 0
          {
            return true
          }
          place += 1
        }
        return false
      }
    }
  }

  private func searchStore(_ bed: CommandBed) throws {
    var count = 0
    for store in ["store", "other"] {
      let files = FileManager.default.enumerator(
        at: URL(fileURLWithPath: bed.path(store)), includingPropertiesForKeys: nil)
      while let file = files?.nextObject() as? URL {
        guard let bytes = try? Data(contentsOf: file) else { continue }
        count += 1
        search(bytes, file.lastPathComponent)
      }
    }
    #expect(count >= 6)
  }

  @Test func `a planted password is found in each form it is looked for`() {
    for canary in canaries {
      let clear = Data(canary.clear.utf8)
      for offset in 0..<3 {
        let coded = (Data(repeating: 0x7A, count: offset) + clear + Data("tail".utf8))
          .base64EncodedData()
        #expect(canary.forms.contains { contains(coded, $0) })
      }
      #expect(canary.forms.contains(clear) && canary.forms.contains(Data(canary.encoded.utf8)))
    }
  }

  @Test func `no command leaves a password anywhere`() throws {
    try withCommand { bed in
      var ran: [(String, CommandBed.Ran)] = []
      func run(_ arguments: String..., input: String = "") throws {
        ran.append(
          (arguments.prefix(2).joined(separator: " "), try bed.run(arguments, input: input)))
        try searchStore(bed)
      }
      let why = ["--reason", "t"]
      try run("init", "--cell0", database(canaries[0], "h0"))
      for (index, canary) in canaries.enumerated() {
        let name = "c\(index)"
        let (first, second) = (database(canary, "h\(index + 10)"), queue(canary, "q\(index)"))
        let add = ["cell", "add", name] + why
        switch index % 4 {
        case 0: ran.append((name, try bed.run(add + ["--database", first, "--queue", second])))
        case 1:
          ran.append(
            (
              name,
              try bed.run(
                add + ["--database", "-", "--queue", "-"], input: "\(first)\n\(second)\n")
            ))
        case 2:
          try bed.write(first + "\n", to: "database")
          try bed.write(second + "\n", to: "queue")
          ran.append((name, try bed.run(add + ["--database", "@database", "--queue", "@queue"])))
        default:
          // A dollar is oslo.config's own; here it is encoded in any case.
          try bed.write(
            "[DEFAULT]\ntransport_url = \(second)\n[database]\nconnection = \(first)\n",
            to: "nova.conf")
          ran.append((name, try bed.run(add + ["--nova-conf", "nova.conf"])))
        }
        #expect(ran.last?.1.status == 0, "\(ran.last?.1.err ?? "")")
        try run("cell", "address", name, "--queue", queue(canary, "r\(index)"), "--reason", "t")
      }
      for arguments in [
        ["cell", "list"], ["cell", "list", "--json"], ["cell", "show", "c3"],
        ["cell", "show", "c3", "--json"], ["cell", "export", "store/out.yaml"], ["status"],
        ["audit", "verify"], ["replay"], ["route", "\(instance(1))", "--json"],
      ] {
        ran.append((arguments.joined(separator: " "), try bed.run(arguments)))
      }
      try searchStore(bed)
      for (what, output) in ran {
        search(Data((output.out + output.err).utf8), what)
      }
      let revealed = try bed.done("cell", "show", "c3", "--reveal", "--json").object
      #expect(revealed["queue"] as? String == queue(canaries[3], "r3"))
    }
  }

  @Test func `no command that asks a refusing server leaves a password anywhere`() throws {
    try withCommand { bed in
      let words = Array("HTTP/1.1 400 Bad Request\r\n\r\n".utf8)
      let servers = try [
        FaultProxy(to: 1, .refuses), FaultProxy(to: 1, .answers(words, times: 1)),
      ]
      defer { servers.forEach { $0.stop() } }
      var ran = [try bed.run("init", "--cell0", "sqlite:///cell0.sqlite")]
      _ = try NovaCellFile.make(at: bed.path("cell0.sqlite"))
      let id = "\(instance(1))"
      for (number, (scheme, server)) in [
        ("mysql", servers[0]), ("postgresql", servers[1]), ("mysql", servers[1]),
      ].enumerated() {
        let login = "nova:\(canaries[number].encoded)@127.0.0.1:\(server.port)"
        ran.append(
          try bed.run(
            "cell", "add", "c\(number)", "--database", "\(scheme)://\(login)/nova", "--queue",
            "rabbit://\(login)/", "--reason", "t"))
      }
      let mapped = ["instance", "map", id, "--project", "p", "--cell", "c0", "--reason", "t"]
      ran.append(try bed.run(mapped))
      #expect(ran.allSatisfy { $0.status == 0 }, "\(ran.map(\.err))")
      for (arguments, status) in [
        (["cast", id, "ping"], 9), (["cell", "probe", "c0"], 7),
        (["cell", "probe", "c1", "--json"], 7), (["cell", "probe", "c2"], 7),
        (["instance", "list", "--live", "--all-cells"], 0),
        (["instance", "list", "--live", "--all-cells", "--require-complete", "--json"], 5),
        (["instance", "show", id, "--live"], 7), (["route", id, "--json"], 7),
        (["status", "--live"], 5), (["host", "discover", "--reason", "t"], 5),
        (["audit", "history", "c0", id, "--json"], 0), (["audit", "history", "store"], 0),
        (["audit", "diff", "1:1", "--json"], 0), (["audit", "explain", id], 0),
        (["audit", "who"], 0), (["audit", "stats"], 0),
      ] {
        let output = try bed.run(arguments)
        #expect(output.status == Int32(status), "\(arguments): \(output.out) \(output.err)")
        search(Data((output.out + output.err).utf8), arguments.joined(separator: " "))
        try searchStore(bed)
      }
      for output in ran { search(Data((output.out + output.err).utf8), "making the store") }
    }
  }

  @Test func `no failing command leaves a password anywhere`() throws {
    try withCommand { bed in
      let api = try bed.makeCloud()
      let secret = database(canaries[0], "h")
      try bed.done("init")
      let clear = canaries[21].clear
      let wrong = [
        secret, "mysql://nova:\(clear)", "mysql://nova:\(clear)@",
        "mysql://nova:\(clear)@h:\(clear)/d",
        "mysql://nova@\(clear):x/d", "nova:\(clear)@h/d",
        "mysql://h/d?password=\(clear)",
        "mysql://nova:\(canaries[0].clear)@h/d", "mysql://nova:\(canaries[2].clear)@h/d",
        "mysql://nova:\(canaries[4].clear)@h/d", "mysql://nova:\(canaries[6].clear)@h/d",
        "mysql://nova:\(canaries[8].clear)@h/d", "mysql://{username}:{\(clear)}@h/d",
        "mysql://nova:%zz\(clear)@h/d", "rabbit://nova:\(clear)@h:port/", "http://u:\(clear)@h/",
        " mysql://nova:\(clear)@h/d", "mysql://nova:\(clear)@h/d#\(clear)",
      ]
      var commands: [[String]] = []
      for (index, address) in wrong.enumerated() {
        commands += [
          ["cell", "add", "w\(index)", "--database", address, "--queue", address],
          ["adopt", address], ["adopt", "sqlite:///api.sqlite", address],
          ["cell", "add", address, "--database", "sqlite:///x", "--queue", "none:///"],
          ["cell", "show", address], ["cell", "list", address], ["cell", "--datbase", address],
          ["cell", "list", "--datbase=\(address)"], [address], ["route", address],
          ["instance", "show", address],
        ]
        // Some of them can be read as an address, and make a store.
        commands.append(["init", "--store", "other", "--cell0", address])
      }
      commands += [
        ["adopt", "sqlite:///api.sqlite", "--request-id", secret],
        ["adopt", "sqlite:///api.sqlite", "--reason", "moved to \(secret)"],
        ["cell", "rename", "cell0", secret], ["cell", "disable", secret],
        ["host", "add", secret, "--cell", "cell0"], ["replay", "--into", "x", "--to", secret],
        ["instance", "map", "\(instance(1))", "--project", secret],
        ["instance", "list", "--after", secret],
        ["cell", "address", "cell0", "--queue", "@\(secret)"],
        ["cell", "address", "cell0", "--base", secret], ["--store", secret, "status"],
        ["cell", "add", "n", "--uuid", secret, "--database", "sqlite:///x", "--queue", "none:///"],
      ]
      let mark = ["--reason", "t"]
      for command in commands {
        let takesReason = !command.contains("--reason") && command.count > 1
        let isChange = ["add", "rename", "disable", "address", "map"].contains(
          command.dropFirst().first ?? "")
        let arguments = command + (takesReason && (isChange || command[0] == "adopt") ? mark : [])
        let output = try bed.run(arguments)
        #expect(output.status != 0 || arguments[0] == "init", "\(arguments)")
        search(Data((output.out + output.err).utf8), arguments.joined(separator: " "))
      }
      try searchStore(bed)

      try bed.write("[database]\nconnection = \(clear)\n\(clear)\n", to: "bad.conf")
      try bed.write("[database]\nconnection = $\(clear)\n", to: "worse.conf")
      for file in ["bad.conf", "worse.conf"] {
        let output = try bed.run(
          ["cell", "address", "cell0", "--nova-conf", file] + mark)
        #expect(output.status == 64)
        search(Data((output.out + output.err).utf8), file)
      }
      try api.execute(
        "UPDATE cell_mappings SET database_connection = \(quoted(secret)), transport_url = "
          + "\(quoted(queue(canaries[1], "q"))) WHERE id = 2")
      try adoptAndRefuse(bed, api)
    }
  }

  /// Adopts addresses with passwords, cells that can't be read among them, and is refused.
  private func adoptAndRefuse(_ bed: CommandBed, _ api: NovaAPIFile) throws {
    let adopt = ["adopt", "sqlite:///api.sqlite", "--reason", "t"]
    var ran = [try bed.run(adopt + ["--dry-run"]), try bed.done(adopt)]
    ran.append(try bed.run("route", "\(instance(0))", "\(instance(1))", "--json"))
    #expect(ran.last?.status == 5)
    ran.append(
      try bed.run(
        "cell", "add", "double", "--database", database(canaries[5], "h"), "--queue",
        queue(canaries[5], "q"), "--reason", "t"))
    #expect(ran.last?.status == 9)
    try api.execute(
      "INSERT INTO cell_mappings (id, uuid, name, database_connection, transport_url) VALUES "
        + "(70, '\(cell(70))', 'x', 'mysql://nova:\(canaries[21].clear)@h:x/d', 'none:///')")
    ran.append(try bed.run(adopt))
    #expect(ran.last?.status == 9)
    for output in ran { search(Data((output.out + output.err).utf8), "adopt") }
    try searchStore(bed)
  }
}
