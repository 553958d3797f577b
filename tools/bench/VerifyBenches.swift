import Crypto
import Journal

/// Verifying the whole journal, beside hashing the same bytes.
enum VerifyBenches {
  /// Every entry, tile and root, on all cores; beside one core's SHA-256 over the bytes of the entries in
  /// one piece.
  static func full(_ fixtures: Fixtures) throws -> Comparison {
    let journal = try fixtures.populatedStore().journal
    let entries = Int(try journal.refresh().position.index)
    var bytes = 0
    try journal.forEachEntry(after: 0) { (header, _, _) in bytes += Int(header.entryLength) }
    let piece = [UInt8](repeating: 0x5A, count: 1 << 20)
    let (ours, theirs) = try Measurement.inTurn(rounds: fixtures.roundsOverAll) { _ in
      try Measurement.round(1, of: entries) { _ in
        guard try journal.verify().firstRead == 1 else {
          throw BenchError.unexpected("a verification left entries out")
        }
      }
    } _: { _ in
      Measurement.round(1, of: entries) { _ in
        var hash = SHA256()
        var rest = bytes
        while rest > 0 {
          hash.update(data: piece[..<min(rest, piece.count)])
          rest -= piece.count
        }
        _ = hash.finalize()
      }
    }
    return Comparison(
      name: "full verify of \(entries) entries of \(bytes / entries) bytes, each",
      operation: "entry", ours: ours, raw: theirs, rawName: "SHA-256 of their bytes, one core",
      sync: "reads only", budget: .ratio(atLeast: 0.5))
  }
}
