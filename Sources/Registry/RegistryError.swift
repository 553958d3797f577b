public import Journal
public import Projections

/// Why a command has no answer.
public enum RegistryError: Error, Equatable, Sendable, CustomStringConvertible {
  /// A rule or a guard said no; nothing was done.
  case refused(Refusal)
  /// The journal failed; its `category` says whether the outcome is known.
  case journal(JournalError)
  /// The index can't be asked or written; what was acknowledged is in the journal.
  case index(ProjectionError)
  case keys(KeyError)
  /// The registry was closed while the command waited; nothing was done.
  case closed

  public var description: String {
    switch self {
    case .refused(let refusal): refusal.description
    case .journal(let error): error.description
    case .index(let error): error.description
    case .keys(let error): error.description
    case .closed: "The store is being closed; nothing was done."
    }
  }
}
