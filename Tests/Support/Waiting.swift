import Foundation

/// What a busy machine may add to a time that is promised.
///
/// A promise that is broken costs a minute or lasts for ever in the tests that use it; how near a
/// promise is kept on a quiet machine is the benches' to say.
public let busyMachine = Duration.seconds(10)

/// A deadline: without a length it is one that only what hangs will reach.
public func soon(_ milliseconds: Int = 60_000) -> ContinuousClock.Instant {
  .now.advanced(by: .milliseconds(milliseconds))
}

/// Waits until `condition` holds, for a minute at most.
///
/// - Returns: Whether it does.
public func eventually(_ condition: () throws -> Bool) rethrows -> Bool {
  let deadline = soon()
  while true {
    if try condition() { return true }
    guard .now < deadline else { return false }
    usleep(2_000)
  }
}
