import ArgumentParser
import Cells
import Foundation
import Journal
import Projections
import Router

/// `cellmap status`: what the store is and how it is.
struct StatusCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "status", abstract: "Shows what the store holds and how far its index is.",
    discussion: """
      With --at what the store held then, and its root; files and limits are of now, and left out.
      """)
  @OptionGroup var store: StoreOptions
  @OptionGroup var base: BaseOptions
  @OptionGroup var past: PastOptions
  @Flag(help: "Also asks every cell now, and shows how it is reached.") var live = false
  @Option(help: ArgumentHelp("How long the cells may take.", valueName: "milliseconds"))
  var deadline = 2000

  func validate() throws {
    guard (1...600_000).contains(deadline) else {
      throw ValidationError("--deadline must be 1 to 600000 milliseconds.")
    }
    guard !live || past.at == nil else {
      throw ValidationError("--live asks the cells now: leave --at out.")
    }
  }

  func run() throws {
    let session = try StoreSession(store)
    if past.at != nil { return try tellPast(session) }
    let map = try session.map()
    let index = map.map.index
    let state = try projections { () throws(ProjectionError) in
      (
        checkpoint: try index.checkpoint(), instances: Int(try index.countInstances()),
        unmapped: try index.countInstances(in: nil)
      )
    }
    let ahead = try instancesAhead(of: map)
    let cells = try map.cells()
    let gaps = try map.gaps()
    var fields: [String: JSONValue] = [
      "store": .printed(session.journal.store), "folder": .text(session.files.directory),
      "position": .printed(map.head), "root": .printed(session.journal.head.root),
      "index": .text((index.path as NSString).lastPathComponent),
      "index_position": .printed(state.checkpoint.position), "cells": .number(cells.count),
      "hosts": .number(try map.hosts().count),
      "instances": .number(state.instances + ahead.all),
      "instances_without_cell": .number(state.unmapped + ahead.unmapped),
      "journal_bytes": .number(size(session.files.journal)),
      "archived": .number(session.journal.archivedCount),
      "index_bytes": .number(size(index.path) + size(index.path + "-wal")),
    ]
    try addHistory(session, to: &fields)
    fields.merge(gaps.json) { first, _ in first }
    let limits = PoolOutput.limits(CellPoolSettings())
    let queueLimits = PoolOutput.limits(QueuePoolSettings())
    let conditions = live ? try askCells(session) : []
    if store.json {
      fields["cell_limits"] = .object(limits)
      fields["queue_limits"] = .object(queueLimits)
      if live { fields["live"] = .list(conditions.map { .object(PoolOutput.fields($0)) }) }
      Console.print(JSONValue.object(fields).line)
    } else {
      CellOutput.printFields(fields, order: StatusCommand.order)
      Console.print("\nWhat each cell may take:")
      CellOutput.printFields(limits, order: PoolOutput.order)
      Console.print("\nWhat each cell's brokers may take:")
      CellOutput.printFields(queueLimits, order: PoolOutput.order)
      if live { PoolOutput.print(conditions) }
    }
    // Each cell's own failure is a part of the answer.
    if conditions.contains(where: { $0.failure != nil }) {
      throw ExitCode(ExitStatus.partial.rawValue)
    }
  }

  private func tellPast(_ session: StoreSession) throws {
    let map = try session.wholeMap(past)
    let index = map.map.index
    var fields = map.label
    let counts = try projections { () throws(ProjectionError) in
      (all: try index.countInstances(), unmapped: try index.countInstances(in: nil))
    }
    do throws(JournalError) {
      fields["root"] = .printed(try session.journal.root(at: map.head.index))
    } catch {
      throw CommandFailure(error)
    }
    fields["store"] = .printed(session.journal.store)
    fields["folder"] = .text(session.files.directory)
    fields["cells"] = .number(try map.cells().count)
    fields["hosts"] = .number(try map.hosts().count)
    fields["instances"] = .number(counts.all)
    fields["instances_without_cell"] = .number(counts.unmapped)
    fields.merge(try map.gaps().json) { first, _ in first }
    if store.json { return Console.print(JSONValue.object(fields).line) }
    map.announce()
    CellOutput.printFields(fields, order: StatusCommand.order)
  }

  /// What people look for first comes first.
  private static let order = [
    "store", "folder", "position", "root", "index", "index_position", "history", "history_position",
    "cells", "cells_with_incomplete_coverage", "open_conflicts", "open_conflicts_mapped", "hosts",
    "instances",
    "instances_without_cell", "archived", "journal_bytes", "index_bytes", "history_bytes",
  ]

  /// The history is made by the first question about the past; without one there is none.
  private func addHistory(
    _ session: StoreSession, to fields: inout [String: JSONValue]
  ) throws(CommandFailure) {
    let found = try projections { () throws(ProjectionError) in
      try MapHistory.find(of: session.journal)
    }
    fields["history"] = .text(found.map { ($0.path as NSString).lastPathComponent })
    fields["history_position"] = .printed(found?.checkpoint.position)
    fields["history_bytes"] = found.map { .number(size($0.path)) } ?? .null
  }

  private func askCells(_ session: StoreSession) throws -> [CellCondition] {
    let asking = RouterAsking(session: session, base: try base.addressBase())
    return try asking.answer { router throws(RouterError) in
      try router.conditions(until: .now + .milliseconds(deadline))
    }.answer
  }

  /// What the entries that the index doesn't hold yet add to its counts, or take from them.
  private func instancesAhead(
    of map: MapReading
  ) throws(CommandFailure) -> (all: Int, unmapped: Int) {
    var (all, unmapped) = (0, 0)
    for (id, row) in map.map.overlay.changedInstances {
      let before = try projections { () throws(ProjectionError) in try map.map.index.instance(id) }
      all += (row == nil ? 0 : 1) - (before == nil ? 0 : 1)
      unmapped += (row?.isWithoutCell == true ? 1 : 0) - (before?.isWithoutCell == true ? 1 : 0)
    }
    return (all, unmapped)
  }

  private func size(_ path: String) -> Int {
    var status = stat()
    return stat(path, &status) == 0 ? Int(status.st_size) : 0
  }
}

extension InstanceRow {
  fileprivate var isWithoutCell: Bool { record.cell == nil }
}
