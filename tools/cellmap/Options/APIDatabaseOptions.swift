import ArgumentParser

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

  /// The database, with what fills in templates from `base`.
  func choice(_ base: BaseOptions) -> APIDatabaseChoice {
    APIDatabaseChoice(address: address, novaConf: novaConf, base: base)
  }
}
