import Journal
import Projections
import TestSupport
import Testing

/// Steps and bisection against the model, which knows every state of every thing.
@Suite struct EntryStepsTests {
  @Test(arguments: [2, UInt64.random(in: 0 ... .max)])
  func `each step has what the model held before and after it`(seed: UInt64) throws {
    try withTemporaryFolder { folder in
      var bed = try PastBed(PastModel(seed: seed, count: 900), in: folder + "/store")
      let history = try MapHistory(of: bed.journal)
      for _ in 0..<3 {
        let first = UInt64(1 + bed.model.number(below: 800))
        let last = first + UInt64(bed.model.number(below: Int(900 - first)))
        let some = Set(bed.model.instances.prefix(20).map { EntityKey.instance($0) })
        for entities in [nil, some] {
          var next = first
          try history.forEachStep(in: first...last, of: entities) { step in
            let index = step.entry.position.index
            let entity = step.entry.event.entity
            #expect(entities != nil || index == next, "seed \(seed)")
            #expect(entities?.contains(entity) != false)
            next = index + 1
            if case .conflict = step.entry.event { return .more }
            if case .store = step.entry.event { return .more }
            #expect(
              PastModel.state(step.before) == bed.model.state(entity, at: index - 1),
              "seed \(seed), before entry \(index)")
            #expect(
              PastModel.state(step.after) == bed.model.state(entity, at: index),
              "seed \(seed), after entry \(index)")
            return .more
          }
          if entities == nil { #expect(next == last + 1) }
        }
      }
      var count = 0
      try history.forEachStep(in: 1...900) { _ in
        count += 1
        return count == 7 ? .enough : .more
      }
      #expect(count == 7)
    }
  }

  @Test(arguments: [3, UInt64.random(in: 0 ... .max)])
  func `the first change of an answer is the one that a look at every entry finds`(
    seed: UInt64
  ) throws {
    try withTemporaryFolder { folder in
      var bed = try PastBed(PastModel(seed: seed, count: 800), in: folder + "/store")
      let history = try MapHistory(of: bed.journal)
      for number in 0..<36 {
        let start = UInt64(bed.model.number(below: 790))
        let end = start + 1 + UInt64(bed.model.number(below: Int(800 - start)))
        let id = bed.model.instances[bed.model.number(below: bed.model.instances.count)]
        let cell = PastModel.cell(1 + bed.model.number(below: 8))
        let question: PastQuestion =
          switch number % 6 {
          case 0: .route(id)
          case 1: .instance(id)
          case 2: .cell(cell)
          case 3: .cells
          case 4: .hosts(in: number % 4 == 0 ? nil : cell)
          default: .instances(Self.selection(cell, number), isCounted: number % 12 == 5)
          }
        let found = try history.firstChange(of: question, after: start, upTo: end)
        let expected = Self.first(in: start + 1...end) { index in
          Self.answer(question, bed.model, at: index)
        }
        #expect(
          found?.step.entry.position.index == expected,
          "seed \(seed), \(question) from \(start) to \(end)")
        #expect(found?.changes.isEmpty != true)
      }
    }
  }

  @Test func `a part of an answer, and whether it is a value, are found apart`() throws {
    try withTemporaryFolder { folder in
      let bed = try PastBed(PastModel(seed: 12, count: 800), in: folder + "/store")
      let history = try MapHistory(of: bed.journal)
      let id = try #require(
        bed.model.instances.max {
          (bed.model.lives[.instance($0)]?.count ?? 0)
            < (bed.model.lives[.instance($1)]?.count ?? 0)
        })
      let steps = try #require(bed.model.lives[.instance(id)])
      let start = steps[0].index
      let marks = try history.firstChange(
        of: .instance(id), after: start, upTo: 800, parts: ["queued_for_delete"])
      let expected = Self.first(in: start + 1...800) { index in
        bed.model.state(.instance(id), at: index)?["queued_for_delete"] ?? "-"
      }
      #expect(marks?.step.entry.position.index == expected)
      let last = try #require(steps.last { $0.state?["cell"] != nil })
      let cell = try #require(last.state?["cell"])
      let becomes = try history.firstChange(of: .instance(id), after: 0, upTo: 800) { fields in
        fields.contains { $0.name == "cell" && $0.value == .text(cell) }
      }
      let first = steps.first { $0.state?["cell"] == cell }
      #expect(becomes?.step.entry.position.index == first?.index)
      // Since when it has not been as it is now.
      let now = bed.model.state(.instance(id), at: 800)
      let wrong = try history.disagreement(of: .instance(id), upTo: 800) {
        PastModel.state($0)?["project"] == "nobody's"
      }
      #expect(wrong != nil && wrong?.since == nil)
      let right = try history.disagreement(of: .instance(id), upTo: 800) {
        PastModel.state($0) == now
      }
      #expect(right == nil)
    }
  }

  // MARK: The answers of the model

  private static func selection(_ cell: CellID, _ number: Int) -> InstanceSelection {
    var selection = InstanceSelection()
    if number % 3 == 0 { selection.place = .cell(cell) }
    if number % 3 == 1 { selection.place = .noCell }
    return selection
  }

  private static func first(
    in range: ClosedRange<UInt64>, _ answer: (UInt64) -> String
  ) -> UInt64? {
    let before = answer(range.lowerBound - 1)
    return range.first { answer($0) != before }
  }

  private static func answer(
    _ question: PastQuestion, _ model: PastModel, at index: UInt64
  ) -> String {
    switch question {
    case .instance(let id): return text(model.state(.instance(id), at: index))
    case .cell(let id): return text(model.state(.cell(id), at: index))
    case .route(let id):
      guard var state = model.state(.instance(id), at: index) else { return "-" }
      state["row"] = nil
      let cell = state["cell"].flatMap { CellID($0) }.flatMap {
        model.state(.cell($0), at: index)
      }
      for name in ["cell_name", "database", "queue"] { state[name] = cell?[name] }
      return text(state)
    case .cells:
      return model.lives.keys.filter { $0.kind == .cell }
        .map { "\($0)" + text(model.state($0, at: index)) }.sorted().joined()
    case .hosts(let cell):
      return model.lives.keys.filter { $0.kind == .host }
        .compactMap { key in
          model.state(key, at: index).flatMap { state in
            cell == nil || state["cell"] == cell?.description ? "\(key)" + text(state) : nil
          }
        }.sorted().joined()
    case .instances(let selection, let isCounted):
      let found = model.instances.compactMap { id in
        model.state(.instance(id), at: index).flatMap { state -> String? in
          switch selection.place {
          case .anywhere: break
          case .noCell: if state["cell"] != nil { return nil }
          case .cell(let cell): if state["cell"] != cell.description { return nil }
          }
          return "\(id)" + text(state)
        }
      }
      return isCounted ? "\(found.count)" : found.sorted().joined()
    }
  }

  private static func text(_ state: PastModel.State?) -> String {
    guard let state else { return "-" }
    return state.sorted { $0.key < $1.key }.map { "\($0.key)=\($0.value)" }.joined(separator: " ")
  }
}
