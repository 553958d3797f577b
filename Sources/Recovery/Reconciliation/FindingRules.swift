internal import Journal
internal import Projections
internal import Registry

/// From what the cells have of one thing, and what the map holds of it, to what differs.
///
/// Depends on its arguments alone; the first look and the second share it.
struct FindingRules {
  let copies: CopyRules
  /// The cells that were read whole.
  let read: Set<CellID>
  /// Those that were not.
  let unread: Set<CellID>

  enum Answer {
    case findings([Finding])
    /// It depends on a cell that could not be read.
    case pending
    /// A conflict stands as an operator has decided it; what differs otherwise of the row that counts.
    case decided([Finding])
  }

  /// - Parameters:
  ///   - rows: The rows of one instance, at most one of a cell, by cell.
  ///   - moves: Asked for only where they decide.
  ///   - known: What is known of an earlier conflict about it; asked for only where there is one.
  func answer<Failure: Error>(
    on id: InstanceID, _ rows: ArraySlice<StagedInstance>, _ before: InstanceRow?,
    moves: () throws(Failure) -> CopyRules.Moves,
    known: () throws(Failure) -> ConflictRecord?
  ) throws(Failure) -> Answer {
    let answer = try answerNow(on: id, rows, before, moves: moves, known: known)
    if unread.isEmpty { return answer }
    switch answer {
    case .findings(let found), .decided(let found):
      guard !found.isEmpty, let known = try known(), ConflictEvidence.waits(known, for: unread)
      else { return answer }
      return .pending
    case .pending: return answer
    }
  }

  private func answerNow<Failure: Error>(
    on id: InstanceID, _ rows: ArraySlice<StagedInstance>, _ before: InstanceRow?,
    moves: () throws(Failure) -> CopyRules.Moves,
    known: () throws(Failure) -> ConflictRecord?
  ) throws(Failure) -> Answer {
    let mapped = before?.record.cell
    if let mapped, !read.contains(mapped) { return .pending }
    func finding(_ kind: FindingKind, _ row: StagedInstance? = nil) -> Finding {
      var finding = Finding(
        kind, .instance(id), mapped: mapped, changedAt: before?.changedAt)
      finding.found = row?.cell
      finding.row = row
      return finding
    }
    func decided() -> Answer {
      guard let before, mapped != nil else { return .decided([]) }
      guard let row = rows.first(where: { $0.cell == mapped }) else {
        return .decided([finding(.orphaned)])
      }
      return .decided(differences(before.record, row) { finding($0, row) })
    }
    // Accepted and not in a cell yet is what a new instance is.
    if rows.isEmpty { return .findings(mapped == nil ? [] : [finding(.orphaned)]) }
    switch try copies.verdict(on: rows, moves: moves) {
    case .hidden(let hidden):
      guard unread.isEmpty else { return .pending }
      let isElsewhere = mapped.map { cell in !hidden.contains { $0.cell == cell } } ?? false
      var found = finding(isElsewhere ? .orphaned : .hiddenCopy)
      if !isElsewhere { found.found = hidden.first?.cell }
      return .findings([found])
    case .conflict(let kind, let visible, let moves):
      var found = finding(.twoCopies)
      let conflict = ConflictEvidence.conflict(kind, visible, moves)
      found.conflict = conflict
      found.detail = conflict.kind
      if let known = try known(), ConflictEvidence.isDecided(conflict, by: known, mapped: mapped) {
        return decided()
      }
      return .findings([found])
    case .mapped(at: let place, by: let rule):
      let row = rows[place]
      if row.cell != mapped, rule.isOfAbsence, let known = try known(),
        ConflictEvidence.isHeld(known, mapped: mapped, against: rule, in: row.cell)
      {
        return decided()
      }
      guard let before else { return .findings([finding(.missing, row)]) }
      guard let mapped else { return .findings([finding(.noCell, row)]) }
      guard mapped == row.cell else { return .findings([finding(.wrongCell, row)]) }
      return .findings(differences(before.record, row) { finding($0, row) })
    }
  }

  /// What a row has otherwise than the map, but for where it is.
  private func differences(
    _ before: InstanceRecord, _ row: StagedInstance, _ finding: (FindingKind) -> Finding
  ) -> [Finding] {
    var found: [Finding] = []
    if let kind = Self.mark(before.isQueuedForDelete, row) { found.append(finding(kind)) }
    if let difference = Self.owner(before.owner, row) {
      var owner = finding(.owner)
      owner.detail = difference
      found.append(owner)
    }
    return found
  }

  private static func mark(_ mapped: Bool?, _ row: StagedInstance) -> FindingKind? {
    if row.isQueuedForDelete { return mapped == true ? nil : .deletionMark }
    guard mapped == true else { return nil }
    return row.isInErrorForGood ? .failedDelete : .keptMark
  }

  /// How the owners differ; what the cell doesn't have doesn't, nor an owner that was shredded: a cell is no
  /// reason to write it again.
  private static func owner(_ mapped: InstanceOwner, _ row: StagedInstance) -> ByteText? {
    func difference(_ name: String, _ map: PersonalText?, _ cell: ByteText?) -> String? {
      guard let cell else { return nil }
      guard let map else { return "\(name) unknown in the map, \(cell) in the cell" }
      guard case .clear(let text) = map, text != cell else { return nil }
      return "\(name) \(text) in the map, \(cell) in the cell"
    }
    if mapped.isShredded { return nil }
    let parts = [
      difference("project", mapped.project, row.project), difference("user", mapped.user, row.user),
    ].compactMap(\.self)
    return parts.isEmpty ? nil : ByteText(parts.joined(separator: "; "))
  }

  /// What differs of a compute host.
  ///
  /// - Parameter cells: Those that have it, in order.
  func answer(
    onHost name: ByteText, in cells: [CellID], _ before: HostRow?, known: ConflictRecord?
  ) -> Answer {
    let mapped = before?.record.cell
    if let mapped, !read.contains(mapped) { return .pending }
    if let known, ConflictEvidence.waits(known, for: unread) { return .pending }
    func finding(_ kind: FindingKind, _ found: CellID? = nil) -> Finding {
      var finding = Finding(kind, .host(name), mapped: mapped, changedAt: before?.changedAt)
      finding.found = found
      return finding
    }
    guard let cell = cells.first else {
      return .findings(mapped == nil ? [] : [finding(.ghostHost)])
    }
    guard cells.count == 1 else {
      var twin = finding(.twinHost)
      let conflict = ConflictEvidence.conflict(host: name, in: cells)
      twin.conflict = conflict
      if let known, ConflictEvidence.isDecided(conflict, by: known, mapped: mapped) {
        return .decided([])
      }
      return .findings([twin])
    }
    if mapped == cell { return .findings([]) }
    return .findings([finding(mapped == nil ? .unknownHost : .wrongCellHost, cell)])
  }
}
