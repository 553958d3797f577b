internal import Cells
internal import Dispatch
internal import Journal
internal import Synchronization

/// Does the same work on several cells at once, each on a queue of its own, and waits for all, until
/// the deadline and a little: no cell waits behind another, and none holds up the answer.
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
  let answers = AnswerBox<Answer>(count: targets.count)
  let group = DispatchGroup()
  for (place, target) in targets.enumerated() {
    DispatchQueue(label: "cellmap.cell").async(group: group) {
      let answer = attempt(target)
      answers.box.withLock { $0[place] = answer }
    }
  }
  let remaining = ContinuousClock.now.duration(to: deadline) / .milliseconds(1)
  // Work that can't be broken off, on a file system that hangs, is left behind.
  let grace = 100.0
  let limit = Int(max(0, min(remaining, 3.6e9)) + grace)
  _ = group.wait(timeout: .now() + .milliseconds(limit))
  return zip(targets, answers.box.withLock(\.self)).map { target, answer in
    answer ?? .failure(.database(.deadlinePassed(cell: target.id)))
  }
}

/// Where the answers of one fan-out are gathered; late ones find nobody who reads them.
private final class AnswerBox<Answer: Sendable>: Sendable {
  let box: Mutex<[Result<Answer, CellUnavailable>?]>
  init(count: Int) { box = Mutex(Array(repeating: nil, count: count)) }
}
