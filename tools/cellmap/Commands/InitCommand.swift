import ArgumentParser
import Journal
import Registry

/// `cellmap init`: an empty store with cell0.
struct InitCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "init", abstract: "Makes an empty store with cell0.",
    discussion: """
      The folder may exist (a mount point) if it is empty. cell0's database is given here with
      --cell0, or later by `cell address cell0` or `adopt`; until then cell0 has none.
      """)

  @OptionGroup var store: StoreOptions
  @OptionGroup var change: ChangeOptions
  @Option(
    name: .long,
    help: ArgumentHelp(
      "The address of cell0's database: itself, - for a line of standard input, or @FILE.",
      valueName: "address"))
  var cell0: String?

  func run() throws {
    var address: GivenAddress?
    if let cell0 { address = try AddressArgument.given(cell0, of: .database) }
    let journal: EventJournal
    do throws(RegistryError) {
      journal = try StoreCreation.create(
        in: store.folder, cell0: address, by: change.authorship)
    } catch {
      throw CommandFailure(error)
    }
    if store.json {
      Console.print(
        JSONValue.object([
          "store": .printed(journal.store), "position": .printed(journal.head.position),
          "folder": .text(store.folder),
        ]).line)
    } else {
      Console.print(
        "Made the store \(store.folder), with cell0. Position \(journal.head.position).")
    }
  }
}
