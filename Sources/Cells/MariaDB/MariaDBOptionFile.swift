internal import Glibc
internal import Journal

/// What a MySQL option file says to clients: the place, the login and TLS, and nothing else of it.
///
/// Read here and not by the library, which lets the file undo what holds for every connection
/// (`local-infile`, `init-command`, the ways to log in), and which takes its TLS up unseen: nobody
/// would insist on it then, or end its handshake at a deadline.
struct MariaDBOptionFile {
  /// By the names that an address has for them.
  private(set) var values: [String: Secret] = [:]
  private let group: String?
  private var filesRead = 0

  /// The longest file, and the most files that one may include.
  private static let maximumBytes = 1 << 20
  private static let maximumFiles = 64

  /// Reads a file, and what it includes: the groups of clients, and `group`. Of an option that is
  /// there repeatedly the last counts.
  ///
  /// Blocks as the file system does.
  ///
  /// - Throws: `optionUnusable`, which names the file.
  init(path: String, group: String?) throws(DatabaseError) {
    self.group = group
    try read(path)
  }

  private mutating func read(_ path: String) throws(DatabaseError) {
    filesRead += 1
    guard filesRead <= Self.maximumFiles else {
      throw unusable(path, "includes more than \(Self.maximumFiles) files")
    }
    let text = try NamedFile(option: Self.option, path: path).contents(atMost: Self.maximumBytes)
    let bytes = text.withExposed { (clear: Span<UInt8>) in clear.copy }
    var isOurs = false
    for line in bytes.split(whereSeparator: { $0 == 0x0A || $0 == 0x0D }) {
      let line = Self.trimmed(line)
      switch line.first {
      case nil, UInt8(ascii: "#"), UInt8(ascii: ";"): continue
      case UInt8(ascii: "["):
        guard let end = line.firstIndex(of: UInt8(ascii: "]")) else {
          throw unusable(path, "has a group without ']'")
        }
        isOurs = isRead(String(decoding: Self.trimmed(line[..<end].dropFirst()), as: UTF8.self))
      case UInt8(ascii: "!"): try include(String(decoding: line, as: UTF8.self), from: path)
      default: if isOurs { try take(line, from: path) }
      }
    }
  }

  private func isRead(_ name: String) -> Bool {
    ["client", "client-server", "client-mariadb"].contains(name) || name == group
  }

  /// `!include FILE` and `!includedir FOLDER`, whose files are those that end in `.cnf`.
  private mutating func include(_ line: String, from path: String) throws(DatabaseError) {
    let words = line.split(maxSplits: 1, whereSeparator: \.isWhitespace).map(String.init)
    guard words.count == 2, ["!include", "!includedir"].contains(words[0]) else {
      throw unusable(path, "has a line that begins with '!' and includes nothing")
    }
    guard words[0] == "!includedir" else { return try read(words[1]) }
    guard let folder = unsafe opendir(words[1]) else {
      throw unusable(words[1], "can't be read (\(unsafe String(cString: strerror(errno))))")
    }
    defer { unsafe closedir(folder) }
    var names: [String] = []
    while let entry = unsafe readdir(folder) {
      let name = unsafe withUnsafePointer(to: &entry.pointee.d_name) { name in
        unsafe name.withMemoryRebound(to: CChar.self, capacity: 256) {
          unsafe String(cString: $0)
        }
      }
      if name.hasSuffix(".cnf") { names.append(name) }
    }
    for name in names.sorted() { try read(words[1] + "/" + name) }
  }

  // MARK: Options

  /// The options that are followed, and what an address calls them.
  private static let names = [
    "host": "host", "port": "port", "socket": "unix_socket", "user": "user",
    "password": "password", "database": "database",
    "ssl": "ssl", "ssl_enforce": "ssl", "ssl_mode": "ssl_mode",
    "ssl_verify_server_cert": "ssl_verify_identity",
    "ssl_ca": "ssl_ca", "ssl_capath": "ssl_capath", "ssl_cert": "ssl_cert", "ssl_key": "ssl_key",
    "ssl_cipher": "ssl_cipher", "tls_version": "tls_version",
    "ssl_password": "ssl_key_password", "ssl_passphrase": "ssl_key_password",
    "tls_passphrase": "ssl_key_password",
  ]
  private static let flags: Set<String> = ["ssl", "ssl_enforce", "ssl_verify_server_cert"]

  /// Takes one option of a group that is read; those that aren't ours are the server's or other
  /// programs'.
  ///
  /// - Throws: `optionUnusable` for one of TLS that isn't known here: left out, the connection might
  ///   be less than the file asks for.
  private mutating func take(_ line: ArraySlice<UInt8>, from path: String) throws(DatabaseError) {
    let equals = line.firstIndex(of: UInt8(ascii: "=")) ?? line.endIndex
    let written = String(decoding: Self.trimmed(line[..<equals]), as: UTF8.self)
    var name = written.split(separator: "-", omittingEmptySubsequences: false).joined(
      separator: "_")
    if name.hasPrefix("loose_") { name.removeFirst("loose_".count) }
    var value: [UInt8]? = equals < line.endIndex ? Self.value(line[(equals + 1)...]) : nil
    for (prefix, flag) in [("skip_", "0"), ("disable_", "0"), ("enable_", "1")]
    where name.hasPrefix(prefix) && Self.isOfTLS(name.dropFirst(prefix.count)) {
      name.removeFirst(prefix.count)
      value = Array(flag.utf8)
    }
    guard let ours = Self.names[name] else {
      guard Self.isOfTLS(name) else { return }
      throw unusable(path, "has '\(written)', which isn't followed here. Take it out of the file")
    }
    if Self.flags.contains(name) {
      let text = String(decoding: value ?? [UInt8(ascii: "1")], as: UTF8.self).lowercased()
      guard ["0", "1", "true", "false", "yes", "no", "on", "off"].contains(text) else {
        throw unusable(path, "has '\(written)' with a value that is neither true nor false")
      }
      value = Array(text.utf8)
    }
    guard let value else {
      // A bare `password` lets programs ask for one.
      guard Self.isOfTLS(name) else { return }
      throw unusable(path, "has '\(written)' without a value")
    }
    if value.contains(0) { throw unusable(path, "has a NUL in the value of '\(written)'") }
    values[ours] = value.isEmpty ? nil : Secret(value)
  }

  private static func isOfTLS(_ name: some StringProtocol) -> Bool {
    name.hasPrefix("ssl") || name.hasPrefix("tls")
  }

  /// The value behind a `=`: without the quotes around it, escapes resolved, and without a comment
  /// that begins behind a blank.
  private static func value(_ text: ArraySlice<UInt8>) -> [UInt8] {
    var rest = trimmed(text)
    if let quote = rest.first, quote == UInt8(ascii: "'") || quote == UInt8(ascii: "\"") {
      rest = rest.dropFirst()
      if let end = closing(quote, in: rest) { rest = rest[..<end] }
    } else if let comment = rest.indices.first(where: { place in
      rest[place] == UInt8(ascii: "#")
        && (place == rest.startIndex || isBlank(rest[place - 1]))
    }) {
      rest = trimmed(rest[..<comment])
    }
    var result: [UInt8] = []
    while let byte = rest.popFirst() {
      guard byte == UInt8(ascii: "\\"), let next = rest.popFirst() else {
        result.append(byte)
        continue
      }
      switch next {
      case UInt8(ascii: "n"): result.append(0x0A)
      case UInt8(ascii: "r"): result.append(0x0D)
      case UInt8(ascii: "t"): result.append(0x09)
      case UInt8(ascii: "b"): result.append(0x08)
      case UInt8(ascii: "s"): result.append(0x20)
      case UInt8(ascii: "\\"), UInt8(ascii: "'"), UInt8(ascii: "\""): result.append(next)
      default: result += [byte, next]
      }
    }
    return result
  }

  /// Where the quote ends that began before `text`; one behind a backslash doesn't end it.
  private static func closing(_ quote: UInt8, in text: ArraySlice<UInt8>) -> Int? {
    var place = text.startIndex
    while place < text.endIndex, text[place] != quote {
      place += text[place] == UInt8(ascii: "\\") ? 2 : 1
    }
    return place < text.endIndex ? place : nil
  }

  private static func isBlank(_ byte: UInt8) -> Bool { byte == 0x20 || byte == 0x09 }

  private static func trimmed(_ text: ArraySlice<UInt8>) -> ArraySlice<UInt8> {
    let start = text.drop(while: isBlank)
    return start.dropLast(start.reversed().prefix(while: isBlank).count)
  }

  // MARK: Errors

  private static let option = "read_default_file"

  private func unusable(_ path: String, _ why: String) -> DatabaseError {
    .optionUnusable(name: Self.option, reason: "'\(path)' \(why)")
  }
}
