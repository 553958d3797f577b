import Foundation
import Journal
import Projections

/// The cells' names in messages: the libraries know a cell by its UUID, people by its name.
enum CellNames {
  /// The store that messages are about. Set ahead of any thread, as is what follows from it.
  nonisolated(unsafe) static var options: StoreOptions?
  nonisolated(unsafe) private static var known: [String: String]?

  /// Takes the names of cells that the map doesn't have yet.
  static func add(_ given: [CellID: String]) {
    var names = known ?? read()
    for (cell, name) in given { names[cell.description] = name }
    known = names
  }

  /// The text with each `cell UUID` named; a UUID stays where the name is missing or not the cell's
  /// alone, or where the map can't be read.
  static func spoken(_ text: String) -> String {
    let mention =
      #/([Cc]ell (?:[a-z]+ )?)([0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12})/#
    guard options != nil, text.contains(mention) else { return text }
    let names = known ?? read()
    known = names
    return text.replacing(mention) { match in
      "\(match.output.1)\(names[String(match.output.2)] ?? String(match.output.2))"
    }
  }

  private static func read() -> [String: String] {
    guard let options, let cells = try? StoreSession(options).mapAsItIs()?.cells() else {
      return [:]
    }
    let names = Dictionary(grouping: cells) { $0.row.record.name?.string ?? "" }
    var known: [String: String] = [:]
    for (name, bearers) in names where !name.isEmpty && bearers.count == 1 {
      known[bearers[0].id.description] = name
    }
    return known
  }
}
