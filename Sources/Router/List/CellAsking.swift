internal import Cells
internal import Journal

/// Asks cells for their rows, all at once, each for as many as are needed, until the deadline.
///
/// Belongs to the thread of the caller.
final class CellAsking {
  private let deadline: ContinuousClock.Instant
  /// From here on each cell is asked for all that the page may need: once the deadline has passed,
  /// those that hang are given up, and nobody could be asked any more.
  private let halfTime: ContinuousClock.Instant
  private let order: InstanceOrder
  private let filter: InstanceFilter
  private let inbox = Inbox<[InstancePageRow]>()
  private let batch: Int
  private var isAlone = false
  private var isHalfTimeOver = false

  /// - Parameter batch: How many rows a cell is asked for at a time.
  init(_ request: InstanceListRequest, batch: Int, until deadline: ContinuousClock.Instant) {
    self.batch = batch
    let now = ContinuousClock.now
    self.deadline = deadline
    halfTime = now.advanced(by: now.duration(to: deadline) / 2)
    order = request.order
    filter = request.filter
  }

  /// Asks each cell for a first batch; waits for none of several.
  func begin(_ cells: inout [LiveRows], wanted: Int) {
    isAlone = cells.count == 1
    for place in cells.indices { ask(&cells, place, for: min(batch, wanted)) }
  }

  /// Returns true once each cell has a row to compare, has no more, or has failed; false once half
  /// the time is over, and is then to be called again.
  ///
  /// - Parameter wanted: How many rows the page still takes.
  func settle(_ cells: inout [LiveRows], wanted: Int) -> Bool {
    while true {
      for place in cells.indices where cells[place].isWaiting && cells[place].asked == nil {
        ask(&cells, place, for: isHalfTimeOver ? wanted : min(batch, wanted))
      }
      guard cells.contains(where: \.isWaiting) else { return true }
      let arrived = inbox.take(
        until: isHalfTimeOver ? deadline.advanced(by: lateness) : halfTime)
      for (place, answer) in arrived { cells[place].receive(answer) }
      if !arrived.isEmpty { continue }
      if isHalfTimeOver {
        giveUp(&cells)
      } else {
        isHalfTimeOver = true
        askAhead(&cells, wanted: wanted)
        return false
      }
    }
  }

  /// Asks those that have answered for the rest of what the page may need.
  private func askAhead(_ cells: inout [LiveRows], wanted: Int) {
    for place in cells.indices {
      let rows = cells[place]
      let missing = wanted - rows.available
      guard missing > 0, !rows.isRead, rows.failure == nil, rows.asked == nil else { continue }
      ask(&cells, place, for: missing)
    }
  }

  private func giveUp(_ cells: inout [LiveRows]) {
    for place in cells.indices where cells[place].isWaiting {
      cells[place].receive(.failure(.database(.deadlinePassed(cell: cells[place].target.id))))
    }
  }

  private func ask(_ cells: inout [LiveRows], _ place: Int, for count: Int) {
    let target = cells[place].target
    let query = InstancePageQuery(
      order: order, filter: filter, after: cells[place].after, limit: count)
    cells[place].beginAsking(for: count)
    let (inbox, deadline) = (inbox, deadline)
    @Sendable func answer() {
      do throws(CellUnavailable) {
        let page = try target.ask(until: deadline) { lent throws(CellError) in
          try lent.connection.page(query)
        }
        inbox.put(.success(page), from: place)
      } catch {
        inbox.put(.failure(error), from: place)
      }
    }
    if isAlone { return answer() }
    do throws(CellUnavailable) { try target.run(until: deadline, answer) } catch {
      cells[place].receive(.failure(error))
    }
  }
}
