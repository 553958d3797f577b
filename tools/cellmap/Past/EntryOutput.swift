import Journal
import Projections
import Recovery

/// How entries of the journal are told: as fields, and as a sentence.
enum EntryOutput {
  /// What an entry says of itself: place, time, author, request.
  static func fields(of entry: Entry) -> [String: JSONValue] {
    let authorship = entry.draft.authorship
    let request = entry.draft.request.id
    var fields: [String: JSONValue] = [
      "position": .printed(entry.position), "ordered_at": .printed(entry.orderedAt),
      "observed_at": .printed(authorship.observedAt), "event": .text(entry.event.kind.name),
      "actor": .printed(authorship.actor), "program": .printed(authorship.program),
      "reason": .printed(authorship.reason), "correlation": .printed(authorship.correlation),
      "request": request == .none ? .null : .printed(request),
    ]
    if authorship.isObserved {
      fields.merge(ObservedOutput.fields(of: entry)) { $1 }
    }
    if let evidence = entry.draft.evidence {
      fields["evidence"] = .object([
        "source": .printed(evidence.source), "cell": .printed(evidence.cell),
        "table": .printed(evidence.table), "row": .printed(evidence.rowKey),
        "read_at": .printed(evidence.readAt),
      ])
    }
    return fields
  }

  /// Who did it; of what was found, between which moments it had happened.
  static func author(of entry: Entry) -> String {
    let authorship = entry.draft.authorship
    guard authorship.isObserved else { return authorship.actor.string }
    guard let interval = ObservedInterval(of: entry) else { return "observed, author unknown" }
    return "observed, author unknown, between \(interval.from.map { "\($0)" } ?? "?") and "
      + "\(interval.to)"
  }

  /// What happened, in words.
  static func sentence(_ event: Event, _ naming: CellNaming) -> String {
    switch event.opened(by: OwnerOutput.keys) {
    case .cell(_, let event): sentence(event, naming.isShredded)
    case .host(_, let event): sentence(event, naming)
    case .instance(_, let event): sentence(event, naming)
    case .conflict(_, .found(let kind, _)): "conflict found: \(kind.string)"
    case .conflict(_, .resolved(let kind, let decision)):
      "conflict resolved (\(kind.string)): \(decision.string)"
    case .store(let event): sentence(event, naming)
    }
  }

  /// What happened to a cell; addresses are masked.
  ///
  /// - Parameter isShredded: Whether nobody can read any more what a data key has sealed.
  static func sentence(_ event: CellEvent, _ isShredded: (KeyID) -> Bool) -> String {
    switch event {
    case .added(let record):
      "added as \(name(record.name)), database \(shown(record.database, isShredded)), queue "
        + "\(shown(record.queue, isShredded))"
    case .renamed(let from, let to): "renamed from \(name(from)) to \(name(to))"
    case .addressesChanged(let from, let to):
      "addresses changed: "
        + [
          change("database", from.database, to.database, isShredded),
          change("queue", from.queue, to.queue, isShredded),
        ].compactMap(\.self).joined(separator: ", ")
    case .availabilityChanged(_, let to):
      to.isBeingRemoved ? "marked for removal" : to.disabled == true ? "disabled" : "enabled"
    case .removed: "removed"
    case .identityRecorded(let identity):
      "identity \(identity.replacesEarlier ? "accepted" : "recorded"): "
        + "\(identity.services.count) services, \(identity.computeNodes.count) compute nodes"
    case .probed(let outcome): "probe \(outcome.passed ? "passed" : "failed")"
    case .coverageChanged(_, let isCovered): "coverage \(isCovered ? "complete" : "incomplete")"
    case .rowRecorded(_, let row): sentence(row)
    case .addressResealed(let field, _, _):
      "\(field == .database ? "database" : "queue") address sealed under another key"
    case .keyShredded(let key): "key \(key) shredded"
    }
  }

  private static func sentence(_ event: HostEvent, _ naming: CellNaming) -> String {
    switch event {
    case .mapped(let record): "mapped to cell \(naming.name(of: record.cell))"
    case .unmapped(let record): "taken out of cell \(naming.name(of: record.cell))"
    case .rowRecorded(_, let row): sentence(row)
    }
  }

  private static func sentence(_ event: InstanceEvent, _ naming: CellNaming) -> String {
    switch event {
    case .mapped(let record):
      (record.cell.map { "mapped to cell \(naming.name(of: $0))" } ?? "accepted, in no cell yet")
        + ", project \(record.owner.project.shown ?? "-")"
        + (record.isQueuedForDelete == true ? ", queued for delete" : "")
    case .moved(let from, let to):
      "moved from \(from.map { naming.name(of: $0) } ?? "no cell") to "
        + "\(to.map { naming.name(of: $0) } ?? "no cell")"
    case .ownerChanged(let from, let to):
      "owner changed from \(owner(from)) to \(owner(to))"
    case .deletionMarkChanged(_, let mark):
      mark.map { $0 ? "queued for delete" : "no longer queued for delete" }
        ?? "deletion mark unknown"
    case .unmapped(let record):
      "taken out of the map, last in \(record.cell.map { naming.name(of: $0) } ?? "no cell")"
    case .hostSeen(let sighting):
      "seen on host \(sighting.host.string) at \(sighting.at) by \(sighting.source.string)"
    case .rowRecorded(_, let row): sentence(row)
    }
  }

  private static func sentence(_ event: StoreEvent, _ naming: CellNaming) -> String {
    switch event {
    case .epochOpened(let opening):
      opening.cause == .initialized
        ? "epoch \(opening.epoch) opened: a new store"
          + (opening.sealsOwners ? ", projects and users sealed" : "")
        : "epoch \(opening.epoch) opened: \(opening.cause), common up to entry "
          + "\(opening.commonIndex), left behind up to entry \(opening.leftIndex)"
    case .adopted(let transfer): "adopted from \(sentence(transfer))"
    case .published(let transfer): "published to \(sentence(transfer))"
    case .scanStarted(let scan): "scan of cell \(naming.name(of: scan.cell)) started"
    case .scanFinished(let scan):
      "scan of cell \(naming.name(of: scan.cell)) finished: \(scan.rows) rows"
    case .requestFinished(let counts):
      "request finished: \(counts.cells) cells, \(counts.hosts) hosts, \(counts.instances) instances"
    case .ownerKeyShredded(let key): "key \(key) of a project's instances shredded"
    case .archived(let point): "archived up to entry \(point.index) into \(point.file.string)"
    }
  }

  private static func sentence(_ transfer: MapTransfer) -> String {
    "\(transfer.database.string): \(transfer.cells) cells, \(transfer.hosts) hosts, "
      + "\(transfer.instances) instances"
  }

  private static func sentence(_ row: NovaRow) -> String {
    "row \(row.number.map { "\($0)" } ?? "-") of Nova's API database recorded"
  }

  private static func name(_ name: ByteText?) -> String { name?.string ?? "(no name)" }
  private static func shown(_ address: SealedAddress?, _ isShredded: (KeyID) -> Bool) -> String {
    guard let address else { return "-" }
    return address.publicForm.string + (isShredded(address.key) ? " (key shredded)" : "")
  }
  private static func owner(_ owner: InstanceOwner) -> String {
    "\(owner.project.shown ?? "-")/\(owner.user.shown ?? "-")"
  }

  private static func change(
    _ what: String, _ from: SealedAddress?, _ to: SealedAddress?, _ isShredded: (KeyID) -> Bool
  ) -> String? {
    guard from != to else { return nil }
    return from?.publicForm == to?.publicForm
      ? "\(what) \(shown(to, isShredded)) (its secret, or only its sealing)"
      : "\(what) from \(shown(from, isShredded)) to \(shown(to, isShredded))"
  }
}

/// The name that a cell bore, for people; its UUID where it had none.
final class CellNaming {
  private let history: MapHistory
  /// Names are those after this entry; nil for the head.
  var upTo: UInt64?
  private var known: [CellID: [(index: UInt64, name: ByteText?)]] = [:]
  /// The names that more than one cell of the history has borne.
  private lazy var shared = sharedNames()

  init(_ history: MapHistory, upTo index: UInt64? = nil) {
    self.history = history
    upTo = index
  }

  /// Whether nobody can read any more what a data key has sealed.
  func isShredded(_ key: KeyID) -> Bool {
    AddressKeys.isGone(key, from: history.journal.files.keys)
  }

  /// The last name up to then; of a cell that came later, the first one it got. With the UUID where
  /// another cell has borne that name, be it before or since.
  func name(of cell: CellID) -> String {
    let names = names(of: cell)
    let found = names.last { $0.index <= upTo ?? .max } ?? names.first
    guard let name = found?.name else { return cell.description }
    return shared.contains(name) ? "\(name.string) (\(cell))" : name.string
  }

  private func sharedNames() -> Set<ByteText> {
    var bearers: [ByteText: Set<CellID>] = [:]
    for cell in (try? history.cellsEver()) ?? [] {
      for case (_, let name?) in names(of: cell) { bearers[name, default: []].insert(cell) }
    }
    return Set(bearers.filter { $0.value.count > 1 }.keys)
  }

  private func names(of cell: CellID) -> [(index: UInt64, name: ByteText?)] {
    if let names = known[cell] { return names }
    // A name is an ornament: what can't be read is said by the answer itself.
    let names = ((try? history.versions(of: .cell(cell))) ?? []).compactMap { version in
      version.after?.cell.map { (index: version.entry.position.index, name: $0.record.name) }
    }
    known[cell] = names
    return names
  }
}
