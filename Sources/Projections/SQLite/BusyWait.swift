internal import Glibc

/// Waits out short locks of other processes: the first reader of an index recovers its WAL alone,
/// and a person's `sqlite3` may hold the file for a moment.
enum BusyWait {
  /// Looks again each 5 ms, for two seconds at the most.
  private static let attempts = 400
  private static let pauseMicroseconds: UInt32 = 5_000

  /// Calls `body` again as long as it throws `busy`.
  ///
  /// - Throws: What `body` throws; `busy` once the time is over.
  static func retrying<Result>(
    _ body: () throws(ProjectionError) -> Result
  ) throws(ProjectionError) -> Result {
    var attempt = 1
    while true {
      do throws(ProjectionError) { return try body() } catch {
        guard case .busy = error, attempt < attempts else { throw error }
        attempt += 1
        usleep(pauseMicroseconds)
      }
    }
  }
}
