internal import Cells
internal import Journal

/// One cell's database as it is read from beginning to end, by key, on threads of the cell's own.
///
/// After the first failure it is asked no more: `failure` says why. Belongs to one thread, which
/// waits for no answer longer than `patience`.
final class CellReading {
  private let cell: CellID
  private let pool: CellConnectionPool
  private let patience: Duration
  private(set) var failure: String?
  private(set) var rowCount: UInt64 = 0
  /// When the newest row was made that was read so far.
  private(set) var newest: Timestamp?

  private var page = TracePage()
  private var place = 0
  private var next: Asked<TracePage>?
  private var isAtEnd = false

  static let pageRows = 2000
  /// How long after the deadline an answer is waited for: whoever kept it says more than that it
  /// passed.
  private static let lateness = Duration.milliseconds(50)

  init(_ cell: CellID, at location: CellDatabaseLocation, patience: Duration) {
    self.cell = cell
    self.patience = patience
    var settings = CellPoolSettings()
    // The next page, and what is looked at again meanwhile.
    settings.connections = 2
    // Rather a failure that is told than one that is tried again unseen.
    settings.breaker.failures = .max
    pool = CellConnectionPool(
      cell: cell, location: location, identity: .none, settings: settings)
  }

  /// A question that was put to the cell.
  struct Asked<Answer: Sendable> {
    fileprivate let answer = Awaited<Result<Answer, CellError>>()
    fileprivate let deadline: ContinuousClock.Instant
  }

  /// Puts a question to the cell, and returns at once.
  func ask<Answer: Sendable>(
    _ body: @escaping @Sendable (CellConnection) throws(CellError) -> Answer
  ) -> Asked<Answer> {
    let asked = Asked<Answer>(deadline: .now + patience)
    let (pool, answer, deadline) = (pool, asked.answer, asked.deadline)
    @Sendable func attempt() throws(CellError) -> Answer {
      try pool.withConnection(until: deadline) { (lent) throws(CellError) in
        try body(lent.connection)
      }
    }
    do throws(CellError) {
      try pool.run(until: deadline) {
        do throws(CellError) {
          do throws(CellError) { return answer.give(.success(try attempt())) } catch {
            guard error.isStaleConnection else { throw error }
          }
          answer.give(.success(try attempt()))
        } catch {
          answer.give(.failure(error))
        }
      }
    } catch {
      answer.give(.failure(error))
    }
    return asked
  }

  /// Waits for the answer; nil if there is none, which `failure` explains.
  ///
  /// - Parameter otherwise: What an error means that is no failure of the cell.
  func answer<Answer>(
    _ asked: Asked<Answer>, otherwise: (CellError) -> Answer? = { _ in nil }
  ) -> Answer? {
    guard failure == nil else { return nil }
    switch asked.answer.wait(until: asked.deadline + Self.lateness) {
    case .success(let answer)?: return answer
    case .failure(let error)?:
      if let answer = otherwise(error) { return answer }
      failure = error.description
    case nil: failure = CellError.deadlinePassed(cell: cell).description
    }
    return nil
  }

  // MARK: From beginning to end

  /// Asks for the first page.
  func begin() { askForPage(after: nil) }

  private func askForPage(after last: ByteText?) {
    next = ask { (connection) throws(CellError) in
      try connection.traces(after: last, limit: Self.pageRows)
    }
  }

  /// The row that hasn't been taken yet and is the next by its UUID; nil after the last, and once the
  /// cell has failed.
  ///
  /// - Parameter malformed: Is given the texts of a new page that aren't UUIDs.
  func current(malformed: ([String]) -> Void) -> InstanceTrace? {
    while failure == nil {
      if place < page.traces.count { return page.traces[place] }
      guard !isAtEnd, let asked = next, let arrived = answer(asked) else { return nil }
      page = arrived
      place = 0
      rowCount += UInt64(arrived.count)
      newest = CellTally.later(newest, arrived.newest)
      isAtEnd = arrived.count < Self.pageRows
      if !isAtEnd { askForPage(after: arrived.last) }
      if !arrived.malformed.isEmpty { malformed(arrived.malformed) }
    }
    return nil
  }

  /// Goes on to the next row.
  func advance() { place += 1 }
}
