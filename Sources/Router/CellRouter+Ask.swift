public import Cells

extension CellRouter {
  /// Asks several cells the same at once, each on a thread of its own.
  ///
  /// Blocks until all have answered, or the deadline has passed.
  ///
  /// - Returns: An answer for each cell, in their order.
  public func ask<Answer: Sendable>(
    _ targets: [CellTarget], until deadline: ContinuousClock.Instant,
    _ body: @escaping @Sendable (CellConnection) throws(CellError) -> Answer
  ) -> [Result<Answer, CellUnavailable>] {
    fanOut(over: targets, until: deadline) { target throws(CellUnavailable) in
      try target.ask(until: deadline) { lent throws(CellError) in try body(lent.connection) }
    }
  }
}
