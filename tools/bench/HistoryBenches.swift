import Journal
import Projections

/// Questions about the past, among all entries.
enum HistoryBenches {
  /// What the map held of an instance at a position: the history's rows, and the instance's entries out
  /// of the journal, each checked. There is nothing raw that says the same.
  static func instance(_ fixtures: Fixtures) throws -> Comparison {
    let store = try fixtures.populatedStore()
    let history = try MapHistory(of: store.journal)
    guard history.failure == nil else { throw BenchError.unexpected("the history isn't kept") }
    let head = history.head.index
    let (groups, size) = (100, 10)
    var ours = Measurement()
    for round in 0..<10 {
      ours.add(
        try Measurement.round(groups, of: size) { group in
          for place in group * size..<(group + 1) * size {
            let number = Workload.scattered(
              round * groups * size + place, below: fixtures.instances)
            let row = try history.row(of: .instance(Workload.instance(number)), at: head)
            guard row?.instance?.record.cell != nil else {
              throw BenchError.unexpected("an instance isn't in the history")
            }
          }
        })
    }
    return Comparison(
      name: "one instance as of a position, among \(head) entries", operation: "question",
      ours: ours, raw: nil, rawName: "", sync: "reads only",
      budget: .nanosecondsOfWorst(atMost: 1e6))
  }
}
