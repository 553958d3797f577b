import ArgumentParser

/// `cellmap audit at WHEN COMMAND…`: a read command, as the map stood then.
struct AuditAtCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "at", abstract: "Answers a read command as the map stood then.",
    discussion: """
      WHEN is an entry (42 or 1:42), a time (2026-01-31T14:03:00Z) or an age ('2h ago'); COMMAND is \
      'route', 'instance show', 'instance list', 'cell list', 'cell show', 'cell export', 'host list', \
      'conflicts list', 'conflicts show' or 'status' with its options. It is the same as --at WHEN behind that command.

        cellmap audit at 2026-01-31T14:03:00Z route 00362c73-3663-435a-98a7-1b33c690f5c4
      """)
  @Argument(
    parsing: .captureForPassthrough,
    help: ArgumentHelp("When, and the command.", valueName: "when command"))
  var words: [String]

  private static let readers = [
    "route", "instance show", "instance list", "cell list", "cell show", "cell export",
    "host list", "conflicts list", "conflicts show", "status",
  ]

  /// A second moment would silently be the one that counts.
  private static func namesMoment(_ word: String) -> Bool {
    word == "--at" || word.hasPrefix("--at=")
  }

  /// The command, and behind its name the options of every command that stand before it.
  private var command: [String] {
    var rest = words.dropFirst()
    var options: [String] = []
    while let option = rest.first, option == "--json" || option.hasPrefix("--store") {
      options.append(rest.removeFirst())
      if option == "--store", let folder = rest.popFirst() { options.append(folder) }
    }
    let length = length(of: Array(rest)) ?? 0
    return rest.prefix(length) + options + rest.dropFirst(length)
  }

  // Whatever is thrown here, and not in `run`, is followed by this command's usage.
  func validate() throws {
    if words.first == "--help" || words.first == "-h" { throw CleanExit.helpRequest(self) }
    guard words.count > 1, words[0].first != "-" else {
      throw ValidationError("Give when, and a command: audit at '2h ago' route UUID.")
    }
    guard !command.prefix(while: { $0 != "--" }).contains(where: Self.namesMoment) else {
      throw ValidationError("'audit at \(words[0].prefix(80))' has its moment: leave --at out.")
    }
    guard length(of: command) != nil else {
      throw ValidationError(
        "'audit at' answers \(Self.readers.joined(separator: ", ")); nothing else has a past.")
    }
  }

  /// How many words are the name of the command; nil if it has no past.
  private func length(of command: [String]) -> Int? {
    guard let first = command.first else { return nil }
    if Self.readers.contains(first) { return 1 }
    return Self.readers.contains(command.prefix(2).joined(separator: " ")) ? 2 : nil
  }

  func run() throws {
    _ = try PastWhen.moment(words[0], "WHEN")
    let command = command
    guard let length = length(of: command) else { return }
    // Ahead of the command's own arguments, which may end with what takes all that is left.
    var reader = try Cellmap.parseAsRoot(
      command[..<length] + ["--at", words[0]] + command[length...])
    try reader.run()
  }
}
