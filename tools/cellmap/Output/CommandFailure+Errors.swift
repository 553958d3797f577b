import Journal
import Projections
import Recovery
import Registry
import Router

/// Errors of the rooms as the command reports them: an exit code and one line.
extension CommandFailure {
  init(_ error: JournalError) {
    // The rule that a store is made once; nothing is wrong with the storage.
    if case .alreadyAStore = error {
      self.init(.refused, error.description)
      return
    }
    let status: ExitStatus =
      switch error.category {
      case .locked: .locked
      case .refused, .stale: .refused
      case .integrity: .integrity
      case .storage, .notAStore, .newerFormat: .storage
      case .outcomeUnknown: .outcomeUnknown
      }
    self.init(status, error.description)
  }

  /// A store can't be made in a folder, where something else is.
  init(noRoomAt path: String, _ why: String) {
    self.init(
      .usage,
      "No store can be made at \(path): \(why). Name a new or an empty folder with --store.")
  }

  init(_ error: ProjectionError) {
    if case .journal(let error) = error {
      self.init(error)
      return
    }
    let status: ExitStatus =
      switch error {
      case .fault(let fault) where !fault.isSafeToReplace: .integrity
      // As where the journal meets it: nothing is damaged, and a newer program reads it.
      case .unreadableEntry(_, .unknownEvent), .unreadableEntry(_, .newerFormat): .storage
      case .fault, .damaged, .outOfOrder, .unreadableEntry: .integrity
      case .fileExists: .usage
      case .busy: .locked
      default: .storage
      }
    self.init(status, "\(error)")
  }

  init(_ error: KeyError) {
    let status: ExitStatus =
      switch error {
      case .damaged: .integrity
      // Without the HMAC key it can't be told whether a request was answered before.
      case .missing: .outcomeUnknown
      case .shredded, .ownerShredded: .finding
      case .file: .storage
      case .busy: .locked
      }
    self.init(status, error.description)
  }

  /// The same where nothing is asked of requests: keys that are missing leave no outcome unknown.
  init(reading error: KeyError) {
    if case .missing = error {
      self.init(.storage, error.description)
    } else {
      self.init(error)
    }
  }

  init(_ refusal: Refusal) {
    let status: ExitStatus =
      switch refusal {
      case .unknownCell, .unknownHost, .unknownInstance: .unknown
      default: .refused
      }
    self.init(status, refusal.description)
  }

  /// - Parameter request: Named where the outcome is unknown, so that it can be asked for again.
  init(_ error: RegistryError, request: RequestID? = nil) {
    switch error {
    case .refused(let refusal): self.init(refusal)
    case .journal(let error):
      self.init(error)
      if status == .outcomeUnknown, let request {
        self.init(status, "\(error) The request id is \(request).")
      }
    case .index(let error): self.init(error)
    case .keys(let error): self.init(error)
    case .closed: self.init(.storage, error.description)
    }
  }

  init(_ error: BackupError) {
    switch error {
    case .targetExists, .otherStore: self.init(.refused, error.description)
    case .beingMade: self.init(.locked, error.description)
    case .notABackup, .newerFormat, .file: self.init(.storage, error.description)
    case .damaged: self.init(.integrity, error.description)
    case .noSuchMoment: self.init(.usage, error.description)
    case .journal(let error): self.init(error)
    case .keys(let error): self.init(reading: error)
    }
  }

  init(_ error: ExportError) {
    switch error {
    case .targetExists: self.init(.refused, error.description)
    case .beingMade: self.init(.locked, error.description)
    case .notAnExport, .newerFormat, .newerEntry, .file: self.init(.storage, error.description)
    case .line: self.init(.integrity, error.description)
    case .notComplete: self.init(.usage, error.description)
    case .journal(let error): self.init(error)
    }
  }

  init(_ error: AddressError) { self.init(.usage, error.description) }

  init(_ error: RouterError) {
    switch error {
    case .journal(let error): self.init(error)
    case .index(let error): self.init(error)
    case .token: self.init(.usage, error.description)
    case .markerUnknown: self.init(.unknown, error.description)
    case .markerUnreadable: self.init(.cell, error.description)
    }
  }

  init(_ error: AdoptionError, request: RequestID) {
    switch error {
    case .unreadable: self.init(.cell, error.description)
    case .notNovaAPI: self.init(.usage, error.description)
    case .problems, .wouldUnmap, .wouldReplace, .lostTooMuch, .emptied, .cancelled:
      self.init(.refused, error.description)
    case .registry(let error): self.init(error, request: request)
    }
  }
}

extension CommandFailure {
  init(_ error: RebuildError, request: RequestID) {
    switch error {
    case .scanUnderway: self.init(.locked, error.description)
    case .staging: self.init(.storage, error.description)
    case .router: self.init(.storage, error.description)
    case .registry(let error): self.init(error, request: request)
    case .source(let error): self.init(error, request: request)
    case .cell: self.init(.cell, error.description)
    }
  }
}

/// Calls the room of projections, and gives its errors as the command reports them.
func projections<Value>(
  _ body: () throws(ProjectionError) -> Value
) throws(CommandFailure) -> Value {
  do throws(ProjectionError) { return try body() } catch { throw CommandFailure(error) }
}
