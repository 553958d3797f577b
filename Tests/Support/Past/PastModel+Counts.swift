public import Journal

/// How many instances a model's map held after an entry, by all that they can be counted by.
public struct PastCounts {
  private struct Kind: Hashable {
    let cell, project, user, mark: String?
  }

  private var kinds: [Kind: Int] = [:]

  public init(of model: PastModel, at index: UInt64) {
    for id in model.instances {
      guard let state = model.state(.instance(id), at: index) else { continue }
      let kind = Kind(
        cell: state["cell"], project: state["project"], user: state["user"],
        mark: state["queued_for_delete"])
      kinds[kind, default: 0] += 1
    }
  }

  /// How many there were to which what is asked for applies.
  public func count(_ question: CountQuestion) -> Int {
    kinds.reduce(0) { sum, counted in
      let kind = counted.key
      switch question.place {
      case .anywhere: break
      case .noCell: if kind.cell != nil { return sum }
      case .cell(let cell): if kind.cell != cell.description { return sum }
      }
      if let project = question.project, kind.project != project { return sum }
      if let user = question.user, kind.user != user { return sum }
      if let isQueued = question.isQueued, (kind.mark == "true") != isQueued { return sum }
      return sum + counted.value
    }
  }

  /// How many there may be besides, since nobody knows their user.
  public func countUnknown(_ question: CountQuestion) -> Int {
    guard question.user != nil else { return 0 }
    var anyone = question
    anyone.user = nil
    return kinds.filter { $0.key.user == nil }.reduce(0) { sum, counted in
      var one = self
      one.kinds = [counted.key: counted.value]
      return sum + one.count(anyone)
    }
  }
}

/// Which instances are counted; nil for whichever.
public struct CountQuestion: Sendable {
  public enum Place: Sendable {
    case anywhere
    case noCell
    case cell(CellID)
  }

  public var place = Place.anywhere
  public var project: String?
  public var user: String?
  public var isQueued: Bool?

  /// What nobody is in is asked for now and then.
  public init(from model: inout PastModel) {
    switch model.number(below: 4) {
    case 0: break
    case 1: place = .noCell
    default: place = .cell(PastModel.cell(1 + model.number(below: 8)))
    }
    if model.number(below: 2) == 0 { project = "project-\(model.number(below: 10))" }
    if model.number(below: 3) == 0 { user = model.number(below: 4) == 0 ? "nobody" : "user" }
    isQueued = [nil, true, false][model.number(below: 3)]
  }
}
