import Journal
import Projections

/// How things that differ are printed, be it between two moments or between the map and another one.
struct DifferenceReport {
  let shown: [EntityDifference]
  private let naming: CellNaming
  /// nil stands for instances in no cell.
  private var cells: [CellID?: Flow] = [:]
  private var projects: [String: Flow] = [:]

  /// Instances that came to a cell or project, left it, or changed within it.
  private struct Flow {
    var came = 0
    var left = 0
    var changed = 0
  }

  init(_ differences: [EntityDifference], naming: CellNaming) {
    self.naming = naming
    shown = differences
    for difference in shown where difference.entity.kind == .instance {
      Self.count(difference, in: &cells, \.place)
      Self.count(
        difference, in: &projects, { $0.instance?.record.owner.project.shown ?? "(no project)" })
    }
  }

  private static func count<Place: Hashable>(
    _ difference: EntityDifference, in flows: inout [Place: Flow], _ place: (EntityRow) -> Place
  ) {
    let (old, new) = (difference.before.map(place), difference.after.map(place))
    if let old, old == new {
      flows[old, default: Flow()].changed += 1
      return
    }
    if let old { flows[old, default: Flow()].left += 1 }
    if let new { flows[new, default: Flow()].came += 1 }
  }

  /// The sums, then the things.
  ///
  /// - Parameters:
  ///   - entries: The title of the column of entries.
  ///   - empty: What is said where nothing differs.
  ///   - limit: How many instances are shown; 0 for all.
  func print(entries: String = "ENTRIES", empty: String, limit: Int) {
    summary("CELL", cells.map { ($0.key.map { naming.name(of: $0) } ?? "(no cell)", $0.value) })
    summary("PROJECT", projects.map { ($0.key, $0.value) })
    var table = Table("THING", "CHANGE", "WHAT", entries)
    var instances = 0
    for difference in shown {
      if difference.entity.kind == .instance {
        instances += 1
        if limit > 0, instances > limit { continue }
      }
      let entries = difference.entries.map(\.description)
      let more = entries.count > 5 ? " and \(entries.count - 5) more" : ""
      table.add(
        name(of: difference.entity), DifferenceOutput.verb(difference.before, difference.after),
        DifferenceOutput.sentence(difference.changes, naming),
        entries.prefix(5).joined(separator: " ") + more)
    }
    table.print(empty: empty)
    if limit > 0, instances > limit {
      Console.remark(
        "\(counted(instances - limit, "more instance")): give a larger --limit, or 0 for all.")
    }
  }

  private func summary(_ title: String, _ flows: [(name: String, flow: Flow)]) {
    guard !flows.isEmpty else { return }
    var table = Table(title, "CAME", "LEFT", "CHANGED")
    for (name, flow) in flows.sorted(by: { $0.name < $1.name }) {
      table.add(name, "\(flow.came)", "\(flow.left)", "\(flow.changed)")
    }
    table.print(empty: "")
    Console.print("")
  }

  private func name(of entity: EntityKey) -> String {
    if case .cell(let id) = entity { return "cell \(naming.name(of: id))" }
    return entity.description
  }

  /// A line for each thing.
  func printJSON() {
    for difference in shown {
      var fields = difference.entity.fields
      fields["change"] = .text(DifferenceOutput.verb(difference.before, difference.after))
      fields["changes"] = DifferenceOutput.fields(difference.changes)
      fields["entries"] = .list(difference.entries.map { .printed($0) })
      Console.print(JSONValue.object(fields).line)
    }
  }

  /// The sums, for the last line.
  var sums: [String: JSONValue] {
    let cells = cells.map { ($0.key?.description ?? "(no cell)", Self.object($0.value)) }
    return [
      "different": .number(shown.count),
      "cells": .object(Dictionary(uniqueKeysWithValues: cells)),
      "projects": .object(projects.mapValues(Self.object)),
    ]
  }

  private static func object(_ flow: Flow) -> JSONValue {
    .object([
      "came": .number(flow.came), "left": .number(flow.left), "changed": .number(flow.changed),
    ])
  }
}
