import ArgumentParser
import Foundation
import Glibc

/// The command: one word for each thing it can do, thin over the libraries.
@main
struct Cellmap: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "cellmap",
    abstract: "The map of a Nova cloud that is cut into cells, kept as a journal.",
    discussion: """
      Every change of a cell, a host or an instance is an entry in an append-only journal; what \
      answers questions is derived from it, and can be made again at any time.

      The store is the folder of --store, which may stand before or after the command, else of the \
      environment's CELLMAP_STORE, else ./cellmap-store.

      Exit codes: 0 done, 1 finding, 2 unknown instance, cell or host, 3 store locked, 4 integrity \
      violation, 5 partial answer, 6 storage full or failing, 7 cell unreachable or not itself, \
      8 queue unreachable, 9 refused by a rule or guard, 10 outcome unknown: ask again with the same \
      --request-id, 64 usage.
      """,
    version: Version.number,
    subcommands: [
      InitCommand.self, AdoptCommand.self, WrapCommand.self, PublishCommand.self,
      CellCommand.self, HostCommand.self,
      InstanceCommand.self, RouteCommand.self, CastCommand.self, AuditCommand.self,
      ReplayCommand.self, RebuildCommand.self, RevertCommand.self, ConflictsCommand.self,
      ReconcileCommand.self,
      DoctorCommand.self, BackupCommand.self, KeysCommand.self, ArchiveCommand.self,
      StatusCommand.self, ReplayWorkerCommand.self, VerifyWorkerCommand.self,
      ProveWorkerCommand.self, CheckpointWorkerCommand.self, ExportWorkerCommand.self,
      ImportWorkerCommand.self, KeysWorkerCommand.self, ArchiveWorkerCommand.self,
      BackupWorkerCommand.self, RestoreWorkerCommand.self,
    ])

  static func main() {
    signal(SIGPIPE, SIG_DFL)
    callersMask = umask(0o077)
    holdStandardFiles()
    checkArguments()
    let arguments = storeTakenOut(of: Array(CommandLine.arguments.dropFirst()))
    let hidden = HiddenArguments(Array(CommandLine.arguments.dropFirst()))
    words = "cellmap " + HiddenArguments(arguments).words.joined(separator: " ")
    do {
      var command = try parseAsRoot(arguments)
      try command.run()
    } catch let failure as CommandFailure {
      Console.endProgress()
      Console.remark(hidden.addressesMasked(in: failure.message))
      Glibc.exit(failure.status.rawValue)
    } catch {
      let code = exitCode(for: error)
      // Help and completions go to standard output, as they are.
      guard code != .success, !(error is ExitCode) else { exit(withError: error) }
      if let complaint = PastWhen.complaint(aboutNegativeIn: arguments) {
        Console.remark(complaint)
        Glibc.exit(code.rawValue)
      }
      for line in hidden.masked(in: fullMessage(for: error)).split(separator: "\n") {
        Console.note(Console.safe(String(line)))
      }
      Glibc.exit(code.rawValue)
    }
  }

  /// Where a standard file is closed nothing else may take its number: what is opened next would get what the
  /// command prints.
  private static func holdStandardFiles() {
    for number in STDIN_FILENO...STDERR_FILENO where fcntl(number, F_GETFD) < 0 {
      // The lowest free number is this one. What can't be written to says so.
      _ = open("/dev/null", O_RDONLY)
    }
  }

  /// Bytes that aren't UTF-8 would be replaced before a command sees them, and be stored so.
  private static func checkArguments() {
    for place in 1..<max(1, Int(CommandLine.argc)) {
      guard let argument = CommandLine.unsafeArgv[place] else { continue }
      let bytes = UnsafeRawBufferPointer(start: argument, count: strlen(argument))
      guard String(validating: bytes, as: UTF8.self) == nil else { continue }
      Console.remark("Argument \(place) is not UTF-8. Give it in UTF-8.")
      Glibc.exit(ExitStatus.usage.rawValue)
    }
  }

  /// The command without its arguments: `cellmap cell add`. Set once, ahead of any thread.
  nonisolated(unsafe) private(set) static var words = "cellmap"

  /// The mask of file modes that this process was started with. Set once, ahead of any thread.
  nonisolated(unsafe) private(set) static var callersMask: mode_t = 0o022

  /// Takes `--store DIR` before the command out of the arguments, and makes it the default.
  private static func storeTakenOut(of arguments: [String]) -> [String] {
    guard let first = arguments.first, first == "--store" || first.hasPrefix("--store=") else {
      return arguments
    }
    let isOneWord = first != "--store"
    let folder = isOneWord ? String(first.dropFirst(8)) : arguments.dropFirst().first ?? ""
    // What looks like an option is no folder, as behind the command: '--store=-x' says that it is.
    guard !folder.isEmpty, isOneWord || !folder.hasPrefix("-") else {
      Console.remark(StoreOptions.withoutFolder)
      Glibc.exit(ExitStatus.usage.rawValue)
    }
    setenv("CELLMAP_STORE", folder, 1)
    return Array(arguments.dropFirst(isOneWord ? 1 : 2))
  }
}
