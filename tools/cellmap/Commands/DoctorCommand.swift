import ArgumentParser
import Journal
import Recovery
import Router

/// `cellmap doctor`: Nova's own map against the cells that it names.
struct DoctorCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "doctor",
    abstract: "Examines the map that a Nova cloud has, and says what mends it; needs no store.",
    discussion: """
      Reads Nova's API database and every cell that it names, all at once, and writes nothing. What \
      looks wrong is looked at again before it is told. Exit code 1 if anything was found, 5 if a cell \
      could not be read: what depends on it is left undecided then.

      What a cell lacks is only told to be taken out of Nova's map if every cell was read whole. A cell \
      that looks restored from a backup or empty is named instead; if it is whole, say so with \
      --not-restored.
      """)

  @Option(
    name: .customLong("nova-conf"),
    help: ArgumentHelp(
      "The configuration of a controller: [api_database], and the base of templates; several files "
        + "and folders, later ones win.", valueName: "file"))
  var novaConf: [String] = []
  @OptionGroup var base: BaseOptions
  @Option(help: ArgumentHelp("How long a cell may take for an answer.", valueName: "milliseconds"))
  var deadline = 10_000
  @Option(
    help: ArgumentHelp(
      "A cell, by name or UUID, that looks restored or empty, and is whole; may be given for several.",
      valueName: "cell"))
  var notRestored: [String] = []
  @Option(help: ArgumentHelp("How many findings of each kind are shown.", valueName: "count"))
  var show = 3
  @Flag(help: "Print every finding as a line of JSON, and a summary as the last.") var json = false

  func validate() throws {
    guard !novaConf.isEmpty else { throw ValidationError("Give --nova-conf.") }
    guard (1...600_000).contains(deadline) else {
      throw ValidationError("--deadline must be 1 to 600000 milliseconds.")
    }
    guard (1...10_000).contains(show) else { throw ValidationError("--show must be 1 to 10000.") }
  }

  func run() throws {
    let choice = APIDatabaseChoice(address: nil, novaConf: novaConf, base: base)
    let address = try choice.databaseAddress()
    let open = { () throws(AdoptionError) in
      try NovaAPIDatabase(address, relativeTo: base.folder)
    }
    let doctor = MapDoctor(
      base: try choice.addressBase(), patience: .milliseconds(deadline),
      notRestored: try whole(open), open: open)
    var shown: [DoctorFinding.Kind: [DoctorFinding]] = [:]
    let report: DoctorReport
    do throws(AdoptionError) {
      report = try doctor.examine(
        progress: { Console.progress("comparing: \($0) mappings") },
        { finding in
          if json {
            Console.print(DoctorOutput.json(finding).line)
          } else if shown[finding.kind, default: []].count < show {
            shown[finding.kind, default: []].append(finding)
          }
        })
    } catch {
      throw CommandFailure(error, request: .none)
    }
    Console.endProgress()
    if json {
      Console.print(DoctorOutput.json(report).line)
    } else {
      DoctorOutput.print(report, shown)
    }
    let status: ExitStatus =
      !report.isComplete ? .partial : report.counts.isEmpty ? .done : .finding
    if status != .done { throw ExitCode(status.rawValue) }
  }
}

extension DoctorCommand {
  /// The cells that are whole whatever they look like.
  private func whole(
    _ open: () throws(AdoptionError) -> NovaAPIDatabase
  ) throws(CommandFailure) -> Set<CellID> {
    guard !notRestored.isEmpty else { return [] }
    let rows: [NovaCellRow]
    do throws(AdoptionError) { rows = try open().cells() } catch {
      throw CommandFailure(error, request: .none)
    }
    var cells: Set<CellID> = []
    for text in notRestored {
      let named = rows.filter { $0.name?.string == text || CellID($0.uuid.string) == CellID(text) }
        .compactMap { CellID($0.uuid.string) }
      guard let cell = named.first else {
        throw CommandFailure(
          .unknown,
          "Nova's API database has no cell '\(text)'; run it without --not-restored to see them.")
      }
      guard named.count == 1 else {
        throw CommandFailure(
          .refused,
          "Several cells are named '\(text)': "
            + named.map(\.description).joined(separator: ", ") + ". Give the UUID.")
      }
      cells.insert(cell)
    }
    return cells
  }
}

/// How the findings of `doctor` are printed.
enum DoctorOutput {
  static func print(
    _ report: DoctorReport, _ shown: [DoctorFinding.Kind: [DoctorFinding]]
  ) {
    for kind in DoctorFinding.Kind.allCases {
      guard let count = report.counts[kind] else { continue }
      Console.say("\(kind.rawValue): \(count). \(kind.meaning)")
      let findings = shown[kind] ?? []
      for finding in findings {
        Console.say("  \(finding.subject.label): \(finding.detail)")
        for step in finding.fix { Console.say("    \(step.place.label): \(step.text)") }
      }
      let told = findings.reduce(0) { $0 + $1.count }
      if told < count { Console.print("  … and \(count - told) more; --json prints all.") }
      Console.print("")
    }
    var table = Table("CELL", "UUID", "INSTANCES", "READ")
    for cell in report.cells {
      let shared = cell.sharedWith.map { "with \($0)" }
      table.add(
        cell.name?.string, cell.id.description, "\(cell.instances)",
        cell.failure.map { "NO: \($0)" } ?? cell.doubt.map { "yes, but \($0)" } ?? shared ?? "yes")
    }
    table.print(empty: "The API database names no cells.")
    let found = report.counts.values.reduce(0, +)
    Console.print("")
    Console.say(
      "Compared \(report.mappings) mappings and \(report.hosts) hosts of \(report.database): "
        + (found == 0 ? "nothing is wrong" : "\(found) findings") + ".")
    if report.settled > 0 {
      Console.print("\(report.settled) looked wrong and were right when looked at again.")
    }
    if !report.isComplete {
      let names = report.cells.filter { $0.failure != nil }.map {
        $0.name?.string ?? $0.id.description
      }
      let shown = names.prefix(3).joined(separator: ", ")
      Console.note(
        Console.safe(
          "cellmap: \(shown)\(names.count > 3 ? " and \(names.count - 3) more" : "") could not be "
            + "read; \(report.undecided) instances are undecided, and nothing is told to be taken away "
            + "that may be there. Run it again when every cell can be read."))
    }
  }

  static func json(_ finding: DoctorFinding) -> JSONValue {
    var object: [String: JSONValue] = [
      "finding": .text(finding.kind.rawValue), "detail": .text(finding.detail),
      "cells": .list(finding.cells.map { .printed($0) }), "count": .number(finding.count),
      "fix": .list(
        finding.fix.map { step in
          .object(["in": .text(step.place.name), "run": .text(step.text)])
        }),
    ]
    switch finding.subject {
    case .instance(let uuid): object["instance"] = .text(uuid)
    case .host(let host): object["host"] = .printed(host)
    case .cell(let label): object["cell"] = .text(label)
    case .rows(let table): object["table"] = .text(table)
    }
    return .object(object)
  }

  static func json(_ report: DoctorReport) -> JSONValue {
    .object([
      "database": .printed(report.database), "read_at": .printed(report.snapshotAt),
      "complete": .flag(report.isComplete), "mappings": .number(report.mappings),
      "hosts": .number(report.hosts), "undecided": .number(report.undecided),
      "settled": .number(report.settled),
      "findings": .object(
        Dictionary(
          uniqueKeysWithValues: report.counts.map { ($0.key.rawValue, .number($0.value)) })),
      "cells": .list(
        report.cells.map { cell in
          .object([
            "cell": .printed(cell.id), "cell_name": .printed(cell.name),
            "instances": .number(cell.instances), "shared_with": .printed(cell.sharedWith),
            "answered": .flag(cell.failure == nil), "error": .text(cell.failure),
            "doubt": .text(cell.doubt),
          ])
        }),
    ])
  }
}

extension DoctorFinding.Subject {
  fileprivate var label: String {
    switch self {
    case .instance(let uuid): "instance \(uuid)"
    case .host(let host): "host \(host)"
    case .cell(let label): "cell \(label)"
    case .rows(let table): table
    }
  }
}

extension DoctorFinding.Step.Place {
  fileprivate var name: String {
    switch self {
    case .shell: "shell"
    case .api: "api_database"
    case .cell: "cell_database"
    }
  }

  fileprivate var label: String {
    switch self {
    case .shell: "on a controller"
    case .api: "in the API database"
    case .cell(let label): "in the database of \(label)"
    }
  }
}
