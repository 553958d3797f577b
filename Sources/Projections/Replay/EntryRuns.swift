internal import Journal

/// The entries of a journal in their order, read and checked ahead by two threads, each of which
/// takes every second run.
///
/// Checking an entry costs two hashes, which is as much as all that replay does with it before it
/// is folded.
struct EntryRuns {
  /// Tiles of a run: about a megabyte of entries.
  private static let tiles = 16
  private static let ahead = 2

  private let readers: [Lookahead<[EntryChunk]>]
  private var turn = 0

  /// - Parameter last: At most the head that the journal knows.
  init(of journal: EventJournal, through last: UInt64) {
    let length = UInt64(Self.tiles * TileLayout.width)
    let count = UInt64(2)
    readers = (0..<count).map { place in
      let next = NextRun(first: place * length + 1)
      return Lookahead(ahead: Self.ahead) {
        let first = next.first
        guard first <= last else { return .success(nil) }
        next.first += count * length
        do throws(ProjectionError) {
          return .success(
            try Self.run(of: journal, from: first, through: min(last, first + length - 1)))
        } catch {
          return .failure(error)
        }
      }
    }
  }

  /// Where a reader goes on; only its own thread uses it.
  private final class NextRun: @unchecked Sendable {
    var first: UInt64
    init(first: UInt64) { self.first = first }
  }

  /// The next entries; nil once there are none.
  ///
  /// - Throws: `journal` or `unreadableEntry`.
  mutating func next() throws(ProjectionError) -> [EntryChunk]? {
    defer { turn = (turn + 1) % readers.count }
    return try readers[turn].next()
  }

  private static func run(
    of journal: EventJournal, from first: UInt64, through last: UInt64
  ) throws(ProjectionError) -> [EntryChunk] {
    var chunks: [EntryChunk] = []
    var next = first
    while next <= last {
      let chunk = try reading { () throws(JournalError) in
        try journal.chunk(from: next, through: last)
      }
      next += UInt64(chunk.count)
      chunks.append(chunk)
    }
    return chunks
  }
}
