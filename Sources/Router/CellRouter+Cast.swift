public import Cells
public import Journal
internal import Projections

extension CellRouter {
  /// Sends a message to the nova-compute of an instance's host.
  ///
  /// The host is read from the live cell in this call, out of a row that is neither deleted nor a
  /// hidden copy, in the cell that the map names, whose database was checked to be its own. Whatever
  /// else the route says is a refusal, and nothing is sent.
  ///
  /// Blocks until `deadline` and a tenth of a second at most.
  ///
  /// - Throws: as `route`.
  public func cast(
    _ message: RemoteMessage, to instance: InstanceID, until deadline: ContinuousClock.Instant
  ) throws(RouterError) -> Cast {
    let route = try route(instance, until: deadline)
    let outcome: CastOutcome
    do throws(CastRefusal) {
      let (live, host) = try route.outcome.hostToReach()
      outcome = deliver(message, to: host, of: live, until: deadline)
    } catch {
      outcome = .refused(error)
    }
    return Cast(instance: instance, position: route.position, outcome: outcome)
  }

  private func deliver(
    _ message: RemoteMessage, to host: ByteText, of live: LiveRoute,
    until deadline: ContinuousClock.Instant
  ) -> CastOutcome {
    let queue: QueuePool
    do throws(CellUnavailable) { queue = try live.target.queue() } catch {
      return .undelivered(live, error)
    }
    do throws(QueueError) {
      return .delivered(
        live, try queue.cast(message, toComputeHost: host, until: deadline))
    } catch {
      return .undelivered(live, .queue(error))
    }
  }

  /// Closes the connections to brokers that nobody uses, and waits for their goodbye, a second for
  /// each at most: ahead of the end of a process, so that no broker complains in its log.
  public func closeIdleQueues() {
    guard let targets = try? cells() else { return }
    for target in targets { target.closeIdleQueue() }
  }
}

/// What became of a message to an instance's host.
public struct Cast: Sendable {
  public let instance: InstanceID
  /// The last entry that the answer takes into account.
  public let position: Position
  public let outcome: CastOutcome
}

public enum CastOutcome: Sendable {
  /// A broker has taken responsibility for it, in a queue to which nova-compute listens.
  case delivered(LiveRoute, QueueReceipt)
  /// There is no host to send it to; nothing was sent.
  case refused(CastRefusal)
  /// The host is known, and its queue didn't take the message, or nobody knows whether it did.
  case undelivered(LiveRoute, CellUnavailable)
}

/// Why an instance has no host that may be sent anything.
public enum CastRefusal: Error, Equatable, Sendable {
  /// The map doesn't hold it; `isComplete`: nor does any cell of which the map can't be sure.
  case unknown(isComplete: Bool)
  /// The cells don't decide where it is; `isDecided`: an operator has, and it gets no mapping.
  case inConflict(isDecided: Bool)
  /// A cell has it, and the map doesn't name that cell.
  case notMapped(to: CellID)
  /// Accepted, and in no cell yet.
  case notScheduled
  /// In its cell, and on no host yet.
  case building
  /// Shelved, and taken off its host.
  case shelvedOffloaded
  /// In cell0: it never got a host.
  case inCell0
  case deleted
  /// The map's cell has the hidden copy of an instance that moves between cells.
  case hiddenCopy(in: CellID)
  /// The map's cell has no row of it.
  case missing(in: CellID)
  /// On no host, in a state that is none of the above.
  case withoutHost(state: ByteText?)
  /// The host can't be read now, and the one that was seen last may be wrong.
  case cellUnavailable(CellUnavailable)
  case cellNotInMap(CellID)
}

extension CastRefusal: CustomStringConvertible {
  /// To stand behind the instance's name.
  public var description: String {
    switch self {
    case .unknown(true): "isn't in the map. If a cell has it, 'reconcile UUID' finds it there."
    case .unknown(false): "isn't in the map, and not every cell could be asked. Try again."
    case .inConflict(false):
      "is in conflict. 'conflicts show UUID' shows its rows, 'conflicts resolve' decides."
    case .inConflict(true):
      "has no mapping, as it was decided. 'conflicts show UUID' shows who decided, and why."
    case .notMapped(let cell):
      "is in cell \(cell), and the map doesn't say so. Map it with 'instance map' first."
    case .notScheduled:
      "has no cell yet, or its cell was taken out of the map: there is no host to send it to. Try again "
        + "when Nova has scheduled it, or put its cell back."
    case .building: "is being built and has no host yet. Try again when it is active."
    case .shelvedOffloaded: "is shelved and offloaded, so it has no host. Unshelve it first."
    case .inCell0:
      "is in cell0: it never got a host, and nothing can be sent. Look at it with 'instance show --live'."
    case .deleted:
      "is deleted in its cell, so there is no host to send it to. Look at it with "
        + "'instance show --live'."
    case .hiddenCopy(let cell):
      "is a hidden copy in cell \(cell): it moves, or has moved, to another cell. "
        + "Look where it is visible, and correct the map with 'instance remap'."
    case .missing(let cell):
      "has no record in cell \(cell), which the map names. Correct it with 'instance remap'."
    case .withoutHost(let state):
      "is on no host, in the state \(state?.string ?? "unknown"), so there is nowhere to send it. Look at "
        + "it with 'instance show --live'."
    case .cellUnavailable(let why):
      "has a host that can't be read now, and nothing is sent to one that was seen before: \(why)"
    case .cellNotInMap(let cell):
      "is mapped to cell \(cell), which the map doesn't hold. Give 'adopt' again, or correct it with "
        + "'instance remap'."
    }
  }
}

extension RouteOutcome {
  /// The route to a host that may be sent something, and the host.
  fileprivate func hostToReach() throws(CastRefusal) -> (LiveRoute, ByteText) {
    switch self {
    case .found(let live), .deleted(let live): return (live, try live.hostToReach())
    case .noCellYet: throw .notScheduled
    case .missingInCell(_, let target): throw .missing(in: target.id)
    case .cellUnavailable(_, _, let why, _): throw .cellUnavailable(why)
    case .cellWithoutDatabase(_, let target):
      throw target.id == .cell0 ? .inCell0 : .cellUnavailable(.withoutDatabase(target.id))
    case .cellNotInMap(_, let cell): throw .cellNotInMap(cell)
    case .inConflict(let row): throw .inConflict(isDecided: row.record.decision != nil)
    case .unknown(let search): throw .unknown(isComplete: search?.isComplete ?? true)
    case .foundBySearch(let live, _): throw .notMapped(to: live.target.id)
    }
  }
}

extension LiveRoute {
  /// The host of a row that is the instance: not deleted, not hidden, and on a host.
  ///
  /// An instance that is only marked for deletion in the map runs on until its cell has deleted it.
  fileprivate func hostToReach() throws(CastRefusal) -> ByteText {
    if placement.isDeleted { throw .deleted }
    if target.id == .cell0 { throw .inCell0 }
    if placement.isHidden { throw .hiddenCopy(in: target.id) }
    if let host = placement.host { return host }
    switch placement.vmState?.string {
    case "shelved_offloaded": throw .shelvedOffloaded
    case "building": throw .building
    default: throw .withoutHost(state: placement.vmState)
    }
  }
}
