import Glibc
import Journal
import Projections

/// Opening a store, and how large it is.
enum StoreBenches {
  /// The journal's checked end, the index that serves, and their agreement.
  static func open(_ fixtures: Fixtures) throws -> Comparison {
    let store = try fixtures.populatedStore()
    let directory = store.directory
    var ours = Measurement()
    for _ in 0..<5 {
      ours.add(
        try Measurement.round(10) { _ in
          let (_, reader) = try IndexGenerations(folder: directory).open(
            store: store.journal.store)
          let checkpoint = try reader.checkpoint()
          let journal = try EventJournal.open(directory)
          guard try journal.root(at: checkpoint.position.index) == checkpoint.root else {
            throw BenchError.unexpected("the index isn't the journal's")
          }
        })
    }
    return Comparison(
      name: "open a store of \(store.journal.head.position.index) entries", operation: "open",
      ours: ours, raw: nil, rawName: "", sync: "reads only",
      budget: .nanoseconds(atMost: 50e6))
  }

  /// Bytes of an entry and of an instance, in files of this run.
  static func sizes(_ fixtures: Fixtures) throws -> [SizeReading] {
    let store = try fixtures.populatedStore()
    let entries = Double(store.journal.head.position.index)
    let journal = try bytes(of: store.journal.files.journal)
    let fresh = try store.replay()
    let index = try bytes(of: fresh.path)
    try store.generations.remove(fresh.number)
    guard try MapHistory.makeAgain(of: store.journal),
      let history = try MapHistory.find(of: store.journal)
    else { throw BenchError.unexpected("no history was made") }
    return [
      SizeReading(
        name: "journal, per entry", bytes: journal / entries,
        explanation: "journal.lmdb by its entries: keys, tree and free pages included"),
      SizeReading(
        name: "index, per instance", bytes: index / Double(fixtures.instances),
        explanation: "a replayed index by its instances: two secondary indexes included"),
      SizeReading(
        name: "history, per entry", bytes: try bytes(of: history.path) / entries,
        explanation: "a history made at once, by the journal's entries"),
    ]
  }

  private static func bytes(of path: String) throws -> Double {
    var status = stat()
    guard stat(path, &status) == 0 else { throw BenchError.library("stat", errno) }
    return Double(status.st_size)
  }
}
