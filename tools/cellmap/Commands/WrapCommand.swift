import ArgumentParser
import Glibc
import Journal
import Recovery
import Registry

/// `cellmap wrap … -- nova-manage cell_v2 …`: a command of Nova's, with its author and reason.
struct WrapCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "wrap",
    abstract:
      "Runs a command that changes Nova's map, and records what it changed, by whom and why.",
    discussion: """
      Reads Nova's API database before and after the command. What had changed before is recorded as \
      observed; what changed while it ran, as the caller's, with the reason. Mappings of instances that \
      the command can't have changed are recorded as observed. The command has this terminal, and its \
      exit code is this one's.

        cellmap wrap --reason 'new rack' --nova-conf /etc/nova/nova.conf -- \\
          nova-manage cell_v2 discover_hosts --verbose
      """)

  @OptionGroup var store: StoreOptions
  @OptionGroup var change: DecidedChange
  @OptionGroup var base: BaseOptions
  @Option(
    help: ArgumentHelp(
      "The address of the API database: itself, - for a line of standard input, or @FILE.",
      valueName: "address"))
  var api: String?
  @Option(
    name: .customLong("nova-conf"),
    help: ArgumentHelp(
      "Takes the address from [api_database] instead; several files and folders, later ones win.",
      valueName: "file"))
  var novaConf: [String] = []
  @Option(
    help: ArgumentHelp(
      "How many hosts and mappings may have vanished before the command; else 100, or one in a "
        + "hundred of them.", valueName: "count"))
  var pruneLimit: UInt64?
  @Argument(
    parsing: .postTerminator, help: ArgumentHelp("The command, after --.", valueName: "command"))
  var command: [String]

  func validate() throws {
    guard (api == nil) != novaConf.isEmpty else {
      throw ValidationError("Give the address of the API database by --api, or --nova-conf.")
    }
    guard !command.isEmpty else { throw ValidationError("Give the command after --.") }
  }

  func run() throws {
    let session = try StoreSession(store)
    // The words are compared as an HMAC, and kept nowhere: they may hold passwords.
    let title = ByteText((["wrap"] + command).joined(separator: "\u{0}"))
    if let answer = try session.earlierAnswer(to: title, change) {
      return say(
        "Done before; the command was not run again. Position \(answer.position).", nil, answer)
    }
    let wrapped = WrappedCommand(command)
    var rounds = try WatchRounds(
      session, APIDatabaseChoice(address: api, novaConf: novaConf, base: base),
      program: wrapped.shownName, reason: nil, pruneLimit: pruneLimit)
    do throws(WatchFailure) { _ = try rounds.round() } catch {
      let why = error.failure(change.request)
      throw CommandFailure(why.status, "The command was not run. \(why.message)")
    }
    let code = wrapped.run()
    var authorship = change.authorship
    authorship.program = ByteText("\(Caller.program) wrap \(wrapped.shownName)")
    let author = MapWatch<LiveCells>.Author(
      authorship, request: change.request, title: title,
      changesInstances: wrapped.mayChangeInstances)
    do throws(WatchFailure) {
      let round = try rounds.round(by: author)
      session.close()
      report(round)
    } catch {
      let why = error.failure(change.request)
      Console.note(
        "cellmap: What the command changed could not be recorded: \(Console.safe(why.message)) "
          + "The next adoption records it, as observed.")
      if code == 0 { throw ExitCode(why.status.rawValue) }
    }
    if code != 0 { throw ExitCode(code) }
  }

  private func report(_ round: MapWatch<LiveCells>.Round) {
    guard let outcome = round.outcome else {
      return say("The command changed nothing of the map.", round, nil)
    }
    let plan = round.plan
    say(
      "Recorded: \(plan.cells.differing + plan.cells.surplus) cells, "
        + "\(plan.hosts.differing + plan.hosts.surplus) hosts, "
        + "\(plan.instances.differing + plan.instances.surplus) instances changed. "
        + "Position \(outcome.position).", round, outcome)
  }

  /// On standard error: standard output is the command's.
  private func say(_ text: String, _ round: MapWatch<LiveCells>.Round?, _ outcome: Outcome?) {
    guard store.json else { return Console.note("cellmap: \(text)") }
    func changes(_ count: AdoptionPlan.Count?) -> JSONValue {
      .number((count?.differing ?? 0) + (count?.surplus ?? 0))
    }
    Console.note(
      JSONValue.object([
        "changed": .flag(outcome?.entries != nil && outcome?.isRepeated != true),
        "repeated": .flag(round == nil), "cells": changes(round?.plan.cells),
        "hosts": changes(round?.plan.hosts), "instances": changes(round?.plan.instances),
        "position": .printed(outcome?.position), "request": .printed(change.request),
      ]).line)
  }
}

/// Somebody else's command, run in this one's place: its terminal, its environment, its exit code.
struct WrappedCommand {
  private let words: [String]

  init(_ words: [String]) { self.words = words }

  /// The words that name it, without the folder of its program and without options, which may hold
  /// passwords: `nova-manage cell_v2 create_cell`.
  var shownName: String {
    let program = words[0].split(separator: "/").last.map(String.init) ?? words[0]
    return ([program] + words.dropFirst().prefix(3)).prefix { word in
      word.first != "-"
        && word.utf8.allSatisfy {
          (0x61...0x7A).contains($0) || (0x30...0x39).contains($0) || $0 == 0x5F || $0 == 0x2D
        }
    }.joined(separator: " ")
  }

  /// What of Nova's own commands leaves the mappings of instances as they are.
  private static let hostAndCellCommands: Set<String> = [
    "create_cell", "update_cell", "map_cell0", "map_cell_and_hosts", "discover_hosts",
    "delete_host", "list_cells", "list_hosts", "verify_instance",
  ]

  /// Whether mappings of instances that change meanwhile may be its doing.
  var mayChangeInstances: Bool {
    guard let place = words.firstIndex(of: "cell_v2"), place + 1 < words.count else { return true }
    return !Self.hostAndCellCommands.contains(words[place + 1])
  }

  /// Runs it to its end, and returns its exit code; 128 and the signal's number if one ended it, 127 if
  /// it could not be started.
  ///
  /// An interrupt from the terminal reaches it, and not this process.
  func run() -> Int32 {
    let former = [SIGINT, SIGQUIT].map { ($0, signal($0, SIG_IGN)) }
    defer { for (number, handler) in former { signal(number, handler) } }
    umask(Cellmap.callersMask)
    defer { umask(0o077) }
    var attributes = posix_spawnattr_t()
    posix_spawnattr_init(&attributes)
    defer { posix_spawnattr_destroy(&attributes) }
    var defaults = sigset_t()
    sigemptyset(&defaults)
    for (number, _) in former { sigaddset(&defaults, number) }
    posix_spawnattr_setsigdefault(&attributes, &defaults)
    posix_spawnattr_setflags(&attributes, Int16(POSIX_SPAWN_SETSIGDEF))
    var arguments = words.map { strdup($0) } + [nil]
    defer { for argument in arguments { free(argument) } }
    var child = pid_t()
    let code = posix_spawnp(&child, words[0], nil, &attributes, &arguments, environ)
    guard code == 0 else {
      Console.note("cellmap: The command can't be started: \(String(cString: strerror(code))).")
      return 127
    }
    var status: Int32 = 0
    while waitpid(child, &status, 0) == -1, errno == EINTR {}
    let signalNumber = status & 0x7F
    return signalNumber == 0 ? (status >> 8) & 0xFF : 128 + signalNumber
  }
}
