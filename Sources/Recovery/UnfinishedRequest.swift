internal import Journal
internal import Projections

extension IndexReader {
  /// Whether a bulk command has appended something under the request id and was stopped ahead of its
  /// end: it must be ended then, though nothing else may be left to do.
  func isUnfinished(_ request: RequestID) throws(ProjectionError) -> Bool {
    try self.request(request).map { $0.finished == nil } ?? false
  }
}
