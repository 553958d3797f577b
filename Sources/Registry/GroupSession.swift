internal import Journal
internal import Projections

/// One group on its way: the commands, what was decided of each, and the entries that takes.
struct GroupSession {
  private enum Decision {
    /// Refused by a rule, or by a key that can't be had.
    case failed(RegistryError)
    /// The same command was accepted before.
    case repeated(RequestRow)
    /// Entries of this group, by their indexes; none if the map was as wished.
    case accepted(Outcome)
  }

  private let commands: ArraySlice<PendingCommand>
  private let keys: KeyRing
  private var decisions: [Decision] = []
  private(set) var drafts: [EntryDraft] = []

  init(commands: ArraySlice<PendingCommand>, keys: KeyRing) {
    self.commands = commands
    self.keys = keys
  }

  /// Decides each command on the map as the commands before it leave it.
  ///
  /// - Throws: `index` or `journal`; what stops one command alone is a decision, not an error, and
  ///   leaves nothing of it in the map.
  mutating func decide(
    on map: LiveMap, after head: Position, of journal: EventJournal
  ) throws(RegistryError) {
    let rules = Rulebook(
      map: map, sealer: keys, owners: OwnerRules(keys: keys.owners, makesKeys: true))
    for pending in commands {
      let draftCount = drafts.count
      do throws(RegistryError) {
        let decision = try map.attempt { () throws(RegistryError) in
          try decide(pending.command, rules, map, after: head, of: journal)
        }
        decisions.append(decision)
      } catch {
        guard error.isOfOneCommand else { throw error }
        drafts.removeSubrange(draftCount...)
        decisions.append(.failed(error))
      }
    }
  }

  private mutating func decide(
    _ command: Command, _ rules: Rulebook<LiveMap>,
    _ map: LiveMap, after head: Position, of journal: EventJournal
  ) throws(RegistryError) -> Decision {
    let content = keys.digest(of: CommandContent(of: command).bytes)
    let earlier = try rules.request(command.request)
    if let earlier {
      guard earlier.content == content else {
        throw .refused(.requestReused(command.request))
      }
      if command.bulk == nil || earlier.finished != nil { return .repeated(earlier) }
    }
    let draftCount = drafts.count
    var request = RequestMark(id: command.request, content: content, chunk: command.bulk?.chunk)
    let positions = JournalPositions(head: head) { (index) throws(RegistryError) in
      do throws(ProjectionError) { return try map.position(of: index) } catch {
        throw .index(error)
      }
    }
    let finding = try command.change.cellToBeFoundGood.flatMap { (cell) throws(RegistryError) in
      try self.finding(about: cell, in: map, after: head, of: journal)
    }
    var changed: UInt64 = 0
    var contents = CellContents(of: map)
    let leftBefore = rules.owners.left
    let overtaken = try rules.decide(
      command, after: earlier, positions: positions, finding: finding
    ) { (cell) throws(RegistryError) in
      try contents.counts(of: cell)
    } accept: { (events, evidence) throws(RegistryError) in
      drafts.reserveCapacity(draftCount + command.change.pieceCount)
      changed += 1
      for event in events {
        let index = head.index + UInt64(drafts.count) + 1
        let change = EntryChange(
          position: Position(epoch: event.openedEpoch ?? head.epoch, index: index),
          request: request, event: event)
        do throws(ProjectionError) { try map.apply(change) } catch { throw .index(error) }
        contents.note(event)
        drafts.append(
          EntryDraft(
            event: event, authorship: command.authorship, request: request, evidence: evidence))
        request.content = nil
        request.chunk = nil
      }
    }
    var outcome = Outcome(
      position: head, entries: nil, changed: changed, overtaken: overtaken,
      finished: command.change.finishedCounts)
    outcome.ownersLeft = rules.owners.left - leftBefore
    if draftCount < drafts.count {
      outcome.entries =
        head.index + UInt64(draftCount) + 1...head.index + UInt64(drafts.count)
      outcome.entity = drafts[draftCount].event.entity
    }
    return .accepted(outcome)
  }

  /// The event of a cell's last evidence since its last change, be it of this very group.
  private func finding(
    about cell: CellID, in map: LiveMap, after head: Position, of journal: EventJournal
  ) throws(RegistryError) -> Event? {
    let row: CellRow?
    do throws(ProjectionError) { row = try map.cell(cell) } catch { throw .index(error) }
    guard let index = row?.evidenceAt else { return nil }
    if index > head.index { return drafts[Int(index - head.index) - 1].event }
    do throws(JournalError) { return try journal.entry(at: index)?.event } catch {
      throw .journal(error)
    }
  }

  /// Answers every command, now that the group is on disk.
  func answer(at position: Position, from journal: EventJournal) {
    for (pending, decision) in zip(commands, decisions) {
      switch decision {
      case .failed(let error): pending.finish(.failure(error))
      case .repeated(let row):
        pending.finish(GroupSession.repeated(row, at: position, from: journal))
      case .accepted(var outcome):
        outcome.position = position
        pending.finish(.success(outcome))
      }
    }
  }

  /// The first answer once more; what it is about stands in its first entry.
  private static func repeated(
    _ row: RequestRow, at position: Position, from journal: EventJournal
  ) -> Result<Outcome, RegistryError> {
    do throws(JournalError) {
      let first = try journal.entry(at: row.first)
      return .success(
        Outcome(
          position: position, entries: row.first...row.last, entity: first?.event.entity,
          isRepeated: true, finished: row.finished))
    } catch {
      return .failure(.journal(error))
    }
  }

  /// Answers every command with what stopped the group: refusals too, since they may rest on
  /// entries that are not there now.
  func fail(_ error: RegistryError) {
    for pending in commands { pending.finish(.failure(error)) }
  }
}

extension RegistryError {
  /// It stops the command that met it, and no other of its group.
  fileprivate var isOfOneCommand: Bool {
    switch self {
    case .refused, .keys: true
    case .journal, .index, .closed: false
    }
  }
}

extension Event {
  /// The epoch that it opens; the command that does it is alone in its group.
  fileprivate var openedEpoch: UInt32? {
    if case .store(.epochOpened(let opening)) = self { opening.epoch } else { nil }
  }
}

extension Change {
  /// The answer of a bulk command that this change ends.
  fileprivate var finishedCounts: ChangeCounts? {
    switch self {
    case .finishAdoption(_, let counts), .finishPublication(_, let counts),
      .finishRequest(let counts):
      counts
    default: nil
    }
  }
}
