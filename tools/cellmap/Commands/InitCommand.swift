import ArgumentParser
import Journal
import Registry

/// `cellmap init`: an empty store with cell0.
struct InitCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "init", abstract: "Makes an empty store with cell0.",
    discussion: """
      The folder may exist (a mount point) if it is empty. cell0's database is given here with \
      --cell0, or later by 'cell address cell0' or 'adopt'; until then cell0 has none.
      """)

  @OptionGroup var store: StoreOptions
  @Flag(
    name: .customLong("seal-projects"),
    help:
      "Seals projects and users of instances, under a key for each project that can be shredded; for as long as the store lives."
  )
  var sealsProjects = false

  @Option(help: "Why the store is made; kept for ever in clear.") var reason: String?
  @Option(help: "A name, such as a ticket's, that ties several changes together.")
  var correlation: String?
  @Option(
    name: .long,
    help: ArgumentHelp(
      "The address of cell0's database: itself, - for a line of standard input, or @FILE.",
      valueName: "address"))
  var cell0: String?

  @Option(
    name: .customLong("nova-conf"),
    help: ArgumentHelp(
      "Takes cell0's database from [database]connection of the API's configuration instead; several "
        + "files and folders, later ones win.", valueName: "file"))
  var novaConf: [String] = []

  func validate() throws {
    if cell0 != nil, !novaConf.isEmpty {
      throw ValidationError("Give --cell0 or --nova-conf, not both.")
    }
    try PlainText.checkSentence(reason, "--reason")
    try PlainText.checkSentence(correlation, "--correlation")
  }

  func run() throws {
    let address = try givenAddress()
    let journal: EventJournal
    do throws(RegistryError) {
      journal = try StoreCreation.create(
        in: store.folder, cell0: address,
        by: Caller.authorship(reason: reason, correlation: correlation),
        opening: StoreCreation.Opening(sealsOwners: sealsProjects))
    } catch .journal(.notAStore(let path, let why)) {
      throw CommandFailure(noRoomAt: path, why)
    } catch {
      throw CommandFailure(error)
    }
    report(journal)
  }

  private func givenAddress() throws(CommandFailure) -> GivenAddress? {
    if let cell0 { return try AddressArgument.given(cell0, of: .database) }
    guard !novaConf.isEmpty else { return nil }
    guard let configured = try NovaFiles.read(novaConf).database else {
      throw CommandFailure(.usage, "The configuration has no [database]connection.")
    }
    return try AddressArgument.given(configured, of: .database)
  }

  private func report(_ journal: EventJournal) {
    if store.json {
      Console.print(
        JSONValue.object([
          "store": .printed(journal.store), "position": .printed(journal.head.position),
          "folder": .text(store.folder), "seals_projects": .flag(sealsProjects),
        ]).line)
    } else {
      Console.say(
        "Made the store \(store.folder), with cell0"
          + (sealsProjects ? "; projects and users are sealed" : "")
          + ". Position \(journal.head.position).")
    }
  }
}
