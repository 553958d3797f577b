internal import Journal

/// What the API database and the cells say of one instance.
struct InstanceCase {
  let id: InstanceID
  var mapping: NovaInstanceRow?
  /// Nova has accepted it and not put it into a cell yet.
  var hasBuildRequest = false
  /// Its rows, each with the number of the cell that has it.
  var rows: [(cell: UInt64, trace: InstanceTrace)] = []
  /// A cell's `shadow_instances` has it.
  var isArchived = false

  enum Verdict {
    case fine
    /// What cells say that weren't read decides.
    case undecided
    case finding(DoctorFinding)
  }

  /// Whether the mapping leads to the row that counts: visible before hidden, live before deleted.
  func verdict(_ cells: DoctorCells) -> Verdict {
    let visible = rows.filter { !$0.trace.isHidden }
    let live = visible.filter { !$0.trace.isDeleted }
    if live.count > 1 { return .finding(twoCopies(live.map(\.cell), cells)) }
    guard let mapping else {
      if let only = live.first { return .finding(unmapped(in: only.cell, cells)) }
      // Nova's own purge leaves deleted rows without a mapping.
      guard let hidden = rows.first, visible.isEmpty else { return .fine }
      return hiddenOnly(in: hidden.cell, cells)
    }
    guard let number = mapping.cellNumber else {
      if hasBuildRequest { return .fine }
      if let there = live.first ?? visible.first {
        return .finding(withoutCell(mapping, in: there.cell, cells))
      }
      if let hidden = rows.first { return hiddenOnly(in: hidden.cell, cells) }
      return cells.unread.isEmpty ? .finding(withoutBuildRequest(mapping)) : .undecided
    }
    let home = cells.home(number)
    if visible.contains(where: { $0.cell == home }),
      live.isEmpty || live.contains(where: { $0.cell == home })
    {
      return .fine
    }
    let there = live.first ?? visible.first
    if cells.cells[number] == nil, !cells.unread.contains(number) {
      return .finding(unknownCell(mapping, number, in: there?.cell, cells))
    }
    guard cells.isRead(number) else { return .undecided }
    if let there { return .finding(wrongCell(mapping, number, in: there.cell, cells)) }
    if let hidden = rows.first { return hiddenOnly(in: hidden.cell, cells) }
    if isArchived { return .finding(leftOver(.rowArchived, mapping, number, cells)) }
    return cells.unread.isEmpty
      ? .finding(leftOver(.rowMissing, mapping, number, cells)) : .undecided
  }

  // MARK: Findings

  private func finding(
    _ kind: DoctorFinding.Kind, of numbers: [UInt64], _ cells: DoctorCells, _ detail: String,
    relyingOn reliance: Reliance = .nothing, _ fix: DoctorFinding.Step...
  ) -> DoctorFinding {
    DoctorFinding(
      kind, .instance("\(id)"), cells: numbers.compactMap { cells.cells[$0]?.id }, detail, fix: fix,
      relyingOn: reliance)
  }

  /// Whether a cell has it alive and visible.
  private var isLive: Bool { rows.contains { !$0.trace.isHidden && !$0.trace.isDeleted } }

  private func unmapped(in cell: UInt64, _ cells: DoctorCells) -> DoctorFinding {
    let uuid = cells.cells[cell]?.id.description ?? "UUID"
    return finding(
      .unmappedInstance, of: [cell], cells, "\(cells.label(cell)) has it, and it has no mapping",
      .shell("nova-manage cell_v2 map_instances --cell_uuid \(uuid) --reset"))
  }

  private func withoutCell(
    _ mapping: NovaInstanceRow, in cell: UInt64, _ cells: DoctorCells
  ) -> DoctorFinding {
    finding(
      .mappingWithoutCell, of: [cell], cells,
      "\(cells.label(cell)) has it, its mapping names no cell, and it has no build request",
      // Where this one has deleted it, another may have it alive.
      relyingOn: isLive ? .nothing : .allWhole,
      .api(
        "UPDATE instance_mappings SET cell_id = \(cell) WHERE instance_uuid = '\(id)' "
          + "AND cell_id IS NULL;"))
  }

  private func withoutBuildRequest(_ mapping: NovaInstanceRow) -> DoctorFinding {
    DoctorFinding(
      .mappingWithoutBuildRequest, .instance("\(id)"),
      "its mapping (project \(mapping.project)) names no cell, and it has no build request",
      fix: [
        .api(
          "DELETE FROM instance_mappings WHERE instance_uuid = '\(id)' AND cell_id IS NULL;")
      ], relyingOn: .allWhole)
  }

  private func wrongCell(
    _ mapping: NovaInstanceRow, _ number: UInt64, in cell: UInt64, _ cells: DoctorCells
  ) -> DoctorFinding {
    finding(
      .wrongCell, of: [number, cell], cells,
      "mapped to \(cells.label(number)), and \(cells.label(cell)) has it",
      relyingOn: isLive ? .whole([cells.home(number)]) : .allWhole, move(number, to: cell))
  }

  private func move(_ number: UInt64, to cell: UInt64) -> DoctorFinding.Step {
    .api(
      "UPDATE instance_mappings SET cell_id = \(cell) WHERE instance_uuid = '\(id)' "
        + "AND cell_id = \(number);")
  }

  private func unknownCell(
    _ mapping: NovaInstanceRow, _ number: UInt64, in cell: UInt64?, _ cells: DoctorCells
  ) -> DoctorFinding {
    guard let cell else {
      return finding(
        .unknownCell, of: [], cells,
        "mapped to a cell number \(number) that isn't there, and no cell has it",
        relyingOn: .allWhole, remove(number))
    }
    return finding(
      .unknownCell, of: [cell], cells,
      "mapped to a cell number \(number) that isn't there, and \(cells.label(cell)) has it",
      relyingOn: isLive ? .nothing : .allWhole, move(number, to: cell))
  }

  private func remove(_ number: UInt64) -> DoctorFinding.Step {
    .api("DELETE FROM instance_mappings WHERE instance_uuid = '\(id)' AND cell_id = \(number);")
  }

  /// A mapping to a cell without the row.
  private func leftOver(
    _ kind: DoctorFinding.Kind, _ mapping: NovaInstanceRow, _ number: UInt64, _ cells: DoctorCells
  ) -> DoctorFinding {
    if kind == .rowArchived {
      return finding(
        kind, of: [number], cells, "mapped to \(cells.label(number)), where its row was archived",
        relyingOn: .allWhole, remove(number))
    }
    let mark =
      mapping.queuedForDelete == true
      ? "it was queued for delete" : "it was not queued for delete: is that database whole?"
    return finding(
      kind, of: [number], cells,
      "mapped to \(cells.label(number)), which has no row of it; \(mark)", relyingOn: .allWhole,
      .shell(
        "nova-manage cell_v2 verify_instance --uuid \(id)  # 4: restore its row, if it was lost"),
      remove(number))
  }

  /// Those copies are to be hidden that the mapping doesn't name.
  private func twoCopies(_ numbers: [UInt64], _ cells: DoctorCells) -> DoctorFinding {
    let named = mapping?.cellNumber.map { cells.home($0) }
    let kept = numbers.contains { $0 == named } ? named : numbers.last
    let labels = numbers.map { cells.label($0) }.joined(separator: " and ")
    let fix = numbers.filter { $0 != kept }.map { number in
      DoctorFinding.Step.cell(
        cells.label(number),
        "UPDATE instances SET hidden = TRUE WHERE uuid = '\(id)' AND deleted = 0;  "
          + "-- if the guest doesn't run there")
    }
    return DoctorFinding(
      .twoVisibleCopies, .instance("\(id)"), cells: numbers.compactMap { cells.cells[$0]?.id },
      "\(labels) have a live row of it; the mapping names "
        + (mapping?.cellNumber.map { cells.label($0) } ?? "no cell"), fix: fix)
  }

  private func hiddenOnly(in cell: UInt64, _ cells: DoctorCells) -> Verdict {
    guard cells.unread.isEmpty else { return .undecided }
    return .finding(
      finding(
        .loneHiddenCopy, of: [cell], cells,
        "\(cells.label(cell)) has a hidden row of it, and no cell a visible one",
        relyingOn: .allWhole,
        .cell(
          cells.label(cell),
          "UPDATE instances SET hidden = FALSE WHERE uuid = '\(id)';  -- if the guest runs there")))
  }
}
