import Foundation
import Journal
import Testing
import TestSupport

@testable import Cells

let needsServers: Comment =
  "MariaDB or PostgreSQL isn't installed; tools/setup --servers installs both"

let cell = CellID(uuid(0x4000_8000, 1))
let instance = InstanceID(uuid(0xA, 1))
let otherInstance = InstanceID(uuid(0xA, 2))

func uuid(_ high: UInt64, _ low: UInt64) -> UUID128 { UUID128(high: high, low: low) }

func soon(_ milliseconds: Int = 10_000) -> ContinuousClock.Instant {
  .now + .milliseconds(milliseconds)
}

func cellDatabase(on engine: ServerEngine) throws -> NovaServerDatabase {
  try NovaServerDatabase.makeCell(on: .shared(engine))
}

/// A connection to a cell's database, as a pool opens it.
@discardableResult
func connect(
  _ database: NovaServerDatabase, host: String = "127.0.0.1", port: Int? = nil,
  _ query: String = "", within milliseconds: Int = 10_000
) throws -> CellConnection {
  let address = try database.address(host: host, port: port, query)
  let connection = try CellConnection.open(
    .server(address), of: cell, until: soon(milliseconds))
  try connection.begin(until: soon(milliseconds))
  return connection
}

/// A flag as the engine writes it in SQL.
func flag(_ engine: ServerEngine, _ value: Bool) -> String {
  engine == .mariadb ? (value ? "1" : "0") : "\(value)"
}

/// The memory of this process that is in RAM.
func residentBytes() -> Int {
  let text = (try? String(contentsOfFile: "/proc/self/statm", encoding: .utf8)) ?? ""
  return Int(text.split(separator: " ").dropFirst().first ?? "0").map { $0 * 4096 } ?? 0
}
