import ArgumentParser
import Foundation
import Journal
import Registry
import Router

/// Where templates and relative paths are resolved from.
struct BaseOptions: ParsableArguments {
  @Option(
    name: .long,
    help: ArgumentHelp(
      "A nova.conf (file or folder) whose [database]connection and transport_url templates are "
        + "filled in from. Default: CELLMAP_BASE.", valueName: "file"))
  var base: String?

  @Option(
    name: .customLong("base-directory"),
    help: ArgumentHelp(
      "The folder from which relative paths of SQLite databases are taken. Default: "
        + "CELLMAP_BASE_DIRECTORY, else the current one.", valueName: "folder"))
  var baseDirectory: String?

  func addressBase() throws(CommandFailure) -> AddressBase {
    let environment = ProcessInfo.processInfo.environment
    var result = AddressBase(folder: folder)
    guard let path = base ?? environment["CELLMAP_BASE"] else { return result }
    let configuration = try NovaFiles.read([path])
    result.database = configuration.database
    result.queue = configuration.transportURL
    return result
  }

  /// The absolute form of the base folder, without a slash at its end.
  var folder: String {
    let given =
      baseDirectory ?? ProcessInfo.processInfo.environment["CELLMAP_BASE_DIRECTORY"] ?? ""
    let path = given.hasPrefix("/") ? given : FileManager.default.currentDirectoryPath + "/" + given
    let parts = path.split(separator: "/").filter { $0 != "." }
    return "/" + parts.joined(separator: "/")
  }
}

/// Reads nova.conf for the command.
enum NovaFiles {
  static func read(_ paths: [String]) throws(CommandFailure) -> NovaConfiguration {
    do throws(NovaConfigurationError) {
      return try NovaConfiguration(
        paths: paths, environment: ProcessInfo.processInfo.environment)
    } catch {
      throw CommandFailure(.usage, "\(error)")
    }
  }
}

/// An address as it is given on the command line: itself, `-` for a line of standard input, or
/// `@FILE` for the first line of a file. Secrets in arguments can be seen by others; the last two
/// can't.
enum AddressArgument {
  static func secret(_ argument: String) throws(CommandFailure) -> Secret {
    if argument == "-" {
      guard let line = try StandardInput.line() else {
        throw CommandFailure(.usage, "Standard input has no line with an address.")
      }
      guard let text = String(validating: line, as: UTF8.self) else {
        throw CommandFailure(.usage, "The address on standard input is not UTF-8.")
      }
      return Secret(text)
    }
    guard argument.hasPrefix("@") else { return Secret(argument) }
    let path = String(argument.dropFirst())
    let text = try GivenFile.text(path, with: "the address")
    let line = text.prefix { !$0.isNewline }
    return Secret(String(line))
  }
}

extension AddressArgument {
  /// The address that an argument gives, read and checked.
  static func given(
    _ argument: String, of field: AddressField
  ) throws(CommandFailure) -> GivenAddress {
    try given(try secret(argument), of: field)
  }

  static func given(
    _ secret: Secret, of field: AddressField
  ) throws(CommandFailure) -> GivenAddress {
    guard secret.exposedText()?.contains(":****@") != true else {
      throw CommandFailure(
        .usage,
        "The password of an address is masked ('****'). Give the address itself; "
          + "'cell export --reveal' writes it.")
    }
    do throws(AddressError) {
      return try GivenAddress(secret, of: field)
    } catch {
      throw CommandFailure(error)
    }
  }
}

/// The addresses of a cell: given one by one, or taken from the cell's own nova.conf.
struct CellAddressOptions: ParsableArguments {
  @Option(
    name: .long,
    help: ArgumentHelp(
      "The database's address: itself, - for a line of standard input, or @FILE.",
      valueName: "address"))
  var database: String?

  @Option(
    name: .long,
    help: ArgumentHelp(
      "The message queue's address: itself, - for a line of standard input, or @FILE.",
      valueName: "address"))
  var queue: String?

  @Option(
    name: .customLong("nova-conf"),
    help: ArgumentHelp(
      "Takes both from [database], [DEFAULT]transport_url and [oslo_messaging_rabbit] of the cell's "
        + "configuration; several files and folders, later ones win.", valueName: "file"))
  var novaConf: [String] = []

  /// What was given; nothing for what wasn't.
  func draft() throws(CommandFailure) -> AddressDraft {
    var draft = AddressDraft()
    if !novaConf.isEmpty {
      let configuration = try NovaFiles.read(novaConf)
      if let text = configuration.database {
        draft.database = try AddressArgument.given(text, of: .database)
      }
      if let text = configuration.transportURL {
        draft.queue = try AddressArgument.given(text, of: .queue)
      }
      let options = configuration.connectionOptions
      if options != .none { draft.options = options.canonicalText }
    }
    if let database { draft.database = try AddressArgument.given(database, of: .database) }
    if let queue { draft.queue = try AddressArgument.given(queue, of: .queue) }
    return draft
  }
}
