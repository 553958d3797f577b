import Foundation
import Journal
import Projections
import TestSupport
import Testing

/// A store whose journal holds the history of a model.
struct PastBed {
  var model: PastModel
  let journal: EventJournal
  private let cellsAndHosts: [EntityKey]

  /// Makes the store in `folder` and asks nothing of it; `grown` is called between the commits.
  init(
    _ model: PastModel, in folder: String, batch: Int = 1_000,
    grown: (EventJournal) throws -> Void = { _ in }
  ) throws {
    self.model = model
    cellsAndHosts = model.lives.keys.filter { $0.kind == .cell || $0.kind == .host }
    var rest = model.drafts[...]
    journal = try StoreBeginning(folder, store: StoreID(UUID128(high: 5, low: 5)))
      .finish(Array(rest.prefix(batch)))
    rest = rest.dropFirst(batch)
    while !rest.isEmpty {
      let lease = try journal.lock.acquire(command: "test")
      _ = try journal.append(
        Array(rest.prefix(batch)), expecting: journal.head.position, under: lease)
      lease.release()
      rest = rest.dropFirst(batch)
      try grown(journal)
    }
  }

  /// Compares the digest of the history file with the model's at the entry to which the file has come.
  @discardableResult
  func compareHistory(_ note: Comment) throws -> IndexCheckpoint? {
    guard let found = try MapHistory.check(of: journal) else {
      Issue.record("there is no history file, \(note)")
      return nil
    }
    let expected = model.historyDigest(at: found.checkpoint.position.index)
    #expect(found.digest == expected, note)
    return found.checkpoint
  }

  // MARK: Questions

  /// Asks `count` random questions, and compares each answer with the model's.
  mutating func ask(_ count: Int, _ history: MapHistory, _ comment: Comment) throws {
    for number in 0..<count {
      let index = UInt64(1 + model.number(below: Int(model.head)))
      let entity = someEntity()
      let note: Comment = "\(comment), question \(number): \(entity) at \(index)"
      switch model.number(below: 20) {
      case 0..<9: try askRow(entity, index, history, note)
      case 9..<12: try askLife(entity, index, history, note)
      case 12..<16: try askOrigins(entity, index, history, note)
      case 16: try askCellsAndHosts(index, history, note)
      case 17: try askTime(note)
      default: try askDifference(index, history, note)
      }
    }
  }

  private mutating func someEntity() -> EntityKey {
    switch model.number(below: 10) {
    case 0: .cell(model.number(below: 8) == 0 ? .cell0 : PastModel.cell(model.number(below: 11)))
    case 1: .host(PastModel.host(model.number(below: 27)))
    case 2: .instance(InstanceID(UUID128(high: 1, low: UInt64(model.number(below: 99)))))
    default: .instance(model.instances[model.number(below: model.instances.count)])
    }
  }

  private func askRow(
    _ entity: EntityKey, _ index: UInt64, _ history: MapHistory, _ note: Comment
  ) throws {
    let row = try history.row(of: entity, at: index)
    #expect(PastModel.state(row) == model.state(entity, at: index), note)
  }

  private func askLife(
    _ entity: EntityKey, _ index: UInt64, _ history: MapHistory, _ note: Comment
  ) throws {
    let steps = (model.lives[entity] ?? []).filter { $0.index <= index }
    let versions = try history.versions(of: entity, upTo: index)
    #expect(versions.map(\.entry.position) == steps.map { model.position($0.index) }, note)
    #expect(versions.map { PastModel.state($0.after) } == steps.map(\.state), note)
    let ends = steps.dropFirst().map { Optional(model.position($0.index)) }
    #expect(versions.map(\.until) == (steps.isEmpty ? [] : ends + [nil]), note)
    for version in versions {
      #expect(version.entry.draft == model.drafts[Int(version.entry.position.index) - 1], note)
    }
    #expect(try history.indexes(of: entity, upTo: index) == steps.map(\.index), note)
  }

  private func askOrigins(
    _ entity: EntityKey, _ index: UInt64, _ history: MapHistory, _ note: Comment
  ) throws {
    let origins = try history.origins(of: entity, at: index)
    let expected = model.origins(entity, at: index, PastModel.parts(of: entity))
    var found: [String: UInt64] = [:]
    for origin in origins { found[origin.field.name] = origin.entry.position.index }
    #expect(found == expected, note)
    #expect(origins.isEmpty == (model.state(entity, at: index) == nil), note)
    // What a route is explained by has its cell's parts in it.
    guard case .instance = entity, let text = model.state(entity, at: index)?["cell"],
      let cell = CellID(text)
    else { return }
    try askOrigins(.cell(cell), index, history, note)
  }

  private func askCellsAndHosts(
    _ index: UInt64, _ history: MapHistory, _ note: Comment
  ) throws {
    let map = PastMap(history, at: model.position(index))
    var expected: [EntityKey: PastModel.State] = [:]
    for entity in cellsAndHosts {
      expected[entity] = model.state(entity, at: index)
    }
    var found: [EntityKey: PastModel.State] = [:]
    for (id, row) in try map.cells() { found[.cell(id)] = PastModel.state(.cell(row)) }
    for (name, row) in try map.hosts() { found[.host(name)] = PastModel.state(.host(row)) }
    #expect(found == expected, note)
  }

  private mutating func askTime(_ note: Comment) throws {
    let place = model.number(below: Int(model.head))
    let time = Timestamp(
      microseconds: model.orderedAt[place].microseconds + Int64(model.number(below: 3)) - 1)
    let point = try journal.point(at: .time(time))
    #expect(point?.position.index == model.index(at: time), note)
    guard let index = point?.position.index else { return }
    let late = model.drafts[Int(index)...].prefix(PastPoint.entriesLookedAt)
      .count { $0.authorship.observedAt <= time }
    #expect(point?.latecomers == UInt64(late), note)
    #expect(point?.orderedAt == model.orderedAt[Int(index) - 1], note)
  }

  private mutating func askDifference(
    _ index: UInt64, _ history: MapHistory, _ note: Comment
  ) throws {
    // Few of them go over many entries, and over the ends of epochs.
    let isLong = model.number(below: 40) == 0
    let last = min(model.head, index + UInt64(model.number(below: isLong ? 20_000 : 400)))
    let found = try #require(
      try history.difference(from: model.position(index), to: model.position(last)))
    let expected = model.difference(from: index, to: last)
    var entries: [EntityKey: [UInt64]] = [:]
    for difference in found.differences {
      entries[difference.entity] = difference.entries.map(\.index)
      #expect(
        PastModel.state(difference.before) == model.state(difference.entity, at: index), note)
      #expect(
        PastModel.state(difference.after) == model.state(difference.entity, at: last), note)
    }
    #expect(entries == expected.changed, note)
    #expect(found.unchanged == expected.unchanged, note)
  }
}
