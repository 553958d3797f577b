import ArgumentParser
import Foundation
import Journal
import Projections

/// A table of the map.
enum MapTable: String, ExpressibleByArgument, CaseIterable {
  case cells, hosts, instances

  /// The columns, by the names of the command's JSON.
  var columns: [String] {
    switch self {
    case .cells:
      [
        "cell", "cell_name", "database", "queue", "options", "disabled", "being_removed",
        "coverage",
        "row", "created_at", "changed_at",
      ]
    case .hosts: ["host", "cell", "cell_name", "created_at", "changed_at"]
    case .instances:
      [
        "instance", "cell", "cell_name", "project", "user", "queued_for_delete", "created_at",
        "last_known_host", "last_known_host_at", "changed_at",
      ]
    }
  }
}

/// Writes a table of the map as CSV (RFC 4180, lines end with a newline): text is quoted, so that an
/// empty text and none differ.
struct CSVExport {
  private let table: MapTable
  private let session: StoreSession
  private let past: PastOptions
  private let path: String
  /// Whether owners that the store seals are written in clear.
  private let reveal: Bool

  init(
    _ table: MapTable, of session: StoreSession, _ past: PastOptions, to path: String, reveal: Bool
  ) {
    self.reveal = reveal
    self.table = table
    self.session = session
    self.past = past
    self.path = path
  }

  func run(json: Bool) throws(CommandFailure) {
    let map = try session.wholeMap(past)
    let file = try filing { () throws(FileError) in try NewFile(path) }
    var rows = 0
    try write(table.columns.joined(separator: ","), to: file)
    try forEachRow(of: map) { (fields) throws(CommandFailure) in
      let line = table.columns.map { Self.text(of: fields[$0] ?? .null) }
      try write(line.joined(separator: ","), to: file)
      rows += 1
    }
    try filing { () throws(FileError) in try file.finish() }
    if json {
      let fields: [String: JSONValue] = [
        "file": .text(path), "format": "csv", "table": .text(table.rawValue),
        "rows": .number(rows),
      ]
      return Console.print(JSONValue.object(fields.merging(map.label) { $1 }).line)
    }
    let tense = map.past == nil ? "are" : "were"
    Console.say(
      "Wrote \(rows) \(table.rawValue) into \(path), as they \(tense) at \(map.head).")
  }

  private func forEachRow(
    of map: MapReading, _ body: ([String: JSONValue]) throws(CommandFailure) -> Void
  ) throws(CommandFailure) {
    switch table {
    case .cells:
      for (id, row) in try map.cells() { try body(CellOutput.fields(id, row, map)) }
    case .hosts:
      let names = try map.names()
      for (name, row) in try map.hosts() { try body(HostOutput.fields(name, row, names, map)) }
    case .instances:
      let all = InstanceQuery(selection: InstanceSelection(), after: nil)
      try all.forEach(in: map) { (id, row) throws(CommandFailure) in
        var fields = try InstanceOutput.fields(id, row, map)
        if !reveal, OwnerOutput.keys != nil {
          for name in ["project", "user"] { fields[name] = .null }
        }
        try body(fields)
        return true
      }
    }
  }

  private static func text(of value: JSONValue) -> String {
    switch value {
    case .null: ""
    case .text(let text): "\"" + text.replacing("\"", with: "\"\"") + "\""
    default: value.line
    }
  }

  private func write(_ line: String, to file: NewFile) throws(CommandFailure) {
    try filing { () throws(FileError) in try file.write((line + "\n").utf8) }
  }

  private func filing<Value>(
    _ body: () throws(FileError) -> Value
  ) throws(CommandFailure) -> Value {
    do throws(FileError) { return try body() } catch {
      throw CommandFailure(
        error.code == EEXIST ? ExportError.targetExists(path: path) : .file(error))
    }
  }
}

/// How hosts are printed.
enum HostOutput {
  static func fields(
    _ name: ByteText, _ row: HostRow, _ names: [CellID: String], _ map: some MapView
  ) -> [String: JSONValue] {
    let fields: [String: JSONValue] = [
      "host": .printed(name), "cell": .printed(row.record.cell),
      "cell_name": .text(names[row.record.cell]),
      "created_at": .printed(row.record.row.createdAt), "changed_at": .number(row.changedAt),
    ]
    return fields.merging(map.label) { $1 }
  }
}
