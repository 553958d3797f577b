internal import Journal

/// What an address says of a connection, and its option file where the address says nothing.
struct MariaDBOptions {
  let address: DatabaseAddress
  private let file: MariaDBOptionFile?

  /// Reads the option file, if the address names one.
  ///
  /// - Throws: `optionUnusable`; `deadlinePassed` for a file that doesn't answer.
  init(_ address: DatabaseAddress, until deadline: ContinuousClock.Instant) throws(DatabaseError) {
    self.address = address
    let group = address.option("read_default_group")
    guard let path = address.option("read_default_file") else {
      if group != nil {
        throw .optionUnusable(
          name: "read_default_group", reason: "the address has no read_default_file")
      }
      file = nil
      return
    }
    let read = onOwnThread(until: deadline) { () -> Result<MariaDBOptionFile, DatabaseError> in
      do throws(DatabaseError) {
        return .success(try MariaDBOptionFile(path: path, group: group))
      } catch {
        return .failure(error)
      }
    }
    guard let read else { throw .deadlinePassed(server: "The file '\(path)'") }
    file = try read.get()
  }

  var user: String? { address.user?.string ?? text("user") }
  var password: Secret? { address.password ?? file?.values["password"] }
  var database: String {
    address.database == "" ? text("database") ?? "" : address.database.string
  }

  /// The way in. An address without a host of its own takes the file's.
  ///
  /// - Throws: `optionUnusable` for a host or port that is none.
  var place: DatabaseAddress.Place {
    get throws(DatabaseError) {
      let standard = ServerAddress(host: "localhost", port: 3306)
      guard file != nil, address.place == .servers([standard]) else { return address.place }
      let host = (text("host") ?? "localhost").lowercased()
      if let socket = text("unix_socket"), host == "localhost" {
        return .socket(path: ByteText(socket), port: 3306)
      }
      let isHost = host.utf8.allSatisfy {
        (0x61...0x7A).contains($0) || (0x30...0x39).contains($0) || "-._:".utf8.contains($0)
      }
      guard isHost else { throw unusable("host", "is no host") }
      guard let port = UInt16(text("port") ?? "3306"), port > 0 else {
        throw unusable("port", "is no port")
      }
      return .servers([ServerAddress(host: ByteText(host), port: port)])
    }
  }

  /// The clear value of an option; nil where it isn't there.
  func option(_ name: String) -> String? {
    if let value = address.option(name) { return value }
    guard MariaDBTLS.options.contains(name), let value = text(name) else { return nil }
    guard MariaDBTLS.options.contains(where: { address.option($0) != nil }) else { return value }
    // The file may ask for more than the address does of TLS, and never for less.
    switch name {
    case "ssl", "ssl_verify_identity": return DatabaseAddress.isTrue(value) ? value : nil
    case "ssl_mode":
      switch value.uppercased() {
      case "VERIFY_IDENTITY": return value
      case "VERIFY_CA": return Self.verifying.contains { address.option($0) != nil } ? nil : value
      default: return nil
      }
    default: return value
    }
  }

  /// The truth of an option that is a flag; nil where it isn't there.
  func flag(_ name: String) -> Bool? { option(name).map { DatabaseAddress.isTrue($0) } }

  /// The value of an option that is a secret; nil where it isn't there.
  func secret(_ name: String) -> Secret? { address.secret(name) ?? file?.values[name] }

  /// The options that say by themselves how a server's certificate is looked at.
  private static let verifying = [
    "ssl_ca", "ssl_capath", "ssl_check_hostname", "ssl_verify_cert", "ssl_verify_identity",
  ]

  private func text(_ name: String) -> String? { file?.values[name]?.exposedText() }

  private func unusable(_ name: String, _ why: String) -> DatabaseError {
    .optionUnusable(name: "read_default_file", reason: "its '\(name)' \(why)")
  }
}
