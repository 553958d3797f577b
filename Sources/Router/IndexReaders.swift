internal import Journal
internal import Projections
internal import Synchronization

/// The readers of one index file, each lent to one thread at a time.
final class IndexReaders: Sendable {
  let generation: IndexGeneration
  private let path: String
  private let trust = IndexTrust()
  private let idle: Mutex<[LentReader]>

  /// Readers kept for the next call; more are opened while more threads ask at once.
  private static let maximumIdle = 16

  /// A reader on its way between threads: whoever took it is the only one who uses it.
  struct LentReader: @unchecked Sendable {
    let reader: IndexReader
  }

  /// Opens the index that `CURRENT` names.
  ///
  /// - Throws: `fault`, `busy`, `file` or `sqlite`.
  init(_ generations: IndexGenerations, store: StoreID) throws(ProjectionError) {
    let opened = try generations.open(store: store)
    generation = opened.generation
    path = generations.path(of: opened.generation.number)
    idle = Mutex([LentReader(reader: opened.reader)])
  }

  /// Calls `body` with a reader that no other thread uses; after an error the reader is closed.
  @inline(__always)
  func with<Result>(
    _ body: (IndexReader) throws(ProjectionError) -> Result
  ) throws(ProjectionError) -> Result {
    let lent = try take()
    let result = try body(lent.reader)
    give(back: lent)
    return result
  }

  func take() throws(ProjectionError) -> LentReader {
    if let lent = idle.withLock({ $0.popLast() }) { return lent }
    return LentReader(
      reader: try IndexReader(path: path, trust: trust))
  }

  func give(back lent: LentReader) {
    idle.withLock { idle in
      if idle.count < Self.maximumIdle { idle.append(lent) }
    }
  }
}
