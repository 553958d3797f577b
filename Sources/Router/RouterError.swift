public import Journal
public import Projections

/// Why the router can't say anything at all; what a cell does wrong is a part of the answer.
public enum RouterError: Error, Equatable, Sendable {
  /// The journal can't be read, or isn't the one that was opened.
  case journal(JournalError)
  /// The index can't be read, and no cells are known that could be asked instead.
  case index(ProjectionError)
  /// A list's token gives no page.
  case token(ListTokenFault)
  /// The instance after which a list is to go on isn't known, or its cell has no row of it.
  case markerUnknown(InstanceID)
  /// The instance's place in the order could not be read: its cell did not answer, or it has none.
  case markerUnreadable(InstanceID, CellUnavailable?)
}

extension RouterError: CustomStringConvertible {
  public var description: String {
    switch self {
    case .journal(let error): error.description
    case .index(let error): error.description
    case .token(let fault): fault.description
    case .markerUnknown(let id):
      "There is no instance \(id) after which the list could go on. Begin it anew, or give the token "
        + "of its last page, which needs no instance."
    case .markerUnreadable(let id, let reason):
      "Where instance \(id) stands in that order can't be read: "
        + "\(reason?.description ?? "the map has no cell for it.") Give the token of the last page instead."
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
