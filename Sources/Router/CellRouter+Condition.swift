public import Cells
internal import Journal

/// How a cell is reached, found by asking it.
public struct CellCondition: Sendable {
  public let target: CellTarget
  /// Why it could not be asked; nil if it answered.
  public let failure: CellUnavailable?
  /// False where nothing is known that would prove the database to be the cell's.
  public let isProven: Bool
  /// How long the answer took, or its failure.
  public let took: Duration
  /// Connections, threads and circuit breaker of this router; nil where there are none.
  public let pool: CellPoolCondition?
}

extension CellRouter {
  /// Asks every cell whether it can be asked, all at once.
  ///
  /// - Throws: `journal`.
  public func conditions(
    until deadline: ContinuousClock.Instant
  ) throws(RouterError) -> [CellCondition] {
    let targets = try cells()
    let begin = ContinuousClock.now
    let answers = fanOut(over: targets, until: deadline) { target throws(CellUnavailable) in
      do throws(CellUnavailable) {
        let isProven = try target.ask(until: deadline) { lent throws(CellError) in lent.isProven }
        return (failure: CellUnavailable?.none, isProven: isProven, took: begin.duration(to: .now))
      } catch {
        return (failure: error, isProven: false, took: begin.duration(to: .now))
      }
    }
    return zip(targets, answers).map { target, answer in
      let pool = (try? target.pool())?.condition
      switch answer {
      case .success(let found):
        return CellCondition(
          target: target, failure: found.failure, isProven: found.isProven, took: found.took,
          pool: pool)
      case .failure(let error):
        return CellCondition(
          target: target, failure: error, isProven: false, took: begin.duration(to: .now),
          pool: pool)
      }
    }
  }
}
