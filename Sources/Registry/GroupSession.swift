internal import Journal
internal import Projections

/// One group on its way: the commands, what was decided of each, and the entries that takes.
struct GroupSession {
  private enum Decision {
    case refused(Refusal)
    /// The same command was accepted before.
    case repeated(RequestRow)
    /// Entries of this group, by their indexes; none if the map was as wished.
    case accepted(ClosedRange<UInt64>?, entity: EntityKey?)
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
  /// - Throws: `index` or `keys`; refusals are decisions, not errors.
  mutating func decide(
    on map: LiveMap<IndexReader>, after head: Position
  ) throws(RegistryError) {
    let rules = Rulebook(map: map, keys: keys)
    for pending in commands {
      do throws(RegistryError) {
        decisions.append(try decide(pending.command, rules, map, after: head))
      } catch .refused(let refusal) {
        decisions.append(.refused(refusal))
      }
    }
  }

  private mutating func decide(
    _ command: Command, _ rules: Rulebook<LiveMap<IndexReader>>,
    _ map: LiveMap<IndexReader>, after head: Position
  ) throws(RegistryError) -> Decision {
    let content = keys.digest(of: CommandContent(of: command).bytes)
    if let earlier = try rules.request(command.request) {
      guard earlier.content == content else {
        throw .refused(.requestReused(command.request))
      }
      if command.bulk == nil || earlier.finished != nil { return .repeated(earlier) }
    }
    let decided = try rules.decide(command) { (cell) throws(RegistryError) in
      try counts(of: cell, in: map.index)
    }
    guard !decided.isEmpty else { return .accepted(nil, entity: nil) }
    let first = head.index + UInt64(drafts.count) + 1
    var request = RequestMark(id: command.request, content: content, chunk: command.bulk?.chunk)
    for (event, evidence) in decided {
      let index = head.index + UInt64(drafts.count) + 1
      let change = EntryChange(
        position: Position(epoch: head.epoch, index: index), request: request, event: event)
      do throws(ProjectionError) { try map.apply(change) } catch { throw .index(error) }
      drafts.append(
        EntryDraft(
          event: event, authorship: command.authorship, request: request, evidence: evidence))
      request.content = nil
      request.chunk = nil
    }
    let last = head.index + UInt64(drafts.count)
    return .accepted(first...last, entity: decided[0].event.entity)
  }

  private func counts(
    of cell: CellID, in index: IndexReader
  ) throws(RegistryError) -> (hosts: UInt64, instances: UInt64) {
    do throws(ProjectionError) {
      return (
        UInt64(try index.hosts(in: cell).count), UInt64(try index.countInstances(in: cell))
      )
    } catch {
      throw .index(error)
    }
  }

  /// Answers every command, now that the group is on disk.
  func answer(at position: Position) {
    for (pending, decision) in zip(commands, decisions) {
      switch decision {
      case .refused(let refusal): pending.finish(.failure(.refused(refusal)))
      case .repeated(let row):
        pending.finish(
          .success(
            Outcome(
              position: position, entries: row.first...row.last, isRepeated: true,
              finished: row.finished)))
      case .accepted(let entries, let entity):
        pending.finish(
          .success(Outcome(position: position, entries: entries, entity: entity)))
      }
    }
  }

  /// Answers every command with what stopped the group: refusals too, since they may rest on
  /// entries that are not there now.
  func fail(_ error: RegistryError) {
    for pending in commands { pending.finish(.failure(error)) }
  }
}
