public import Journal
public import Projections

/// Why the router can't say anything at all; what a cell does wrong is a part of the answer.
public enum RouterError: Error, Equatable, Sendable {
  /// The journal can't be read, or isn't the one that was opened.
  case journal(JournalError)
  /// The index can't be read, and no cells are known that could be asked instead.
  case index(ProjectionError)
}

extension RouterError: CustomStringConvertible {
  public var description: String {
    switch self {
    case .journal(let error): error.description
    case .index(let error): error.description
    }
  }
}

/// Runs `body`, whose errors are the index's.
@inline(__always)
func onIndex<Result>(
  _ body: () throws(ProjectionError) -> Result
) throws(RouterError) -> Result {
  do throws(ProjectionError) { return try body() } catch { throw .index(error) }
}

/// Runs `body`, whose errors are the journal's.
@inline(__always)
func onJournal<Result>(
  _ body: () throws(JournalError) -> Result
) throws(RouterError) -> Result {
  do throws(JournalError) { return try body() } catch { throw .journal(error) }
}
