import Foundation
import Journal
import TestSupport
import Testing

/// Counts of entries, compared with those of the model's own list.
@Suite struct JournalCountTests {
  @Test func `groups and statistics are those of the entries in question`() throws {
    try withTemporaryFolder { folder in
      let bed = try PastBed(PastModel(seed: 41, count: 3_000), in: folder + "/store")
      for (after, through) in [(0, 3_000), (700, 1_900), (2_999, 3_000), (5, 5)] {
        var filter = EntryFilter()
        (filter.after, filter.through) = (UInt64(after), UInt64(through))
        let drafts = Array(bed.model.drafts[after..<through])
        try check(drafts, filter, bed)
        filter.actor = "actor 2"
        try check(drafts.filter { $0.authorship.actor == "actor 2" }, filter, bed)
        filter.reason = "reason 1"
        filter.kinds = [.instanceMapped, .instanceMoved]
        let few = drafts.filter { draft in
          draft.authorship.actor == "actor 2" && filter.kinds.contains(draft.event.kind)
            && draft.authorship.reason?.string.contains("reason 1") == true
        }
        try check(few, filter, bed)
      }
    }
  }

  private func check(_ drafts: [EntryDraft], _ filter: EntryFilter, _ bed: PastBed) throws {
    func count(_ keys: (EntryDraft) -> [String]) -> [String: UInt64] {
      var counts: [String: UInt64] = [:]
      for draft in drafts { for key in keys(draft) { counts[key, default: 0] += 1 } }
      return counts
    }
    let questions: [(ChangeGroups.Key, (EntryDraft) -> [String])] = [
      (.request, { [$0.request.id.description] }), (.actor, { [$0.authorship.actor.string] }),
      (.program, { [$0.authorship.program.string] }),
      (.reason, { [$0.authorship.reason?.string ?? ""] }), (.kind, { [$0.event.kind.name] }),
      (.cell, { Set($0.event.cells).map(\.description) }),
    ]
    for (key, keys) in questions {
      let found = try ChangeGroups(of: bed.journal, matching: filter, by: key)
      #expect(found.entries == UInt64(drafts.count) && found.others == 0)
      let counts = Dictionary(uniqueKeysWithValues: found.groups.map { ($0.key, $0.count) })
      #expect(counts == count(keys))
      #expect(found.groups.map(\.count) == found.groups.map(\.count).sorted(by: >))
    }
    let statistics = try JournalStatistics(of: bed.journal, matching: filter)
    #expect(statistics.all.entries == UInt64(drafts.count))
    var growth = 0
    for draft in drafts {
      if case .instance(_, .mapped) = draft.event { growth += 1 }
      if case .instance(_, .unmapped) = draft.event { growth -= 1 }
    }
    #expect(statistics.all.growth == Int64(growth))
    #expect(statistics.days.values.map(\.entries).reduce(0, +) == UInt64(drafts.count))
    #expect(statistics.actors == count { [$0.authorship.actor.string] })
    try checkCells(drafts, statistics)
  }

  /// What a cell gained is what came less what went, whichever way.
  private func checkCells(_ drafts: [EntryDraft], _ statistics: JournalStatistics) throws {
    var gained: [CellID: Int64] = [:]
    for draft in drafts {
      switch draft.event {
      case .instance(_, .mapped(let record)): record.cell.map { gained[$0, default: 0] += 1 }
      case .instance(_, .unmapped(let record)): record.cell.map { gained[$0, default: 0] -= 1 }
      case .instance(_, .moved(let from, let to)):
        from.map { gained[$0, default: 0] -= 1 }
        to.map { gained[$0, default: 0] += 1 }
      default: break
      }
    }
    for (cell, flow) in statistics.cells { #expect(flow.growth == gained[cell] ?? 0) }
    for (cell, count) in gained { #expect(statistics.cells[cell]?.growth == count) }
  }
}
