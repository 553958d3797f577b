internal import Journal

/// What an address's options, and its option file's, say of TLS, as PyMySQL takes them where it says
/// something, else as MySQL's own clients do; docs/addresses.md has the rules.
struct MariaDBTLS {
  enum Use { case never, ifOffered, always }

  let use: Use
  /// The server's certificate must lead to a known authority.
  let verifiesAuthority: Bool
  /// And must name the host of the address.
  let verifiesName: Bool

  /// The options that say something of it.
  static let options = [
    "ssl", "ssl_ca", "ssl_capath", "ssl_cert", "ssl_check_hostname", "ssl_cipher", "ssl_disabled",
    "ssl_key", "ssl_mode", "ssl_verify_cert", "ssl_verify_identity", "tls_version",
  ]

  /// - Throws: `optionUnusable` for an `ssl_mode` that there isn't.
  init(_ given: MariaDBOptions) throws(DatabaseError) {
    let mode = given.option("ssl_mode")?.uppercased()
    let modes = ["DISABLED", "PREFERRED", "REQUIRED", "VERIFY_CA", "VERIFY_IDENTITY"]
    if let mode, !modes.contains(mode) {
      throw .optionUnusable(
        name: "ssl_mode", reason: "it is none of \(modes.joined(separator: ", "))")
    }
    let hasAuthority = given.option("ssl_ca") != nil || given.option("ssl_capath") != nil
    let isAsked =
      hasAuthority
      || ["ssl_cert", "ssl_key", "ssl_cipher", "tls_version"]
        .contains { given.option($0) != nil }
      || ["ssl", "ssl_verify_cert", "ssl_verify_identity", "ssl_check_hostname"]
        .contains { given.flag($0) == true }
      || ["REQUIRED", "VERIFY_CA", "VERIFY_IDENTITY"].contains(mode)
    if given.flag("ssl_disabled") == true || given.flag("ssl") == false || mode == "DISABLED" {
      use = .never
    } else {
      use = isAsked ? .always : (mode == "PREFERRED" ? .ifOffered : .never)
    }
    let namesAuthority =
      hasAuthority || given.flag("ssl_verify_cert") == true
      || given.flag("ssl_verify_identity") == true || given.flag("ssl_check_hostname") == true
      || mode == "VERIFY_CA" || mode == "VERIFY_IDENTITY"
    verifiesAuthority =
      use == .always && namesAuthority && given.flag("ssl_verify_cert") != false
    let skipsName =
      given.flag("ssl_verify_identity") == false || given.flag("ssl_check_hostname") == false
      || mode == "VERIFY_CA"
    verifiesName = verifiesAuthority && !skipsName
  }
}
