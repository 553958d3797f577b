import Journal
import Recovery
import Registry

/// What `publish` prints.
struct PublishOutput {
  let database: ByteText
  let plan: PublicationPlan
  let globals: GlobalTables
  let outcome: Outcome?
  let isDryRun: Bool
  let script: String?
  let gaps: MapGaps
  let names: [CellID: String]

  /// What holds the cells in memory, and so doesn't see what was written until it is begun anew.
  static let toRestart = [
    "nova-api", "nova-metadata", "nova-conductor (super conductor)", "nova-novncproxy",
    "nova-spicehtml5proxy", "nova-serialproxy",
  ]
  /// What reads the cells again at a signal.
  static let toSignal = ["nova-scheduler"]

  private var tables: [(name: String, count: PublicationPlan.Count)] {
    [("cells", plan.cells), ("hosts", plan.hosts), ("instances", plan.instances)]
  }

  private var globalTables: [(name: String, count: PublicationPlan.Count)] {
    [
      (GlobalTables.flavors, "flavors", plan.flavors),
      (.keyPairs, "keypairs", plan.keyPairs), (.requestSpecs, "request_specs", plan.requestSpecs),
    ].compactMap { table, name, count in globals.contains(table) ? (name, count) : nil }
  }

  private func printGlobals() {
    guard !globals.isEmpty else { return }
    var table = Table("OF THE CELLS", "NEW", "THERE ALREADY", "REPLACED SINCE", "LEFT")
    for (name, count) in globalTables {
      table.add(
        name, "\(count.added)", "\(count.same)",
        name == "flavors" ? "\(count.surplus)" : "-", "\(count.left)")
    }
    table.print(empty: "")
    for (cell, why) in plan.unreadCells.sorted(by: { $0.key < $1.key }) {
      Console.note(
        Console.safe(
          "cellmap: cell \(names[cell] ?? cell.description) was not read: \(why) What it has is left "
            + "out; give the same command again."))
    }
  }

  func print() {
    var table = Table(
      "ROWS", "FOUND", "NEW", "CHANGED", "AS IN THE MAP", "LEFT", "ONLY IN THE DATABASE")
    for (name, count) in tables {
      table.add(
        name, "\(count.found)", "\(count.added)", "\(count.changed)", "\(count.same)",
        "\(count.left)", "\(count.surplus)")
    }
    table.print(empty: "")
    printGlobals()
    if outcome == nil { for difference in plan.differences { Console.say(line(difference)) } }
    for finding in plan.findings {
      Console.note(
        "cellmap: "
          + Console.safe("\(finding.table) \(finding.key) (\(finding.kind)): \(finding.reason)"))
    }
    for (kind, count) in plan.findingCounts.sorted(by: { $0.key.rawValue < $1.key.rawValue })
    where count > plan.findings.count(where: { $0.kind == kind }) {
      Console.note("cellmap: \(count) rows in all are \(kind).")
    }
    if plan.markers > 0 {
      Console.print("Passed over \(plan.markers) of Nova's own marker rows, which map nothing.")
    }
    conclude()
    if outcome == nil { AnswerPosition.say(plan.position) }
  }

  private func conclude() {
    if let script, plan.changesNothing {
      Console.say(
        "Nothing to change: \(script) and \(script).undo hold no statement that changes a row.")
    } else if let script {
      Console.say(
        "Wrote the statements into \(script), and their inverse into \(script).undo. Nothing else was "
          + "written.")
    } else if isDryRun {
      Console.print("A dry run: nothing was written.")
    } else if plan.changesNothing {
      Console.print("Nothing to change.")
    } else {
      let position = outcome.map { " Position \($0.position)." } ?? ""
      Console.say("Published to \(database).\(position)")
      Console.print(
        "Restart, since they keep cells in memory: \(Self.toRestart.joined(separator: ", ")).")
      Console.print("Send SIGHUP to: \(Self.toSignal.joined(separator: ", ")).")
    }
  }

  private func line(_ difference: PublicationPlan.Difference) -> String {
    let columns = difference.columns.map { column in
      difference.isNew
        ? "\(column.name) \(column.to)" : "\(column.name) \(column.from) -> \(column.to)"
    }
    let verb = difference.isNew ? "new" : "change"
    return "\(verb) \(difference.table) \(difference.key): \(columns.joined(separator: ", "))"
  }

  static func json(_ counts: ChangeCounts) -> JSONValue {
    .object([
      "cells": .number(counts.cells), "hosts": .number(counts.hosts),
      "instances": .number(counts.instances),
    ])
  }

  func json(_ request: RequestID) -> JSONValue {
    var object: [String: JSONValue] = [
      "database": .printed(database), "dry_run": .flag(isDryRun),
      "script": script.map { .text($0) } ?? .null, "markers": .number(plan.markers),
      "left": .number(plan.leftCount),
      "finding_counts": .object(
        Dictionary(
          uniqueKeysWithValues: plan.findingCounts.map { ($0.key.rawValue, .number($0.value)) })),
      "findings": .list(
        plan.findings.map {
          .object([
            "kind": .text($0.kind.rawValue), "table": .text($0.table), "key": .text($0.key),
            "reason": .text($0.reason),
          ])
        }),
      "differences": .list(plan.differences.map { json($0) }),
      "changed": .flag(outcome != nil && !plan.changesNothing), "repeated": .flag(false),
      "position": .printed(outcome?.position ?? plan.position),
      "entries": outcome?.entries.map {
        .list([.number($0.lowerBound), .number($0.upperBound)])
      } ?? .null,
      "request": .printed(request),
      "restart": .list(Self.toRestart.map { .text($0) }),
      "sighup": .list(Self.toSignal.map { .text($0) }),
    ]
    for (name, count) in tables {
      object[name] = .object([
        "found": .number(count.found), "new": .number(count.added),
        "changed": .number(count.changed), "same": .number(count.same),
        "left": .number(count.left), "surplus": .number(count.surplus),
      ])
    }
    for (name, count) in globalTables {
      object[name] = .object([
        "new": .number(count.added), "same": .number(count.same), "left": .number(count.left),
        "replaced": .number(count.surplus),
      ])
    }
    object.merge(gaps.json) { first, _ in first }
    object["unread"] = .object(
      Dictionary(
        uniqueKeysWithValues: plan.unreadCells.map { ($0.key.description, .text($0.value)) }))
    return .object(object)
  }

  private func json(_ difference: PublicationPlan.Difference) -> JSONValue {
    .object([
      "table": .text(difference.table), "key": .text(difference.key),
      "new": .flag(difference.isNew),
      "columns": .object(
        Dictionary(
          uniqueKeysWithValues: difference.columns.map {
            (
              $0.name,
              .object([
                "from": difference.isNew ? .null : .text($0.from), "to": .text($0.to),
              ])
            )
          })),
    ])
  }
}

extension CommandFailure {
  init(_ error: PublicationError, request: RequestID) {
    switch error {
    case .source(let error): self.init(error, request: request)
    case .unreadable, .unwritable, .notWritable: self.init(.cell, error.description)
    case .stillChanging, .novaRuns, .notSeenStopped, .secretsHidden:
      self.init(.refused, error.description)
    case .script: self.init(.storage, error.description)
    case .map(let error): self.init(error)
    case .cells(let why): self.init(.cell, why)
    case .journal(let error): self.init(error)
    case .registry(let error): self.init(error, request: request)
    }
  }
}
