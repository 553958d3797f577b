internal import Cells
internal import Journal

/// The rows of one cell on their way to a list: asked for in batches, each when it is needed.
struct LiveRows {
  let target: CellTarget
  private var rows: [InstancePageRow] = []
  private var next = 0
  /// The values of the last row that was read, or those after which the list begins.
  private(set) var after: [SortValue]?
  /// How many rows it was asked for, and hasn't given yet.
  private(set) var asked: Int?
  private(set) var failure: CellUnavailable?
  /// It has no more than what was read.
  private(set) var isRead = false
  /// The map stands in for it.
  private(set) var isReplaced = false
  /// How often it was asked.
  private(set) var batches = 0
  /// How many of its rows were taken.
  private(set) var taken = 0

  init(of target: CellTarget, after: [SortValue]?) {
    self.target = target
    self.after = after
  }

  var available: Int { rows.count - next }
  /// It can't say what comes next before it was asked.
  var isWaiting: Bool { available == 0 && !isRead && failure == nil }
  /// What it had is taken, and more can't be had.
  var hasFailed: Bool { available == 0 && failure != nil }
  /// It may have rows beyond those that are there.
  var mayHaveMore: Bool { available > 0 || !isRead && !isReplaced }

  /// Where its first row is in the order; nil if none is there.
  var first: [SortValue]? { available > 0 ? rows[next].values : nil }

  /// Takes the first row, which is there.
  mutating func takeFirst() -> ListedInstance {
    defer {
      next += 1
      taken += 1
    }
    let instance = rows[next].instance
    return ListedInstance(id: instance.id, cell: target, source: .live(instance))
  }

  mutating func beginAsking(for count: Int) {
    asked = count
    batches += 1
  }

  mutating func markReplaced() { isReplaced = true }

  mutating func receive(_ answer: Result<[InstancePageRow], CellUnavailable>) {
    guard let asked else { return }
    self.asked = nil
    switch answer {
    case .success(let page):
      rows.removeFirst(next)
      next = 0
      rows += page
      isRead = page.count < asked
      if let last = page.last { after = last.values }
    case .failure(let error): failure = error
    }
  }
}
