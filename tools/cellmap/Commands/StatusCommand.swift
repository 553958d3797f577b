import ArgumentParser
import Foundation
import Journal
import Projections

/// `cellmap status`: what the store is and how it is.
struct StatusCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "status", abstract: "Shows what the store holds and how far its index is.")
  @OptionGroup var store: StoreOptions

  func run() throws {
    let session = try StoreSession(store)
    let map = try session.map()
    let index = map.map.index
    let state = try map.reading { () throws(ProjectionError) in
      (
        checkpoint: try index.checkpoint(), instances: Int(try index.countInstances()),
        unmapped: try index.countInstances(in: nil)
      )
    }
    let ahead = try instancesAhead(of: map)
    let cells = try map.cells()
    let incomplete = cells.filter { !$0.row.record.isCovered }.count
    let fields: [String: JSONValue] = [
      "store": .printed(session.journal.store), "folder": .text(session.files.directory),
      "position": .printed(map.head), "root": .printed(session.journal.head.root),
      "index": .text((index.path as NSString).lastPathComponent),
      "index_position": .printed(state.checkpoint.position), "cells": .number(cells.count),
      "cells_with_incomplete_coverage": .number(incomplete),
      "hosts": .number(try map.hosts().count),
      "instances": .number(state.instances + ahead.all),
      "instances_without_cell": .number(state.unmapped + ahead.unmapped),
      "journal_bytes": .number(size(session.files.journal)),
      "index_bytes": .number(size(index.path)),
    ]
    if store.json {
      Console.print(JSONValue.object(fields).line)
    } else {
      CellOutput.printFields(fields)
    }
  }

  /// What the entries that the index doesn't hold yet add to its counts, or take from them.
  private func instancesAhead(
    of map: MapReading
  ) throws(CommandFailure) -> (all: Int, unmapped: Int) {
    var (all, unmapped) = (0, 0)
    for (id, row) in map.map.overlay.changedInstances {
      let before = try map.reading { () throws(ProjectionError) in try map.map.index.instance(id) }
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
