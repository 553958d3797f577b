internal import Cells
internal import Dispatch
internal import Journal
internal import Synchronization

/// Does the same work on several cells at once, each on a thread of the cell's own, and waits for
/// all, until the deadline and a little: no cell waits behind another, and none holds up the answer.
///
/// - Returns: An answer for each cell, in their order.
func fanOut<Answer: Sendable>(
  over targets: [CellTarget], until deadline: ContinuousClock.Instant,
  _ work: @escaping @Sendable (CellTarget) throws(CellUnavailable) -> Answer
) -> [Result<Answer, CellUnavailable>] {
  @Sendable func attempt(_ target: CellTarget) -> Result<Answer, CellUnavailable> {
    do throws(CellUnavailable) { return .success(try work(target)) } catch {
      return .failure(error)
    }
  }
  if targets.count == 1 { return [attempt(targets[0])] }
  let inbox = Inbox<Answer>()
  var answers = [Result<Answer, CellUnavailable>?](repeating: nil, count: targets.count)
  var open = targets.count
  for (place, target) in targets.enumerated() {
    do throws(CellUnavailable) {
      try target.run(until: deadline) { inbox.put(attempt(target), from: place) }
    } catch {
      answers[place] = .failure(error)
      open -= 1
    }
  }
  while open > 0 {
    let arrived = inbox.take(until: deadline.advanced(by: lateness))
    if arrived.isEmpty { break }
    for (place, answer) in arrived { answers[place] = answer }
    open -= arrived.count
  }
  return zip(targets, answers).map { target, answer in
    answer ?? .failure(.database(.deadlinePassed(cell: target.id)))
  }
}

/// How long after the deadline an answer is waited for: whoever keeps the deadline says more of what
/// went wrong than that it passed. Work that can't be broken off, on a file system that hangs, is
/// left behind.
let lateness = Duration.milliseconds(25)

/// Where the answers to one caller are gathered; late ones find nobody who reads them.
final class Inbox<Answer: Sendable>: Sendable {
  private let arrived = Mutex<[(place: Int, answer: Result<Answer, CellUnavailable>)]>([])
  private let signal = DispatchSemaphore(value: 0)

  func put(_ answer: Result<Answer, CellUnavailable>, from place: Int) {
    arrived.withLock { $0.append((place, answer)) }
    signal.signal()
  }

  /// Waits for an answer, and takes all that are there; none if none came until `deadline`.
  func take(
    until deadline: ContinuousClock.Instant
  ) -> [(place: Int, answer: Result<Answer, CellUnavailable>)] {
    while true {
      let taken = takeArrived()
      if !taken.isEmpty { return taken }
      let nanoseconds = ContinuousClock.now.duration(to: deadline) / .nanoseconds(1)
      // Answers that were taken along with others have left their signals: it is looked again.
      let timeout = DispatchTime.now() + .nanoseconds(Int(max(0, min(nanoseconds, 3.6e12))))
      if signal.wait(timeout: timeout) == .timedOut { return takeArrived() }
    }
  }

  private func takeArrived() -> [(place: Int, answer: Result<Answer, CellUnavailable>)] {
    arrived.withLock { arrived in
      let all = arrived
      arrived = []
      return all
    }
  }
}
