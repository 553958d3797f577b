import Foundation
import Journal
import Projections
import TestSupport
import Testing

/// Counts at moments of the past, and the digests of what is made up to them.
extension PastBed {
  /// Goes through the history, and at `moments` of it, spread over its whole length, compares the digests of
  /// an index that is kept alongside, and of a replay up to there, with the model's, and asks `count` questions.
  mutating func askCounts(
    _ count: Int, at moments: Int, in folder: String, _ comment: Comment
  ) throws {
    let kept = try IndexProjector.create(at: folder + "/kept", store: journal.store)
    let keptReader = try IndexReader(path: folder + "/kept")
    var expected = PastIndexModel()
    for moment in 0..<moments {
      let length = Int(model.head) / moments
      let index =
        moment == moments - 1
        ? model.head : UInt64(1 + moment * length + model.number(below: length))
      let note: Comment = "\(comment), at \(index)"
      expected.advance(to: index, in: model)
      try project(onto: kept, upTo: index)
      let digest = try #require(expected.contentDigest)
      #expect(try keptReader.checkIndex() == digest, "kept alongside: \(note)")
      let path = folder + "/replayed-\(index)"
      let checkpoint = try IndexReplay.run(journal, upTo: index, into: path, scratch: folder)
      #expect(checkpoint.position == model.position(index), note)
      let replayed = try IndexReader(path: path)
      #expect(try replayed.checkIndex() == digest, "replayed: \(note)")
      let counts = PastCounts(of: model, at: index)
      for number in 0..<count / moments {
        let question = CountQuestion(from: &model)
        let note: Comment = "\(note), \(number): \(question)"
        let reader = number % 2 == 0 ? keptReader : replayed
        try ask(question, counts, reader, note)
        if number % 10 == 0 { try askHosts(index, reader, note) }
        if number % 10 == 1 { try askJournal(note) }
      }
      removeIndex(at: path)
    }
  }

  private func project(onto index: IndexProjector, upTo last: UInt64) throws {
    while index.checkpoint.position.index < last {
      let reached = index.checkpoint.position.index
      let changes = try journal.changes(after: reached, limit: Int(min(1_000, last - reached)))
      let end = try #require(changes.last)
      try index.apply(changes, root: journal.root(at: end.position.index))
    }
  }

  private func ask(
    _ question: CountQuestion, _ counts: PastCounts, _ reader: IndexReader, _ note: Comment
  ) throws {
    let expected = counts.count(question)
    let owner = OwnerFilter(
      project: question.project.map { ByteText($0) }, user: question.user.map { ByteText($0) })
    // Of each shape that the index counts by itself.
    let isOwnerless = owner.isEmpty && question.isQueued == nil
    switch question.place {
    case .anywhere:
      if isOwnerless { #expect(try reader.countInstances() == UInt64(expected), note) }
      if owner.project != nil, question.isQueued == false {
        #expect(try reader.countNotQueued(ownedBy: owner) == expected, note)
      }
    case .noCell, .cell:
      var query = MapInstanceQuery(cell: nil)
      if case .cell(let cell) = question.place { query.cell = cell }
      if isOwnerless { #expect(try reader.countInstances(in: query.cell) == expected, note) }
      query.owner = owner
      query.includesQueued = question.isQueued == nil
      if question.isQueued != true {
        #expect(try reader.count(query, .yes) == expected, note)
        #expect(try reader.count(query, .unknown) == counts.countUnknown(question), note)
      }
    }
    // And by a walk over the rows, as the command counts all else.
    let isWalkShort = question.project != nil || expected < 500
    if isWalkShort { #expect(try walk(question, owner, reader) == expected, note) }
  }

  private func walk(
    _ question: CountQuestion, _ owner: OwnerFilter, _ reader: IndexReader
  ) throws -> Int {
    var selection = InstanceSelection()
    selection.owner = owner
    selection.isQueuedForDelete = question.isQueued
    var (found, cursor) = (0, InstanceID?.none)
    while true {
      let page: [InstanceItem]
      switch question.place {
      case .anywhere where owner.project != nil:
        page = try reader.instances(ownedBy: owner, after: cursor, limit: 1_000)
      case .anywhere: page = try reader.instances(after: cursor, limit: 1_000)
      case .noCell:
        selection.place = .noCell
        page = try reader.instances(in: nil, after: cursor, limit: 1_000)
      case .cell(let cell):
        selection.place = .cell(cell)
        page = try reader.instances(in: cell, after: cursor, limit: 1_000)
      }
      found += page.count { selection.holds($0.row.record) }
      guard page.count == 1_000 else { return found }
      cursor = page.last?.id
    }
  }

  private mutating func askHosts(
    _ index: UInt64, _ reader: IndexReader, _ note: Comment
  ) throws {
    let cell = PastModel.cell(1 + model.number(below: 7))
    let states = model.lives.keys.compactMap { entity in
      entity.kind == .instance ? nil : model.state(entity, at: index).map { (entity.kind, $0) }
    }
    let hosts = states.filter { $0.0 == .host && $0.1["cell"] == cell.description }
    #expect(try reader.hosts(in: cell).count == hosts.count, note)
    #expect(try reader.cells().count == states.count { $0.0 == .cell }, note)
  }

  /// Counts of what happened between two entries.
  private mutating func askJournal(_ note: Comment) throws {
    var filter = EntryFilter()
    filter.after = UInt64(model.number(below: Int(model.head)))
    let through = min(model.head, filter.after + UInt64(model.number(below: 300)))
    filter.through = through
    let found = try JournalStatistics(of: journal, matching: filter)
    var expected: [String: Int64] = [:]
    let drafts = model.drafts[Int(filter.after)..<Int(through)]
    for draft in drafts {
      switch draft.event {
      case .instance(_, .mapped): expected["growth", default: 0] += 1
      case .instance(_, .unmapped): expected["growth", default: 0] -= 1
      case .instance(_, .moved): break
      default: continue
      }
      expected["churn", default: 0] += 1
    }
    #expect(found.all.entries == UInt64(drafts.count), note)
    #expect(found.all.growth == expected["growth"] ?? 0, note)
    #expect(found.all.churn == UInt64(expected["churn"] ?? 0), note)
  }
}
