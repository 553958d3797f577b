import ArgumentParser
import Foundation
import TestServers

/// Measures cellmap beside the raw C libraries, on the same bytes and rows, in the same run.
@main struct BenchCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "bench",
    abstract: "Measures cellmap beside raw LMDB and SQLite, in turn, in one run.")

  @Option(help: "Instances in the large store.")
  var instances = 1_000_000

  @Option(help: ArgumentHelp("Only these benches: \(Bench.names).", valueName: "name"))
  var only: [Bench] = []

  @Flag(help: "Also those that start private MariaDB and PostgreSQL servers.") var servers = false

  @Option(help: "Writes the numbers to a file, as JSON.")
  var json: String?

  @Option(help: "Where stores are made and removed again; default: the temporary folder.")
  var folder: String?

  @Flag(help: "The stores stay, for tools/large-store.") var keep = false

  @Flag(help: "Counts the allocations of the hot paths instead; 1 if one has risen.")
  var allocations = false

  @Option(help: "The counts to compare with.")
  var allocationFile = "tools/bench/allocations.json"

  func run() throws {
    let base = folder ?? FileManager.default.temporaryDirectory.path
    let scratch = "\(base)/cellmap-bench-\(ProcessInfo.processInfo.processIdentifier)"
    try FileManager.default.createDirectory(
      atPath: scratch, withIntermediateDirectories: true)
    defer { if !keep { try? FileManager.default.removeItem(atPath: scratch) } }
    if allocations {
      guard try AllocationCheck.run(scratch, file: allocationFile) else { throw ExitCode(1) }
      return
    }
    let fixtures = Fixtures(folder: scratch, instances: instances)
    var report = Report(instances: instances)
    show(Report.heading)
    let wanted = Bench.allCases.filter { bench in
      only.isEmpty ? !bench.isForLarge && (servers || !bench.needsServers) : only.contains(bench)
    }
    for bench in wanted {
      guard let comparison = try bench.run(fixtures) else { continue }
      report.add(comparison)
      show(Report.line(comparison))
    }
    if wanted.contains(.size) {
      show(Report.sizeHeading)
      for size in try StoreBenches.sizes(fixtures) {
        report.add(size)
        show(Report.line(size))
      }
    }
    if let json {
      try report.json(date: Date()).write(to: URL(fileURLWithPath: json))
    }
  }
}

/// Prints a line at once, also into a file.
func show(_ line: String) {
  print(line)
  fflush(nil)
}

/// What can be measured, in the order in which it is.
enum Bench: String, CaseIterable, ExpressibleByArgument {
  case append, command, callers, batch, replay, lookup, mapping, cache, route, list
  case listByCreation = "list-created"
  case listHung = "list-hung"
  case listSkipped = "list-skipped"
  case open, verify, changes, sustained, rebuild, reconcile, history, size
  case routeOnMariaDB = "route-mariadb"
  case routeOnPostgreSQL = "route-postgresql"
  case listOnMariaDB = "list-mariadb"
  case listOnPostgreSQL = "list-postgresql"
  case scanOnMariaDB = "scan-mariadb"
  case rebuildOnMariaDB = "rebuild-mariadb"
  case reconcileOnMariaDB = "reconcile-mariadb"
  case listStopped = "list-stopped"
  case listStoppedSkipped = "list-stopped-skipped"
  case routeStopped = "route-stopped"
  case listSlow = "list-slow"
  case mapStopped = "map-stopped"
  case appendGrown = "append-grown"
  case batchGrown = "batch-grown"

  static var names: String { allCases.map(\.rawValue).joined(separator: ", ") }

  var needsServers: Bool {
    switch self {
    case .routeOnMariaDB, .routeOnPostgreSQL, .listOnMariaDB, .listOnPostgreSQL, .scanOnMariaDB,
      .rebuildOnMariaDB, .reconcileOnMariaDB, .listStopped, .listStoppedSkipped, .routeStopped,
      .listSlow, .mapStopped:
      true
    default: false
    }
  }

  /// They compare a store with a small one, and leave its index behind.
  var isForLarge: Bool { self == .appendGrown || self == .batchGrown }

  func run(_ fixtures: Fixtures) throws -> Comparison? {
    switch self {
    case .append: try AppendBenches.single(fixtures)
    case .command: try AppendBenches.command(fixtures)
    case .callers: try AppendBenches.callers(fixtures)
    case .batch: try AppendBenches.batches(fixtures)
    case .replay: try IndexBenches.replay(fixtures)
    case .lookup: try IndexBenches.lookup(fixtures)
    case .mapping: try RouterBenches.mapping(fixtures)
    case .cache: try RouterBenches.cache(fixtures)
    case .route: try RouterBenches.route(fixtures)
    case .list: try ListBenches.byUUID(fixtures)
    case .listByCreation: try ListBenches.byCreation(fixtures)
    case .listHung: try ListBenches.hung(fixtures)
    case .listSkipped: try ListBenches.skipped(fixtures)
    case .open: try StoreBenches.open(fixtures)
    case .verify: try VerifyBenches.full(fixtures)
    case .changes: try ChangeBenches.acknowledged(fixtures)
    case .sustained: try ChangeBenches.sustained(fixtures)
    case .rebuild: try RebuildBenches.rebuild(fixtures)
    case .reconcile: try RebuildBenches.reconcile(fixtures)
    case .history: try HistoryBenches.instance(fixtures)
    case .size: nil
    case .routeOnMariaDB: try ServerBenches.route(fixtures, on: .mariadb)
    case .routeOnPostgreSQL: try ServerBenches.route(fixtures, on: .postgresql)
    case .listOnMariaDB: try ServerBenches.list(fixtures, on: .mariadb)
    case .listOnPostgreSQL: try ServerBenches.list(fixtures, on: .postgresql)
    case .scanOnMariaDB: try RebuildBenches.scanOnMariaDB(fixtures)
    case .rebuildOnMariaDB: try RebuildBenches.rebuildOnMariaDB(fixtures)
    case .reconcileOnMariaDB: try RebuildBenches.reconcileOnMariaDB(fixtures)
    case .listStopped: try StoppedCellBenches.list(fixtures)
    case .listStoppedSkipped: try StoppedCellBenches.skipped(fixtures)
    case .routeStopped: try StoppedCellBenches.routes(fixtures)
    case .listSlow: try StoppedCellBenches.slow(fixtures)
    case .mapStopped: try StoppedCellBenches.map(fixtures)
    case .appendGrown: try GrownBenches.single(fixtures)
    case .batchGrown: try GrownBenches.batches(fixtures)
    }
  }
}
