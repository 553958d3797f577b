import Journal
import Projections
import Recovery
import Registry
import Router

/// Reads an API database round by round for a command, each time over a connection of its own.
struct WatchRounds {
  private let session: StoreSession
  private let address: DatabaseAddress
  private let folder: String
  private var watch: MapWatch<LiveCells>

  init(
    _ session: StoreSession, _ choice: APIDatabaseChoice, program: String, reason: String?,
    pruneLimit: UInt64?
  ) throws(CommandFailure) {
    self.session = session
    // Once: standard input has it only once.
    address = try choice.databaseAddress()
    folder = choice.base.folder
    let since: Timestamp?
    do throws(JournalError) {
      since = try session.journal.lastAgreement(with: address.publicForm)
    } catch {
      throw CommandFailure(error)
    }
    let base = try choice.addressBase()
    watch = MapWatch(
      witness: LiveCells(try session.router(base), base), keys: try session.keys(),
      program: ByteText("\(Caller.program) \(program)"), reason: reason.map { ByteText($0) },
      pruneLimit: pruneLimit, since: since)
  }

  /// The public form of the database's address.
  var database: ByteText { address.publicForm }

  /// Reads once, and appends what has changed.
  mutating func round(
    by author: MapWatch<LiveCells>.Author? = nil,
    isCancelled: @escaping @Sendable () -> Bool = { false }
  ) throws(WatchFailure) -> MapWatch<LiveCells>.Round {
    let basis: Position
    do throws(JournalError) { basis = try session.journal.refresh().position } catch {
      throw .command(CommandFailure(error))
    }
    let openedAt = Timestamp.now
    let source: NovaAPIDatabase
    do throws(AdoptionError) {
      source = try NovaAPIDatabase(address, relativeTo: folder)
    } catch {
      throw .adoption(error)
    }
    let (index, registry): (IndexReader, MapRegistry)
    do throws(CommandFailure) {
      (index, registry) = (try session.caughtUpIndex(), try session.writer())
    } catch {
      throw .command(error)
    }
    do throws(AdoptionError) {
      defer { Console.endProgress() }
      return try watch.round(
        source, openedAt: openedAt, basis: basis, on: index,
        head: session.journal.head.position, through: registry, by: author,
        isCancelled: isCancelled
      ) { Console.progress("comparing: \($0) instances") }
    } catch {
      throw .adoption(error)
    }
  }
}

/// Why a round came to nothing, or to a part.
enum WatchFailure: Error {
  case adoption(AdoptionError)
  case command(CommandFailure)

  /// As the command reports it.
  func failure(_ request: RequestID) -> CommandFailure {
    switch self {
    case .adoption(let error): CommandFailure(error, request: request)
    case .command(let failure): failure
    }
  }

  /// Whether the next round may well succeed: the database is away, another process writes, somebody
  /// has to look at what was refused.
  var mayPass: Bool {
    switch self {
    case .adoption(.unreadable), .adoption(.notNovaAPI), .adoption(.lostTooMuch),
      .adoption(.emptied), .adoption(.registry(.refused)):
      true
    default: [.locked, .cell].contains(failure(.none).status)
    }
  }
}
