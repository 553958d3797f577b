/// Why a backup was not made or not restored; each message says what to do next.
public enum BackupError: Error, Equatable, Sendable {
  /// Something is at the path where the backup should be made.
  case targetExists(path: String)
  /// Another process makes that backup now.
  case beingMade(path: String)
  case notABackup(path: String, why: String)
  case newerFormat(path: String, version: String)
  /// A part of the backup is not what its manifest says.
  case damaged(path: String, what: String)
  /// The folder to restore into belongs to another store.
  case otherStore(path: String, found: StoreID, backup: StoreID)
  /// The backup holds no entry of that place or time.
  case noSuchMoment(PastMoment, head: Position, times: ClosedRange<Timestamp>)
  case journal(JournalError)
  case keys(KeyError)
  case file(FileError)
}

extension BackupError: CustomStringConvertible {
  public var description: String {
    switch self {
    case .targetExists(let path):
      "\(path) is there already. A backup is never written over: give another name."
    case .beingMade(let path): "Another process makes the backup \(path) now."
    case .notABackup(let path, let why): "\(path) is no backup of cellmap: \(why)."
    case .newerFormat(let path, let version):
      "\(path) has format \(version); this program reads 1. Use a newer cellmap."
    case .damaged(let path, let what):
      "The backup's \(path) is damaged: \(what). Nothing was changed. Take another backup."
    case .otherStore(let path, let found, let backup):
      "\(path) is store \(found), the backup is of store \(backup). Name another folder with --store."
    case .noSuchMoment(let moment, let head, let times):
      "The backup can't be restored to \(moment): it goes from entry 2 (\(times.lowerBound)) to "
        + "\(head) (\(times.upperBound))."
    case .journal(let error): error.description
    case .keys(let error): error.description
    case .file(let error): error.description
    }
  }
}
