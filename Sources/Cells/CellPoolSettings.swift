/// How many connections and threads one cell may take, and when it is left alone; each cell has the
/// same, and none shares with another.
public struct CellPoolSettings: Hashable, Sendable {
  /// The most connections to a cell at a time, and the most threads that ask it for callers who ask
  /// several cells at once.
  public var connections = 8
  /// The most callers that wait for a connection to a cell, and as many that wait for a thread;
  /// whoever comes then is refused at once.
  public var waiters = 64
  /// How long a connection, or a thread, is kept without work.
  public var idleTime = Duration.seconds(60)
  /// How old a connection grows: servers and proxies close theirs some time.
  public var connectionLifetime = Duration.seconds(3600)
  public var breaker = CircuitBreakerSettings()
  /// Reads a database too in which nothing is found that is recorded of the cell, an empty one or one
  /// of an old backup: for work that compares, and says so. Another cell's is never read.
  public var readsUnknown = false

  public init() {}
}

/// When a cell counts as down, and how it is found to be back.
public struct CircuitBreakerSettings: Hashable, Sendable {
  /// Failures in a row after which a cell isn't asked any more.
  public var failures = 3
  /// A cell that didn't answer within a deadline counts as failing only if it was waited for as
  /// long as this: a caller without patience says nothing of the cell.
  public var countedWait = Duration.milliseconds(100)
  /// From a failure to the first probe.
  public var firstPause = Duration.seconds(1)
  /// Pauses between probes double up to this.
  public var longestPause = Duration.seconds(30)
  /// How long a probe may take.
  public var probeTime = Duration.seconds(2)

  public init() {}
}
