import Foundation
import Journal
import Testing
import TestServers
import TestSupport

@testable import Cells

let needsServers: Comment =
  "MariaDB or PostgreSQL isn't installed; tools/setup --servers installs both"

let cell = CellID(uuid(0x4000_8000, 1))
let instance = InstanceID(uuid(0xA, 1))
let otherInstance = InstanceID(uuid(0xA, 2))

func uuid(_ high: UInt64, _ low: UInt64) -> UUID128 { UUID128(high: high, low: low) }

func cellDatabase(on engine: ServerEngine) throws -> NovaServerDatabase {
  try NovaServerDatabase.makeCell(on: .shared(engine))
}

/// A connection to a cell's database, as a pool opens it.
@discardableResult
func connect(
  _ database: NovaServerDatabase, host: String = "127.0.0.1", port: Int? = nil,
  _ query: String = "", within milliseconds: Int = 60_000
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

/// Opens a cell at an address given as text.
@discardableResult
func open(_ text: Secret, within milliseconds: Int = 60_000) throws -> CellConnection {
  let connection = try CellConnection.open(
    .server(try DatabaseAddress(parsing: text)), of: cell, until: soon(milliseconds))
  try connection.begin(until: soon(milliseconds))
  return connection
}

/// How a database refused; nil if it didn't.
func refusal(_ body: () throws -> some Any) -> DatabaseError? {
  do {
    _ = try body()
    return nil
  } catch let error as CellError {
    if case .database(_, let error) = error { return error }
    if case .deadlinePassed = error { return .deadlinePassed(server: "") }
    Issue.record("\(error)")
    return nil
  } catch {
    Issue.record("\(error)")
    return nil
  }
}

/// What the process does when it writes to a closed pipe, as a number to compare.
func brokenPipeHandling() -> Int {
  var handling = sigaction()
  sigaction(SIGPIPE, nil, &handling)
  return unsafeBitCast(handling.__sigaction_handler.sa_handler, to: Int.self)
}

func usleepMilliseconds(_ milliseconds: UInt32) { usleep(milliseconds * 1_000) }

/// How many sockets of this process are connected to a port of loopback.
func openSockets(to port: Int) -> Int {
  let table = (try? String(contentsOfFile: "/proc/self/net/tcp", encoding: .utf8)) ?? ""
  let hexadecimal = String(port, radix: 16, uppercase: true)
  let wanted = ":" + String(repeating: "0", count: 4 - hexadecimal.count) + hexadecimal
  let inodes = Set(
    table.split(separator: "\n").compactMap { line -> String? in
      let fields = line.split(separator: " ")
      guard fields.count > 9, fields[2].hasSuffix(wanted) else { return nil }
      return String(fields[9])
    })
  let folder = "/proc/self/fd"
  let descriptors = (try? FileManager.default.contentsOfDirectory(atPath: folder)) ?? []
  return descriptors.count { descriptor in
    let target = try? FileManager.default.destinationOfSymbolicLink(
      atPath: "\(folder)/\(descriptor)")
    return target.map { text in inodes.contains { text == "socket:[\($0)]" } } ?? false
  }
}
