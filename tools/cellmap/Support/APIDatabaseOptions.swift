import ArgumentParser
import Journal
import Router

/// Which Nova API database is meant: its address, or that of a configuration.
struct APIDatabaseOptions: ParsableArguments {
  @Argument(
    help: ArgumentHelp(
      "The address of the API database: itself, - for a line of standard input, or @FILE.",
      valueName: "address"))
  var address: String?
  @Option(
    name: .customLong("nova-conf"),
    help: ArgumentHelp(
      "Takes the address from [api_database] instead; several files and folders, later ones win.",
      valueName: "file"))
  var novaConf: [String] = []

  func validate() throws {
    guard (address == nil) != novaConf.isEmpty else {
      throw ValidationError("Give the address of the API database, or --nova-conf.")
    }
  }

  func parsed() throws(CommandFailure) -> DatabaseAddress {
    try Self.parsed(address, novaConf)
  }

  /// The address that was given, else that of a configuration.
  static func parsed(
    _ address: String?, _ novaConf: [String]
  ) throws(CommandFailure) -> DatabaseAddress {
    let secret: Secret
    if let address {
      secret = try AddressArgument.secret(address)
    } else {
      guard let configured = try NovaFiles.read(novaConf).apiDatabase else {
        throw CommandFailure(.usage, "The configuration has no [api_database]connection.")
      }
      secret = configured
    }
    do throws(AddressError) { return try DatabaseAddress(parsing: secret) } catch {
      throw CommandFailure(error)
    }
  }

  /// What templates are filled in from: --base, else the configuration.
  func addressBase(_ base: BaseOptions) throws(CommandFailure) -> AddressBase {
    var result = try base.addressBase()
    guard result.database == nil, !novaConf.isEmpty else { return result }
    let configuration = try NovaFiles.read(novaConf)
    result.database = configuration.database
    result.queue = configuration.transportURL
    return result
  }
}
