internal import Cells
internal import Glibc
internal import Journal

/// Sleeps, since what is waited for sends no word.
enum Pause {
  static func milliseconds(_ time: Int) {
    let end = ContinuousClock.now + .milliseconds(time)
    while case let left = ContinuousClock.now.duration(to: end) / .microseconds(1), left > 0 {
      usleep(useconds_t(min(left.rounded(.up), 100_000)))
    }
  }
}

/// Looks whether a Nova is stopped, as an operator says that it is.
public enum StoppedNova {
  /// How long a service must have been silent; Nova's report every 10 s, and count as down after 60.
  public static let quietTime = Duration.seconds(120)
  /// The services that write the mapping tables and report into cell0's database.
  public static let binaries = ["nova-scheduler", "nova-conductor"]

  private static let rowsOfALook = 10_000

  /// A value of everything in the mapping tables and of which instances are being built; equal for
  /// equal content, within this process.
  static func look(at target: PublicationTarget) throws(PublicationError) -> Int {
    var hasher = Hasher()
    for table in PublishedTable.mapped {
      var last: UInt64?
      while true {
        let rows = try target.rows(of: table, afterNumber: last, limit: rowsOfALook)
        for row in rows {
          hasher.combine(row.number)
          hasher.combine(row.values)
          hasher.combine(row.createdAt)
          hasher.combine(row.updatedAt)
        }
        guard let number = rows.last?.number, rows.count == rowsOfALook else { break }
        last = number
      }
    }
    return hasher.finalize()
  }

  /// - Throws: `novaRuns` if a heartbeat is younger than `quietTime`.
  static func check(_ heartbeat: CellHeartbeat?, at now: Timestamp) throws(PublicationError) {
    guard let heartbeat else { return }
    let quiet = now.plus(seconds: -quietTime.components.seconds)
    if heartbeat.at > quiet { throw .novaRuns(heartbeat) }
  }
}
