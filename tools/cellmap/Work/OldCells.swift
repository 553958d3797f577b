import Foundation
import Journal
import Projections
import Recovery
import Registry
import Router

/// The cells as an old Nova API database has them, for a rebuild: their UUIDs and names, which no cell
/// knows of itself, and where no cell was named, their addresses.
struct OldCells {
  struct Cell {
    let id: CellID
    let row: NovaCellRow
    fileprivate let map: OldMap

    var novaRow: NovaRow { NovaRow(number: row.number, createdAt: row.createdAt) }

    func evidence(keys: KeyRing, basis: Position) -> Evidence? {
      map.evidence(of: row, keys: keys, basis: basis)
    }
  }

  private let cells: [Cell]
  private let base: AddressBase

  init(_ map: OldMap, _ base: AddressBase) {
    cells = map.cells.map { Cell(id: $0.id, row: $0.row, map: map) }
    self.base = base
  }

  /// The cells that were given, each without a UUID with the one that the old database has for its
  /// address, or else its name; all of the old database's where there is no store and none was given.
  func complete(
    _ given: [GivenCell], in store: StoreOptions
  ) throws(CommandFailure) -> [GivenCell] {
    if given.isEmpty {
      let isThere = FileManager.default.fileExists(atPath: StoreFiles(store.folder).journal)
      return isThere ? [] : try all()
    }
    var completed: [GivenCell] = []
    for var cell in given {
      if cell.id == nil, let old = try match(cell) {
        cell.id = old.id
        cell.name = cell.name ?? old.row.name
        cell.old = old
      }
      completed.append(cell)
    }
    return completed
  }

  private func all() throws(CommandFailure) -> [GivenCell] {
    var given: [GivenCell] = []
    for cell in cells {
      guard let database = cell.row.database else { continue }
      var draft = AddressDraft()
      draft.database = try AddressArgument.given(database, of: .database)
      if let queue = cell.row.queue { draft.queue = try AddressArgument.given(queue, of: .queue) }
      var entry = GivenCell(name: cell.row.name, addresses: draft)
      entry.id = cell.id
      entry.disabled = cell.row.disabled
      entry.old = cell
      given.append(entry)
    }
    return given
  }

  private func match(_ cell: GivenCell) throws(CommandFailure) -> Cell? {
    let place = cell.addresses.database.flatMap { location(of: $0.original) }
    let atPlace = cells.filter { place != nil && $0.row.database.flatMap(location) == place }
    let found = atPlace.isEmpty ? cells.filter { $0.row.name == cell.name } : atPlace
    guard found.count <= 1 else {
      throw CommandFailure(
        .refused,
        "The old database has \(found.count) cells for \(cell.name?.string ?? "one"): "
          + found.map { "\($0.id)" }.joined(separator: ", ") + ". Give its 'uuid'.")
    }
    return found.first
  }

  /// Where an address leads, whoever goes there.
  private func location(of text: Secret) -> ByteText? {
    guard let resolved = try? AddressField.database.resolved(text, base: base.database) else {
      return nil
    }
    return try? AddressField.database.normalisedLocation(
      of: resolved, baseDirectory: ByteText(base.folder))
  }
}
