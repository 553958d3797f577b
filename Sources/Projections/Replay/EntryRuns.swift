internal import Journal

/// The entries of a journal in their order, read and checked ahead by two threads, each of which
/// takes every second run.
///
/// Checking an entry costs two hashes, which is as much as all that replay does with it before it
/// is folded. A run comes in pieces, so that long entries don't take more memory than short ones.
struct EntryRuns {
  /// Tiles of a run: about a megabyte of short entries.
  private static let tiles = 16
  /// A piece ends with the tile that makes it as long as this.
  private static let pieceBytes = 1 << 20
  private static let ahead = 2

  private let readers: [Lookahead<Piece>]
  private var turn = 0

  private struct Piece: Sendable {
    var chunks: [EntryChunk] = []
    var endsRun = false
  }

  /// - Parameters:
  ///   - index: Entries up to it aren't wanted; a run in which it stands is given whole.
  ///   - last: At most the head that the journal knows.
  init(of journal: EventJournal, after index: UInt64 = 0, through last: UInt64) {
    let length = UInt64(Self.tiles * TileLayout.width)
    let count = UInt64(2)
    let start = index / length * length
    readers = (0..<count).map { place in
      let reader = Reader(first: start + place * length + 1, last: last)
      return Lookahead(ahead: Self.ahead) {
        do throws(ProjectionError) {
          return .success(try reader.piece(of: journal, run: length, of: count))
        } catch {
          return .failure(error)
        }
      }
    }
  }

  /// The next entries; nil once there are none.
  ///
  /// - Throws: `journal` or `unreadableEntry`.
  mutating func next() throws(ProjectionError) -> [EntryChunk]? {
    guard let piece = try readers[turn].next() else { return nil }
    if piece.endsRun { turn = (turn + 1) % readers.count }
    return piece.chunks
  }

  /// Where a reader goes on; only its own thread uses it.
  private final class Reader: @unchecked Sendable {
    private var next: UInt64
    private let last: UInt64

    init(first: UInt64, last: UInt64) {
      next = first
      self.last = last
    }

    /// The next piece of the reader's runs, each of `length` entries and the first of `count`.
    func piece(
      of journal: EventJournal, run length: UInt64, of count: UInt64
    ) throws(ProjectionError) -> Piece? {
      guard next <= last else { return nil }
      let runEnd = min(last, ((next - 1) / length + 1) * length)
      var piece = Piece()
      var bytes = 0
      while next <= runEnd, bytes < EntryRuns.pieceBytes {
        let chunk = try reading { () throws(JournalError) in
          try journal.chunk(from: next, through: runEnd)
        }
        bytes += chunk.bytes.count
        next += UInt64(chunk.count)
        piece.chunks.append(chunk)
      }
      if next > runEnd {
        piece.endsRun = true
        next = runEnd + (count - 1) * length + 1
      }
      return piece
    }
  }
}
