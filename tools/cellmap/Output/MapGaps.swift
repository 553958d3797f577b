import Journal

/// What keeps a map from being whole: conflicts that nobody has decided, and cells of which it may not
/// have been told everything.
struct MapGaps {
  let openConflicts: Int
  let uncoveredCells: [(id: CellID, row: CellRow)]

  /// Says so on standard error, with what it does to what follows; nothing where there is none.
  func warn(_ effect: String) {
    if openConflicts > 0 {
      Console.note(
        "cellmap: \(openConflicts) conflict\(openConflicts == 1 ? " is" : "s are") open, and what "
          + "\(openConflicts == 1 ? "it is" : "they are") about is \(effect): 'conflicts list'.")
    }
    let names = uncoveredCells.prefix(3).map { $0.row.record.name?.string ?? $0.id.description }
    guard !names.isEmpty else { return }
    let more = uncoveredCells.count > 3 ? " and \(uncoveredCells.count - 3) more" : ""
    Console.note(
      "cellmap: The map may not have all of \(Console.safe(names.joined(separator: ", ")))\(more), and "
        + "what it lacks is \(effect): their coverage is incomplete ('cell list').")
  }

  var json: [String: JSONValue] {
    [
      "open_conflicts": .number(openConflicts),
      "cells_with_incomplete_coverage": .number(uncoveredCells.count),
    ]
  }
}
