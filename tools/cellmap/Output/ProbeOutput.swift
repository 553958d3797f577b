import Cells
import Journal
import Recovery
import Registry
import Router

/// How a probe is printed.
struct ProbeOutput {
  let report: ProbeReport

  func show(_ outcome: Outcome, _ change: some ChangeOptions, _ store: StoreOptions) {
    if store.json { return Console.print(json(outcome, change).line) }
    report.findings.printTable()
    if !report.hosts.isEmpty {
      var hosts = Table("HOST", "NODES", "VERSION", "LAST REPORT", "PING")
      for host in report.hosts {
        hosts.add(
          host.host.name.string, "\(host.host.nodeCount)",
          host.host.service?.version.map { "\($0)" }, reported(host.host.service?.lastSeenAt),
          answer(of: host))
      }
      hosts.print(empty: "")
    }
    if !report.services.isEmpty {
      var services = Table("CELL", "HOSTS", "VERSIONS", "LAST REPORT")
      for cell in report.services {
        services.add(
          cell.name?.string ?? cell.cell.description,
          cell.unavailable == nil ? "\(cell.hostCount)" : nil, cell.versions.map { shown($0) },
          cell.unavailable.map { CellNames.spoken($0.description) } ?? reported(cell.lastSeenAt))
      }
      services.print(empty: "")
    }
    let word = report.passed ? "passed" : "failed"
    Console.say(
      "Cell \(report.name?.string ?? report.cell.description) \(word) the probe. "
        + "Position \(outcome.position).")
  }

  private func shown(_ versions: ClosedRange<Int64>) -> String {
    versions.lowerBound == versions.upperBound
      ? "\(versions.lowerBound)" : "\(versions.lowerBound) to \(versions.upperBound)"
  }

  /// How long ago a service reported by its own clock, seen by this machine's.
  private func reported(_ time: Timestamp?) -> String? {
    guard let time else { return nil }
    let seconds = Double(report.probedAt.microseconds - time.microseconds) / 1e6
    return seconds < -1
      ? "\(Int(-seconds)) s ahead of this clock" : "\(Int(max(0, seconds))) s ago"
  }

  private func answer(of host: ProbeReport.Host) -> String? {
    guard let ping = host.ping else { return nil }
    switch ping.outcome {
    case .success(.result): return "\(ping.time.milliseconds) ms"
    case .success(.failure(let failure)): return failure.description
    case .failure(let fault): return fault.description
    }
  }

  private func json(_ outcome: Outcome, _ change: some ChangeOptions) -> JSONValue {
    .object([
      "cell": .printed(report.cell), "cell_name": .printed(report.name),
      "passed": .flag(report.passed), "position": .printed(outcome.position),
      "repeated": .flag(outcome.isRepeated), "request": .printed(change.request),
      "identity": .text(identity),
      "steps": report.findings.json,
      "hosts": .list(report.hosts.map(json)),
      "cells": .list(
        report.services.map { cell in
          .object([
            "cell": .printed(cell.cell), "cell_name": .printed(cell.name),
            "hosts": .number(cell.hostCount),
            "oldest_version": cell.versions.map { .number($0.lowerBound) } ?? .null,
            "newest_version": cell.versions.map { .number($0.upperBound) } ?? .null,
            "last_report_at": .printed(cell.lastSeenAt),
            "error": .text(cell.unavailable.map { CellNames.spoken($0.description) }),
          ])
        }),
    ])
  }

  private func json(_ host: ProbeReport.Host) -> JSONValue {
    let service = host.host.service
    return .object([
      "host": .printed(host.host.name), "nodes": .number(host.host.nodeCount),
      "version": service?.version.map { .number($0) } ?? .null,
      "last_report_at": .printed(service?.lastSeenAt),
      "service_disabled": .flag(service.map(\.isDisabled)),
      "forced_down": .flag(service.map(\.isForcedDown)), "answers": .flag(host.answers),
      "ping": .text(answer(of: host)),
    ])
  }

  private var identity: String? {
    switch report.verdict {
    case .accepted: "recorded"
    case .unproven: "new"
    case .unknown: "unknown"
    case .wrongCell: "another cell"
    case nil: nil
    }
  }
}

/// How a probe is printed whose command is given again.
struct RecordedProbeOutput {
  let probe: RecordedProbe
  let cell: CellID
  let label: String

  func show(_ outcome: Outcome, _ change: some ChangeOptions, _ store: StoreOptions) {
    if store.json {
      return Console.print(
        JSONValue.object([
          "cell": .printed(cell), "cell_name": .text(label), "passed": .flag(probe.passed),
          "position": .printed(outcome.position), "repeated": .flag(true),
          "request": .printed(change.request), "steps": probe.findings.json,
        ]).line)
    }
    probe.findings.printTable()
    Console.say(
      "Done before: Cell \(label) \(probe.passed ? "passed" : "failed") the probe. Nothing was done "
        + "now. Position \(outcome.position).")
  }
}

extension [ProbeReport.Finding] {
  fileprivate func printTable() {
    var table = Table("STEP", "RESULT", "MILLISECONDS", "FOUND")
    for finding in self {
      table.add(
        finding.step.rawValue, finding.passed ? "ok" : "FAILED", "\(finding.time.milliseconds)",
        CellNames.spoken(finding.text))
    }
    table.print(empty: "")
  }

  fileprivate var json: JSONValue {
    .list(
      map { finding in
        .object([
          "step": .text(finding.step.rawValue), "passed": .flag(finding.passed),
          "milliseconds": .number(finding.time.milliseconds),
          "found": .text(CellNames.spoken(finding.text)),
        ])
      })
  }
}

extension Duration {
  var milliseconds: Int { Int(self / .milliseconds(1)) }
}
