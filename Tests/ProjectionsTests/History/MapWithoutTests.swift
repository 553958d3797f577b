import Journal
import Projections
import TestSupport
import Testing

/// Maps without some entries, against a fold of all entries in one dictionary.
@Suite struct MapWithoutTests {
  /// A map of everything, made entry by entry.
  private struct Plain {
    var rows: [EntityKey: EntityRow] = [:]
    var misfits: [UInt64: EventMisfit] = [:]

    init(_ model: PastModel, without isLeftOut: (UInt64) -> Bool, through last: UInt64) {
      for (place, draft) in model.drafts.prefix(Int(last)).enumerated() {
        let index = UInt64(place) + 1
        guard !isLeftOut(index) else { continue }
        let entity = draft.event.entity
        if let why = EntityRow.misfit(of: draft.event, on: rows[entity]) {
          misfits[index] = why
        } else if let cell = Self.target(of: draft.event), rows[.cell(cell)] == nil {
          misfits[index] = .noCell(cell)
        }
        rows[entity] = EntityRow.folded(draft.event, at: index, into: rows[entity])
      }
    }

    private static func target(of event: Event) -> CellID? {
      switch event {
      case .host(_, .mapped(let record)): record.cell
      case .instance(_, .mapped(let record)): record.cell
      case .instance(_, .moved(_, let to)): to
      default: nil
      }
    }
  }

  @Test(arguments: [4, UInt64.random(in: 0 ... .max)])
  func `what is otherwise, and what makes no sense any more, is what a plain fold finds`(
    seed: UInt64
  ) throws {
    try withTemporaryFolder { folder in
      var bed = try PastBed(PastModel(seed: seed, count: 800), in: folder + "/store")
      let history = try MapHistory(of: bed.journal)
      for _ in 0..<8 {
        let end = UInt64(200 + bed.model.number(below: 600))
        let ranges = Self.ranges(&bed.model, below: end)
        let isLeftOut: (UInt64) -> Bool = { index in ranges.contains { $0.contains(index) } }
        let whole = Plain(bed.model, without: { _ in false }, through: end)
        #expect(whole.misfits.isEmpty, "every event of the model fits: \(whole.misfits)")
        let expected = Plain(bed.model, without: isLeftOut, through: end)
        let found = try #require(
          try history.map(without: ranges, at: bed.model.position(end)))
        #expect(found.leftOut == ranges.reduce(0) { $0 + UInt64($1.count) })
        var differing: Set<EntityKey> = []
        for entity in Set(whole.rows.keys).union(expected.rows.keys)
        where !EntityRow.changes(from: whole.rows[entity], to: expected.rows[entity]).isEmpty {
          differing.insert(entity)
        }
        #expect(Set(found.differences.map(\.entity)) == differing, "seed \(seed), \(ranges)")
        for difference in found.differences {
          #expect(difference.before == whole.rows[difference.entity])
          #expect(difference.after == expected.rows[difference.entity])
          #expect(difference.entries.allSatisfy { isLeftOut($0.index) })
        }
        var misfits: [UInt64: EventMisfit] = [:]
        for misfit in found.misfits { misfits[misfit.entry.position.index] = misfit.why }
        #expect(misfits == expected.misfits, "seed \(seed), \(ranges)")
        #expect(found.misfitCount == found.misfits.count)
        #expect(
          found.misfits.map(\.entry.position.index)
            == found.misfits.map(\.entry.position.index).sorted())
      }
    }
  }

  /// Some ranges in order, some of one entry, apart from each other.
  private static func ranges(_ model: inout PastModel, below end: UInt64) -> [ClosedRange<UInt64>] {
    var ranges: [ClosedRange<UInt64>] = []
    var next = UInt64(1 + model.number(below: 60))
    while ranges.count < 4, next < end {
      let last = min(end, next + UInt64(model.number(below: 3) == 0 ? 25 : 0))
      ranges.append(next...last)
      next = last + 2 + UInt64(model.number(below: 150))
    }
    return ranges
  }
}
