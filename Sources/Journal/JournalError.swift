/// Why the journal refused or failed; each message says what to do next.
public enum JournalError: Error, Equatable, Sendable {
  // What is at the path.
  case noStore(path: String)
  case notAStore(path: String, why: String)
  case alreadyAStore(path: String)
  case journalLost(path: String)
  case unsafePermissions(path: String, mode: UInt32)
  case networkFileSystem(path: String, name: String)
  case newerFormat(path: String, version: UInt32)
  case newerEvent(EntryError)

  // Damage. The journal takes no more writes; nothing was changed.
  case truncated(path: String, expectedBytes: UInt64, actualBytes: UInt64)
  case corrupt(path: String, what: String)
  case missingEntry(index: UInt64)
  case damagedEntry(index: UInt64, what: String)
  case damagedTree(index: UInt64, what: String)
  case steppedBack(journal: Position, witness: Position)
  case divergedFromWitness(witness: Position)
  case foreignWitness(path: String, store: StoreID, witness: StoreID)
  case replaced(path: String)
  case archiveMissing(path: String)
  case archiveDamaged(path: String, what: String)

  // Other writers.
  case locked(path: String, holder: LeaseHolder?)
  case inUse(path: String)
  case staleHead(expected: Position, actual: Position)

  // The disk.
  case full(path: String)
  case outcomeUnknown(path: String, what: String)
  case storage(path: String, function: String, code: Int32, message: String)
  case file(FileError)

  // The entries to be written.
  case invalidDraft(EntryError)
}

extension JournalError {
  /// What kind of failure it is; a command's exit code follows from it.
  public enum Category: Sendable {
    case notAStore, newerFormat, integrity, locked, stale, storage, outcomeUnknown, refused
  }

  public var category: Category {
    switch self {
    case .noStore, .notAStore, .alreadyAStore, .unsafePermissions, .networkFileSystem: .notAStore
    case .newerFormat, .newerEvent: .newerFormat
    case .journalLost, .truncated, .corrupt, .missingEntry, .damagedEntry, .damagedTree,
      .steppedBack, .divergedFromWitness, .foreignWitness, .replaced,
      .archiveMissing, .archiveDamaged:
      .integrity
    case .locked, .inUse: .locked
    case .staleHead: .stale
    case .full, .storage, .file: .storage
    case .outcomeUnknown: .outcomeUnknown
    case .invalidDraft: .refused
    }
  }
}

extension JournalError: CustomStringConvertible {
  public var description: String {
    switch category {
    case .notAStore, .newerFormat: describePlace
    case .integrity: describeDamage
    default: describeFailure
    }
  }

  private var describePlace: String {
    switch self {
    case .noStore(let path):
      "There is no store at \(path). Make one with 'cellmap init', or name another with --store."
    case .notAStore(let path, let why):
      "\(path) is not a cellmap store: \(why). Name another directory with --store."
    case .alreadyAStore(let path):
      "There is a store at \(path) already. Use it, or name another directory with --store."
    case .unsafePermissions(let path, let mode):
      "\(path) has mode \(String(mode, radix: 8)): others than its owner can reach it. "
        + "If it is a store, take their rights away with 'chmod go= \(path)'; if not, name another "
        + "directory with --store."
    case .networkFileSystem(let path, let name):
      "\(path) lies on a network file system (\(name)), whose locks and memory maps can't be "
        + "trusted. Keep the store on a local disk."
    case .newerFormat(let path, let version):
      "\(path) has format \(version); this program reads 1. Use a newer cellmap."
    case .newerEvent(let error): error.description
    default: describeFailure
    }
  }

  private var describeDamage: String {
    let next =
      "Nothing was changed. Put back a copy of the whole store from before the damage, or restore a "
      + "backup with 'cellmap backup restore': the index is made from the journal, and can't stand in "
      + "for it."
    return switch self {
    case .journalLost(let path):
      "The store at \(path) has no journal any more. 'cellmap backup restore' restores a "
        + "backup over it. To make a new one from the cells, name another folder or move this one away, and give "
        + "'cellmap rebuild --cells FILE'."
    case .truncated(let path, let expected, let actual):
      "\(path) has \(actual) bytes of at least \(expected): it was truncated. Restore a backup "
        + "with 'cellmap backup restore'."
    case .corrupt(let path, let what): "\(path) is damaged: \(what). \(next)"
    case .missingEntry(let index):
      "Entry \(index) is missing from the journal though later ones are there. \(next)"
    case .damagedEntry(let index, let what): "Entry \(index) is damaged: \(what). \(next)"
    case .damagedTree(let index, let what):
      "The hash tree does not fit the entries up to \(index): \(what). \(next)"
    case .steppedBack(let journal, let witness):
      "The journal ends at \(journal), but was seen at \(witness): an older copy was put back, or "
        + "its end was lost. Restore the newer one."
    case .divergedFromWitness(let witness):
      "The journal is not the one that was seen at \(witness): its history differs there. "
        + "Restore the right one."
    case .foreignWitness(let path, let store, let witness):
      "\(path) belongs to store \(witness), the journal to store \(store). Put back the right one."
    case .archiveMissing(let path):
      "The archive \(path) is missing, and what was asked needs entries in it. Put the file back, from "
        + "a copy of the store's folder. Instances are routed without it."
    case .archiveDamaged(let path, let what):
      "The archive \(path) is damaged: \(what). Nothing was changed. Put back a copy of the file. "
        + "Instances are routed without it."
    case .replaced(let path):
      "\(path) was replaced while it was open. Restart this program to use the new file."
    default: describeFailure
    }
  }

  private var describeFailure: String {
    switch self {
    case .locked(let path, let holder):
      "The store is locked by \(holder?.description ?? "another process") (\(path)). "
        + "Wait for it, or end it, and try again."
    case .inUse(let path):
      "The store is open in other processes (\(path)). End them and try again."
    case .staleHead(let expected, let actual):
      "The journal is at \(actual), not at \(expected): someone wrote in between. "
        + "Read the changes and decide again."
    case .full(let path):
      "No space for \(path). Nothing was written; free some space and try again."
    case .outcomeUnknown(let path, let what):
      "It is not known whether the change reached \(path): \(what). "
        + "Check the disk, then ask again with the same request id."
    case .storage(let path, let function, _, let message):
      "\(function) failed on \(path): \(message). Check the disk and its rights."
    case .file(let error): error.description
    case .invalidDraft(let error): "The change can't be written: \(error)"
    default: "The journal failed."
    }
  }
}
