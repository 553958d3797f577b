import Foundation
import Synchronization

/// How far long work has come, how fast it goes and how long it still takes; shown where a person watches.
final class WorkProgress: Sendable {
  private let what: String
  private let total: UInt64
  private let began = ContinuousClock.now
  private let lastShown = Mutex<ContinuousClock.Instant?>(nil)
  /// What was done before this work began: an earlier one was killed.
  private let before = Mutex<UInt64?>(nil)
  private static let pause = Duration.milliseconds(100)

  /// - Parameters:
  ///   - what: What is done, such as `Replaying`.
  ///   - total: Entries in all.
  init(_ what: String, of total: UInt64) {
    self.what = what
    self.total = total
  }

  /// Shows that so many are done, unless that was a moment ago.
  func show(_ done: UInt64) {
    let now = ContinuousClock.now
    before.withLock { if $0 == nil { $0 = done } }
    let isDue = lastShown.withLock { last in
      if let last, now - last < Self.pause { return false }
      last = now
      return true
    }
    if isDue { Console.progress(text(done, after: now - began)) }
  }

  func text(_ done: UInt64, after time: Duration) -> String {
    let seconds = time / .seconds(1)
    let start = "\(what): \(done) of \(total)"
    let before = before.withLock { $0 ?? 0 }
    guard done > before, seconds > 0.2 else { return start }
    let rate = Double(done - before) / seconds
    let left = Double(total - min(done, total)) / rate
    return start + ", \(Int(rate))/s, \(Self.words(left)) left"
  }

  /// A time in words, rounded up.
  static func words(_ seconds: Double) -> String {
    let seconds = Int(seconds.rounded(.up))
    if seconds < 120 { return "\(seconds) s" }
    return seconds < 7_200 ? "\((seconds + 59) / 60) min" : "\((seconds + 3_599) / 3_600) h"
  }
}
