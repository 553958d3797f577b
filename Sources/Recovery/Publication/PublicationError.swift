public import Cells
public import Journal
public import Projections
public import Registry

/// Why a map isn't published; what had been written before stays, and the same command goes on from
/// there.
public enum PublicationError: Error, Sendable, CustomStringConvertible {
  /// The target can't be opened, or isn't a Nova API database.
  case source(AdoptionError)
  /// The target can't be read.
  case unreadable(ByteText, why: String)
  /// The target takes no writes, or broke off in the middle.
  case unwritable(ByteText, why: String)
  /// The account, the server or the file takes no writes; nothing was written.
  case notWritable(ByteText, why: String)
  /// Rows of the target changed while nothing should write it; nothing was written.
  case stillChanging(ByteText, within: Duration)
  /// A service that writes the target reported a moment ago; nothing was written.
  case novaRuns(CellHeartbeat)
  /// Whether Nova is stopped can't be seen; nothing was written.
  case notSeenStopped(why: String)
  /// The statements would hold addresses with their secrets; nothing was written.
  case secretsHidden
  /// The file of statements can't be written.
  case script(FileError)
  case map(ProjectionError)
  /// The map's cells, which global tables are made of, can't be read.
  case cells(String)
  case journal(JournalError)
  case registry(RegistryError)

  public var description: String {
    switch self {
    case .source(let error): error.description
    case .unreadable(let database, let why): "The API database \(database) can't be read: \(why)"
    case .unwritable(let database, let why):
      "The API database \(database) can't be written: \(why) What was written is whole; give the "
        + "same command again to go on."
    case .notWritable(let database, let why):
      "The API database \(database) can't be written: \(why) Nothing was written; --dry-run and "
        + "--emit-sql FILE only read."
    case .stillChanging(let database, let time):
      "Rows of \(database) changed within \(time.components.seconds) s: something still writes it. Stop "
        + "nova-api, conductors and schedulers, or leave out --nova-stopped."
    case .novaRuns(let heartbeat):
      "\(heartbeat.binary) on \(heartbeat.host) reported at \(heartbeat.at), less than "
        + "\(StoppedNova.quietTime.components.seconds) s ago. Stop it, wait so long, or leave out "
        + "--nova-stopped."
    case .notSeenStopped(let why):
      "Whether Nova is stopped can't be seen in cell0's database: \(why) Mend that, or leave out "
        + "--nova-stopped."
    case .secretsHidden:
      "The statements would hold cells' addresses with their passwords. Give --reveal to have them in "
        + "the file, which only you can read."
    case .script(let error): error.description
    case .map(let error): "\(error)"
    case .cells(let why): why
    case .journal(let error): error.description
    case .registry(let error): error.description
    }
  }
}
