import Journal
import Recovery
import Registry
import Router

/// Which of Nova's API databases a command reads: an address, or that of a nova.conf.
struct APIDatabaseChoice {
  let address: String?
  let novaConf: [String]
  let base: BaseOptions

  /// The database's address; standard input is read for `-`.
  func databaseAddress() throws(CommandFailure) -> DatabaseAddress {
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

  /// The database with a snapshot open.
  func open(_ request: RequestID) throws(CommandFailure) -> NovaAPIDatabase {
    let parsed = try databaseAddress()
    do throws(AdoptionError) {
      return try NovaAPIDatabase(parsed, relativeTo: base.folder)
    } catch {
      throw CommandFailure(error, request: request)
    }
  }

  /// What templates are filled in from: --base, else the configuration of --nova-conf.
  func addressBase() throws(CommandFailure) -> AddressBase {
    var result = try base.addressBase()
    guard result.database == nil, !novaConf.isEmpty else { return result }
    let configuration = try NovaFiles.read(novaConf)
    result.database = configuration.database
    result.queue = configuration.transportURL
    return result
  }
}
