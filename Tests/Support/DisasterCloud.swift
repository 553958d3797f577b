public import Journal
internal import TestServers

/// A cloud of four cells after the loss of its map, with an instance for each hard case that a rebuild
/// meets, and the right verdict on each.
///
/// Cell 0 is cell0; the others have hosts `host1` … `host3`.
public struct DisasterCloud: Sendable {
  /// What the map is to say of an instance.
  public enum Verdict: Hashable, Sendable {
    case mapped(cell: Int, isQueued: Bool)
    case conflict
    case none
  }

  public struct Copy: Sendable {
    public var cell: Int
    public var values: [String: String]
  }

  public struct Move: Sendable {
    public var uuid: UUID128
    public var source: String
    public var destination: String
    public var createdAt: String
    /// The status in each cell that has it.
    public var statuses: [Int: String]
  }

  public struct Case: Sendable, CustomStringConvertible {
    public var name: String
    public var instance: InstanceID
    public var verdict: Verdict
    public var copies: [Copy]
    public var moves: [Move] = []

    public var description: String { name }
  }

  public private(set) var cases: [Case] = []
  private static let times = [
    "created_at": "'2026-02-01 10:00:00'", "updated_at": "'2026-02-02 10:00:00'",
    "launched_at": "'2026-02-01 10:01:00'",
  ]

  public init() {
    addPlainCases()
    addCopies()
    addMoves()
  }

  private mutating func add(
    _ name: String, _ verdict: Verdict, _ copies: [(Int, [String: String])], _ moves: [Move] = []
  ) {
    let number = UInt64(cases.count + 1)
    // Spread, so that the order of the UUIDs is not that of the cases.
    let high = number &* 0x9E37_79B9_7F4A_7C15 & ~0xF000 | 0x4000
    let id = InstanceID(UUID128(high: high, low: 1 << 63 | number))
    let rows = copies.map { cell, values in
      Copy(
        cell: cell,
        values: ["host": cell == 0 ? "NULL" : "'host\(cell)'"].merging(Self.times) { $1 }
          .merging(values) { $1 })
    }
    cases.append(Case(name: name, instance: id, verdict: verdict, copies: rows, moves: moves))
  }

  private mutating func addPlainCases() {
    for cell in 1...3 {
      add("plain in cell\(cell)", .mapped(cell: cell, isQueued: false), [(cell, [:])])
    }
    add("in cell0", .mapped(cell: 0, isQueued: false), [(0, ["launched_at": "NULL"])])
    add(
      "being built", .mapped(cell: 2, isQueued: false),
      [(2, ["host": "NULL", "vm_state": "'building'", "launched_at": "NULL"])])
    add(
      "deleted, not archived", .mapped(cell: 1, isQueued: true),
      [(1, ["deleted": "7", "deleted_at": "'2026-03-01 10:00:00'"])])
    add(
      "delete accepted", .mapped(cell: 1, isQueued: true), [(1, ["task_state": "'deleting'"])])
    add(
      "soft delete accepted", .mapped(cell: 1, isQueued: true),
      [(1, ["task_state": "'soft-deleting'"])])
    let deletedAt = ["deleted_at": "'2026-03-01 10:00:00'", "vm_state": "'soft-delete'"]
    add("soft-deleted", .mapped(cell: 3, isQueued: true), [(3, deletedAt)])
    add(
      "restore in flight", .mapped(cell: 3, isQueued: false),
      [(3, deletedAt.merging(["task_state": "'restoring'"]) { $1 })])
    add(
      "restore failed", .mapped(cell: 3, isQueued: false), [(3, ["vm_state": "'soft-delete'"])])
    add("no project", .mapped(cell: 2, isQueued: false), [(2, ["project_id": "NULL"])])
    add("hidden is NULL", .mapped(cell: 2, isQueued: false), [(2, ["hidden": "NULL"])])
  }

  private mutating func addCopies() {
    add("only a hidden copy", .none, [(2, ["hidden": "TRUE"])])
    add(
      "hidden copy at the target", .mapped(cell: 1, isQueued: false),
      [(1, [:]), (2, ["hidden": "TRUE", "host": "'host1'"])])
    let gone = ["deleted": "9", "deleted_at": "'2026-03-01 10:00:00'"]
    add("live here, deleted there", .mapped(cell: 3, isQueued: false), [(1, gone), (3, [:])])
    add(
      "hidden and live here, visible and deleted there", .mapped(cell: 1, isQueued: true),
      [(1, gone), (2, ["hidden": "TRUE"])])
    let later = ["deleted": "9", "deleted_at": "'2026-03-05 10:00:00'"]
    add("deleted in both: the later", .mapped(cell: 2, isQueued: true), [(1, gone), (2, later)])
    add("deleted in both, at once", .mapped(cell: 1, isQueued: true), [(1, gone), (3, gone)])
    add(
      "live in cell0 and where it ran", .mapped(cell: 2, isQueued: false),
      [(0, ["vm_state": "'error'", "launched_at": "NULL"]), (2, [:])])
    add(
      "live in cell0 and where it never ran", .conflict,
      [(0, [:]), (2, ["host": "NULL", "launched_at": "NULL"])])
    add("live in three cells", .conflict, [(1, [:]), (2, [:]), (3, [:])])
    add("both visible, no move", .conflict, [(1, [:]), (3, [:])])
  }

  private func move(
    _ number: UInt64, _ statuses: [Int: String], source: String = "host1",
    createdAt: String = "2026-04-01 10:00:00"
  ) -> Move {
    Move(
      uuid: UUID128(high: 0x3000_0000_4000, low: 1 << 63 | number), source: source,
      destination: "host2", createdAt: createdAt, statuses: statuses)
  }

  private mutating func addMoves() {
    let resized: [(Int, [String: String])] = [
      (1, ["task_state": "'resize_migrated'"]), (2, ["vm_state": "'resized'"]),
    ]
    add(
      "move finished", .mapped(cell: 2, isQueued: false), resized,
      [move(1, [1: "post-migrating", 2: "finished"])])
    add(
      "move being confirmed", .mapped(cell: 2, isQueued: false), resized,
      [
        move(2, [1: "done", 2: "done"], createdAt: "2026-01-01 10:00:00"),
        move(3, [1: "confirming", 2: "confirming"]),
      ])
    let reverting: [(Int, [String: String])] = [
      (1, ["task_state": "'resize_reverting'"]), (2, [:]),
    ]
    add(
      "move reverting", .mapped(cell: 1, isQueued: false), reverting,
      [move(4, [1: "reverting", 2: "reverting"])])
    add("move failed", .conflict, reverting, [move(5, [1: "error", 2: "error"])])
    add(
      "only an old move", .conflict, [(1, [:]), (2, [:])],
      [move(6, [1: "confirmed", 2: "confirmed"])])
    add(
      "two moves equally new", .conflict, resized,
      [move(7, [1: "x", 2: "finished"]), move(8, [1: "x", 2: "finished"])])
    add(
      "a move that one cell alone has", .conflict, resized, [move(9, [2: "finished"])])
    add(
      "a move from a host that neither has", .conflict, resized,
      [move(10, [1: "x", 2: "finished"], source: "elsewhere")])
  }

  /// What makes a cell's database what it is: SQL that each engine takes.
  public func statements(of cell: Int) -> [String] {
    var statements: [String] = []
    for item in cases {
      for copy in item.copies where copy.cell == cell {
        let row = NovaServerDatabase.instanceRow(item.instance).merging(copy.values) { $1 }
        statements.append(Self.insertion(into: "instances", row))
      }
      for move in item.moves {
        guard let status = move.statuses[cell] else { continue }
        statements.append(
          Self.insertion(
            into: "migrations",
            [
              "uuid": "'\(move.uuid)'", "instance_uuid": "'\(item.instance)'",
              "source_compute": "'\(move.source)'", "dest_compute": "'\(move.destination)'",
              "status": "'\(status)'", "created_at": "'\(move.createdAt)'",
              "cross_cell_move": "TRUE",
            ]))
      }
    }
    // Nova's own marker.
    statements.append(
      Self.insertion(
        into: "instances",
        ["uuid": "'\(UUID128.zero)'", "deleted": "1", "created_at": "'2026-01-01 00:00:00'"]))
    if cell == 0 { return statements }
    statements.append(
      Self.insertion(into: "compute_nodes", ["host": "'host\(cell)'", "deleted": "0"]))
    if cell != 3 {
      statements.append(Self.insertion(into: "compute_nodes", ["host": "'twin'", "deleted": "0"]))
    }
    return statements
  }

  private static func insertion(into table: String, _ row: [String: String]) -> String {
    let columns = row.keys.sorted()
    return "INSERT INTO \(table) (\(columns.joined(separator: ", "))) VALUES "
      + "(\(columns.map { row[$0] ?? "NULL" }.joined(separator: ", ")));"
  }
}
