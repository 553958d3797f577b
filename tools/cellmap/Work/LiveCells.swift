import Cells
import Journal
import Projections
import Recovery
import Router

/// The cells of the map, read now, each only if it is itself.
struct LiveCells {
  private let router: CellRouter
  private let base: AddressBase
  private static let deadline = Duration.seconds(5)

  /// - Parameter base: That of the router.
  init(_ router: CellRouter, _ base: AddressBase) {
    self.router = router
    self.base = base
  }

  /// Calls `body` with a connection to a cell.
  func ask<Value>(
    _ cell: CellID, _ body: (CellConnection) throws(CellError) -> Value
  ) throws(CellUnavailable) -> Value {
    let targets: [CellTarget]
    do throws(RouterError) { targets = try router.cells() } catch {
      throw .database(.identityUnreadable(cell: cell, reason: error.description))
    }
    guard let target = targets.first(where: { $0.id == cell }) else {
      throw .withoutDatabase(cell)
    }
    let pool = try target.pool()
    do throws(CellError) {
      return try pool.withConnection(until: .now + LiveCells.deadline) {
        (lent) throws(CellError) in try body(lent.connection)
      }
    } catch {
      throw .database(error)
    }
  }

  /// How many instances that aren't deleted run on a host.
  func instanceCount(
    on host: ByteText, in cell: CellID
  ) throws(CommandFailure) -> Int {
    do throws(CellUnavailable) {
      return try ask(cell) { (connection) throws(CellError) in
        try connection.liveInstanceCount(on: host)
      }
    } catch {
      throw CommandFailure(.cell, "\(error) Give --force to remove the host without asking.")
    }
  }

  /// An instance's record, or why it can't be had, for output.
  func record(of id: InstanceID, in cell: CellID?) throws(CommandFailure) -> JSONValue {
    guard let cell else {
      throw CommandFailure(.finding, "Instance \(id) has no cell yet, so there is no record.")
    }
    let found: CellInstance?
    do throws(CellUnavailable) {
      found = try ask(cell) { (connection) throws(CellError) in try connection.instance(id) }
    } catch {
      throw CommandFailure(.cell, error.description)
    }
    guard let found else {
      throw CommandFailure(.finding, "Cell \(cell) has no record of instance \(id).")
    }
    return .object([
      "host": .printed(found.placement.host), "node": .printed(found.node),
      "state": .printed(found.placement.vmState), "task_state": .printed(found.placement.taskState),
      "deleted": .flag(found.placement.isDeleted), "hidden": .flag(found.placement.isHidden),
      "display_name": .printed(found.displayName), "project": .printed(found.project),
      "user": .printed(found.user), "created_at": .printed(found.createdAt),
      "updated_at": .printed(found.updatedAt), "deleted_at": .printed(found.deletedAt),
      "launched_at": .printed(found.launchedAt),
    ])
  }
}

extension LiveCells: CellWitness {
  func identity(of cell: CellID) throws(CellWitnessError) -> CellIdentity {
    do throws(CellUnavailable) {
      return try ask(cell) { (connection) throws(CellError) in try connection.identity() }
    } catch {
      throw CellWitnessError(error.description)
    }
  }

  func look(at cell: CellID, database: Secret?) throws(CellWitnessError) {
    do {
      guard let database else { throw CellUnavailable.withoutDatabase(cell) }
      let location = try CellDatabaseLocation(
        DatabaseAddress(
          parsing: AddressField.database.resolved(database, base: base.database)),
        of: cell, relativeTo: base.folder)
      let pool = CellConnectionPool(cell: cell, location: location, identity: .none)
      try pool.withConnection(until: .now + LiveCells.deadline) { (_) throws(CellError) in }
    } catch let error as AddressError {
      throw CellWitnessError(CellUnavailable.address(error, of: cell).description)
    } catch {
      throw CellWitnessError("\(error)")
    }
  }

  func hosts(
    of instances: [InstanceID], in cell: CellID
  ) throws(CellWitnessError) -> [InstanceID: ByteText] {
    do throws(CellUnavailable) {
      return try ask(cell) { (connection) throws(CellError) in
        var hosts: [InstanceID: ByteText] = [:]
        for id in instances {
          if let placement = try connection.placement(of: id), let host = placement.host {
            hosts[id] = host
          }
        }
        return hosts
      }
    } catch {
      throw CellWitnessError(error.description)
    }
  }
}
