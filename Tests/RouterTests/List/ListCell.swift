import Cells
import Glibc
import Journal
import Projections
import Synchronization
import TestServers
import TestSupport
import Testing

/// The engines that the cells of a world can be on.
enum CellEngine: String, CaseIterable, Sendable, CustomTestStringConvertible {
  case sqlite, mariadb, postgresql

  /// Those that can be started here; `tools/setup --servers` installs the others.
  static var installed: [CellEngine] { allCases.filter { $0.server?.isInstalled ?? true } }

  /// nil for SQLite, which has none.
  var server: ServerEngine? { ServerEngine(rawValue: rawValue) }

  var testDescription: String { rawValue }
}

/// A cell of a world: a file, or a database on the server that all tests share, behind a proxy that
/// takes it down without touching its neighbours.
struct ListCell {
  let id: CellID
  let place: Place

  enum Place {
    case file(NovaCellFile)
    case server(NovaServerDatabase, FaultProxy)
  }

  /// Runs SQL on the cell's database; behind its proxy, if it has one.
  func execute(_ sql: String) throws {
    switch place {
    case .file(let file): try file.execute(sql)
    case .server(let database, _): try database.execute(sql)
    }
  }

  /// The database's file; only for worlds of files.
  var file: NovaCellFile {
    guard case .file(let file) = place else { preconditionFailure("the cell is on a server") }
    return file
  }

  /// Takes the cell away, or puts it back: the file, or the way to the server.
  func setDown(_ isDown: Bool) {
    switch place {
    case .file(let file):
      let (here, away) = (file.path, file.path + ".away")
      #expect(isDown ? rename(here, away) == 0 : rename(away, here) == 0)
    case .server(_, let proxy): proxy.disconnect(andChangeTo: isDown ? .refuses : .none)
    }
  }

  /// Calls `body` while whoever asks the cell waits: a writer holds the file, or the server's end of
  /// every connection is silent.
  func whileHung<Result>(_ body: () throws -> Result) throws -> Result {
    switch place {
    case .file(let file):
      let writer = try file.connect()
      try writer.execute("BEGIN EXCLUSIVE")
      let result = try body()
      try writer.execute("COMMIT")
      return result
    case .server(_, let proxy):
      proxy.disconnect(andChangeTo: .silent)
      defer { proxy.disconnect(andChangeTo: .none) }
      return try body()
    }
  }

  /// A time that Nova doesn't write, and that no reader takes for one.
  var impossibleTime: String {
    switch place {
    case .file: "'never'"
    case .server(let database, _):
      database.server.engine == .mariadb ? "'0000-00-00 00:00:00'" : "'infinity'"
    }
  }
}

/// Databases of cells on the shared servers, which worlds have one after the other: to make one takes
/// longer than most tests.
final class SpareDatabases: Sendable {
  private static let spare = Mutex<[ServerEngine: [NovaServerDatabase]]>([:])

  /// A database without rows.
  static func take(_ engine: ServerEngine) throws -> NovaServerDatabase {
    if let known = spare.withLock({ $0[engine]?.popLast() }) { return known }
    let database = try NovaServerDatabase.makeCell(on: .shared(engine))
    if engine == .mariadb {
      try database.execute("ALTER TABLE instances CONVERT TO CHARACTER SET utf8mb4")
    }
    return database
  }

  /// Empties a database whose tables are as they were.
  static func giveBack(_ database: NovaServerDatabase) throws {
    try database.execute(
      "DELETE FROM instances; DELETE FROM services; DELETE FROM compute_nodes;")
    spare.withLock { $0[database.server.engine, default: []].append(database) }
  }
}
