import Journal

/// What keeps a map from being whole: conflicts that nobody has decided, and cells of which it may not
/// have been told everything.
struct MapGaps {
  let openConflicts: Int
  /// Those of them whose instance or host is mapped all the same, since others than the rebuild that found
  /// them mapped it.
  let mappedConflicts: Int
  let uncoveredCells: [(id: CellID, row: CellRow)]
  /// The position of a past map; nil for the map of now.
  var past: Position?

  /// Says so on standard error, with what it does to what follows; nothing where there is none.
  ///
  /// - Parameter deed: What is done with what is in the map.
  func warn(whatIsMappedIs deed: String) {
    if openConflicts > 0 {
      let open = "\(openConflicts) conflict\(openConflicts == 1 ? " is" : "s are") open"
      var parts: [String] = []
      let without = openConflicts - mappedConflicts
      if without > 0 {
        parts.append("\(without) about what has no mapping until then, and is not \(deed)")
      }
      if mappedConflicts > 0 {
        parts.append(
          "\(mappedConflicts) about what is mapped as before until then, and is \(deed) so")
      }
      Console.note(
        "cellmap: \(open) until you decide: \(parts.joined(separator: "; ")) ('conflicts list\(moment)')."
      )
    }
    let names = uncoveredCells.prefix(3).map { $0.row.record.name?.string ?? $0.id.description }
    guard !names.isEmpty else { return }
    let more = uncoveredCells.count > 3 ? " and \(uncoveredCells.count - 3) more" : ""
    let whose = uncoveredCells.count == 1 ? "its" : "their"
    Console.note(
      "cellmap: The map may not have all of \(Console.safe(names.joined(separator: ", ")))\(more), and "
        + "what it lacks is not \(deed): \(whose) coverage is incomplete ('cell list\(moment)').")
  }

  private var moment: String { past.map { " --at \($0)" } ?? "" }

  var json: [String: JSONValue] {
    [
      "open_conflicts": .number(openConflicts),
      "open_conflicts_mapped": .number(mappedConflicts),
      "cells_with_incomplete_coverage": .number(uncoveredCells.count),
    ]
  }
}
