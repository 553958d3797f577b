internal import Cells

/// Where the first rows of several sources are in the order, the least on top: a binary heap.
///
/// It holds no rows: they are large, and stay where they are until they are taken.
struct ListMerge {
  /// The place of the first row of a source that has one.
  struct Head {
    let values: [SortValue]
    /// The source's number; of equal rows, the lower one comes first.
    let source: Int
  }

  private let order: InstanceOrder
  private var heads: [Head] = []

  init(by order: InstanceOrder) { self.order = order }

  var isEmpty: Bool { heads.isEmpty }

  mutating func add(_ head: Head) {
    heads.append(head)
    var place = heads.count - 1
    while place > 0, precedes(place, (place - 1) / 2) {
      heads.swapAt(place, (place - 1) / 2)
      place = (place - 1) / 2
    }
  }

  /// Takes the least row away; nil if there is none.
  mutating func popFirst() -> Head? {
    guard let first = heads.first, let last = heads.popLast() else { return nil }
    guard !heads.isEmpty else { return first }
    heads[0] = last
    var place = 0
    while true {
      var least = place
      for child in [2 * place + 1, 2 * place + 2] where child < heads.count {
        if precedes(child, least) { least = child }
      }
      if least == place { return first }
      heads.swapAt(place, least)
      place = least
    }
  }

  private func precedes(_ left: Int, _ right: Int) -> Bool {
    switch order.comparison(heads[left].values, heads[right].values) {
    case 0: heads[left].source < heads[right].source
    case let result: result < 0
    }
  }
}
