internal import Cells
internal import Journal

/// A row on its way to the list, with its place in the order.
struct MergeRow: Sendable {
  let values: [SortValue]
  let listed: ListedInstance
}

/// The first rows of several sources, the least of them on top: a binary heap.
struct ListMerge {
  /// The first row of a source that has one.
  struct Head {
    let row: MergeRow
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
    let (one, other) = (heads[left], heads[right])
    if order.precedes(one.row.values, other.row.values) { return true }
    return one.source < other.source && !order.precedes(other.row.values, one.row.values)
  }
}
