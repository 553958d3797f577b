import ArgumentParser
import Foundation

/// Where the store is and how answers are printed; every command takes these.
struct StoreOptions: ParsableArguments {
  @Option(
    name: .long,
    help: ArgumentHelp(
      "The folder of the store; also before the command. "
        + "Default: CELLMAP_STORE, else ./cellmap-store.", valueName: "folder"))
  var store: String?

  @Flag(name: .long, help: "Print JSON on standard output: one object, or one a line for lists.")
  var json = false

  static let withoutFolder = "'--store' wants the folder of the store: --store FOLDER."

  func validate() throws {
    if store == "" { throw ValidationError(Self.withoutFolder) }
  }

  /// The folder of the store.
  var folder: String {
    if let store { return store }
    let named = ProcessInfo.processInfo.environment["CELLMAP_STORE"] ?? ""
    return named.isEmpty ? "cellmap-store" : named
  }
}
