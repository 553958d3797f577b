internal import Journal

/// What an address's options say of TLS, as PyMySQL takes them where it says something, else as
/// MySQL's own clients do; docs/addresses.md has the rules.
struct MariaDBTLS {
  enum Use { case never, ifOffered, always }

  let use: Use
  /// The server's certificate must lead to a known authority.
  let verifiesAuthority: Bool
  /// And must name the host of the address.
  let verifiesName: Bool

  /// - Throws: `optionUnusable` for an `ssl_mode` that there isn't.
  init(_ address: DatabaseAddress) throws(DatabaseError) {
    let mode = address.option("ssl_mode")?.uppercased()
    let modes = ["DISABLED", "PREFERRED", "REQUIRED", "VERIFY_CA", "VERIFY_IDENTITY"]
    if let mode, !modes.contains(mode) {
      throw .optionUnusable(
        name: "ssl_mode", reason: "it is none of \(modes.joined(separator: ", "))")
    }
    let hasAuthority = address.option("ssl_ca") != nil || address.option("ssl_capath") != nil
    let isAsked =
      hasAuthority
      || ["ssl_cert", "ssl_key", "ssl_cipher", "tls_version"]
        .contains { address.option($0) != nil }
      || ["ssl", "ssl_verify_cert", "ssl_verify_identity", "ssl_check_hostname"]
        .contains { address.flag($0) == true }
      || ["REQUIRED", "VERIFY_CA", "VERIFY_IDENTITY"].contains(mode)
    if address.flag("ssl_disabled") == true || address.flag("ssl") == false || mode == "DISABLED" {
      use = .never
    } else {
      use = isAsked ? .always : (mode == "PREFERRED" ? .ifOffered : .never)
    }
    let namesAuthority =
      hasAuthority || address.flag("ssl_verify_cert") == true
      || address.flag("ssl_verify_identity") == true || address.flag("ssl_check_hostname") == true
      || mode == "VERIFY_CA" || mode == "VERIFY_IDENTITY"
    verifiesAuthority =
      use == .always && namesAuthority && address.flag("ssl_verify_cert") != false
    let skipsName =
      address.flag("ssl_verify_identity") == false || address.flag("ssl_check_hostname") == false
      || mode == "VERIFY_CA"
    verifiesName = verifiesAuthority && !skipsName
  }
}
