internal import Journal
internal import Synchronization

/// Keeps callers from a cell that is down: after failures in a row each call fails at once, until a
/// probe has found the cell to be back.
///
/// Says only what is to be done; `CellConnectionPool` probes, one probe at a time.
final class CircuitBreaker: Sendable {
  private let cell: CellID
  private let settings: CircuitBreakerSettings
  private let state = Mutex(State())
  /// Whether `state` is anything but closed without a failure; looked at without the lock.
  private let isTroubled = Atomic<Bool>(false)

  private struct State {
    var failures = 0
    var last: CellError?
    /// Since when no caller is let through.
    var openSince: ContinuousClock.Instant?
    var pause = Duration.zero
  }

  init(for cell: CellID, settings: CircuitBreakerSettings) {
    precondition(settings.failures > 0, "a breaker opens after one failure at the least")
    self.cell = cell
    self.settings = settings
  }

  /// Lets a caller through, or not.
  ///
  /// - Throws: `skippedByBreaker` with the last failure.
  // Hot path: 1 ns, 0 allocations, while the cell answers.
  @inline(__always)
  func admit() throws(CellError) {
    guard isTroubled.load(ordering: .relaxed) else { return }
    let skipped = state.withLock { state -> CellError? in
      guard state.openSince != nil, let last = state.last else { return nil }
      return .skippedByBreaker(cell: cell, failures: state.failures, last: last)
    }
    if let skipped { throw skipped }
  }

  /// The cell has answered: it counts as up.
  @inline(__always)
  func succeeded() {
    guard isTroubled.load(ordering: .relaxed) else { return }
    state.withLock { state in
      state = State()
      isTroubled.store(false, ordering: .relaxed)
    }
  }

  /// The cell has failed.
  ///
  /// - Parameter waited: How long it was waited for.
  /// - Returns: Whether the breaker opened by it: the caller sees to the probes.
  func failed(_ error: CellError, after waited: Duration) -> Bool {
    guard error.isOutage, !error.isTimeout || waited >= settings.countedWait else {
      return false
    }
    return state.withLock { state in
      isTroubled.store(true, ordering: .relaxed)
      state.failures += 1
      state.last = error
      guard state.openSince == nil, state.failures >= settings.failures else { return false }
      state.openSince = .now
      state.pause = settings.firstPause
      return true
    }
  }

  /// How long to wait before the next probe; nil once the breaker is closed.
  var pause: Duration? {
    state.withLock { state in state.openSince == nil ? nil : state.pause }
  }

  /// A probe has failed: the next one comes after twice the pause.
  func probeFailed(_ error: CellError) {
    state.withLock { state in
      guard state.openSince != nil else { return }
      state.failures += 1
      state.last = error
      state.pause = min(state.pause * 2, settings.longestPause)
    }
  }

  /// Nobody can probe: callers are let through, and the next failure opens it again.
  func cannotProbe() {
    state.withLock { state in
      state.openSince = nil
      state.failures = settings.failures - 1
    }
  }

  /// How it stands, for people.
  var condition: BreakerCondition {
    state.withLock { state in
      guard let last = state.last else { return .closed }
      guard let since = state.openSince else {
        return .failing(failures: state.failures, last: last)
      }
      return .open(since: since, failures: state.failures, last: last)
    }
  }
}

/// How a cell's circuit breaker stands.
public enum BreakerCondition: Equatable, Sendable {
  /// The last call was answered, or there was none.
  case closed
  /// Calls have failed in a row, and the next is let through.
  case failing(failures: Int, last: CellError)
  /// No call is let through until a probe is answered.
  case open(since: ContinuousClock.Instant, failures: Int, last: CellError)
}

extension CellError {
  /// Whether it says that the cell is down, rather than that it is another one or holds something
  /// unexpected: such a cell answers, at once, and each caller is to be told what is wrong.
  ///
  /// A refused password is an outage: servers shut out who tries on.
  var isOutage: Bool {
    switch self {
    case .inMemory, .notACell, .badValue, .connectionsBusy, .replaced, .wrongCell,
      .identityUnknown, .identityUnreadable, .skippedByBreaker,
      .database(_, .permissionDenied), .database(_, .optionUnusable):
      false
    default: true
    }
  }

  /// Whether time ran out: the caller's deadline has a part in it.
  public var isTimeout: Bool {
    switch self {
    case .locked, .deadlinePassed, .connectionsBusy: true
    default: false
    }
  }
}
