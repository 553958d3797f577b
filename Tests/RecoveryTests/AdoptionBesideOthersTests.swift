import Journal
import Projections
import Recovery
import Registry
import TestSupport
import Testing

/// Another writer changes the map while Nova's rows are read: what it decided stands.
@Suite struct AdoptionBesideOthersTests {
  private typealias Run = AdoptionBed.Run

  /// Adopts two cells and three instances, then opens Nova's snapshot; gives it with the basis.
  private func prepare(_ bed: AdoptionBed) throws -> (source: NovaAPIDatabase, basis: Position) {
    try bed.addCells()
    try bed.api.addInstances(1..<4, cell: { _ in 2 }, uuid: { "\(instance($0))" })
    try bed.adopt()
    let basis = try bed.map().index.checkpoint().position
    return (try bed.openSource(), basis)
  }

  @Test func `what was moved, unmapped or renamed since the snapshot stays, and is counted`() throws
  {
    try withBed { bed in
      let (source, basis) = try prepare(bed)
      try bed.submit(.remapInstance(instance(1), to: cell(2)))
      try bed.submit(.unmapInstance(instance(2)))
      try bed.submit(.renameCell(cell(1), to: "newer"))
      try bed.submit(.unmapHost("host1"))
      let count = try bed.entryCount()
      let (plan, outcome) = try bed.adopt(Run(basis: basis), from: source)
      #expect(plan.overtaken == 4 && plan.changesNothing && outcome == nil)
      #expect(try bed.entryCount() == count)
      let map = try bed.map()
      #expect(try map.instance(instance(1))?.record.cell == cell(2))
      #expect(try map.instance(instance(2)) == nil)
      #expect(try map.cell(cell(1))?.record.name == "newer")
      // The next adoption reads Nova's rows anew, and finds that they differ.
      let next = try bed.adopt().plan
      #expect(next.overtaken == 0 && next.instances.differing == 2 && next.cells.changed == 1)
      #expect(try bed.map().instance(instance(1))?.record.cell == cell(1))
    }
  }

  @Test func `a change between the plan and its application stays too`() throws {
    try withBed { bed in
      let (_, basis) = try prepare(bed)
      try bed.api.execute("UPDATE instance_mappings SET cell_id = 3")
      let source = try bed.openSource()
      let (plan, outcome) = try bed.adopt(Run(basis: basis), from: source) {
        try! bed.submit(.remapInstance(instance(2), to: nil))
      }
      #expect(plan.instances.changed == 3 && plan.overtaken == 1)
      #expect(outcome?.finished == ChangeCounts(instances: 2), "what was changed, not planned")
      let map = try bed.map()
      #expect(try map.instance(instance(2))?.record.cell == nil)
      #expect(try map.instance(instance(3))?.record.cell == cell(2))
    }
  }

  @Test func `a probe since the snapshot stands in the way of nothing`() throws {
    try withBed { bed in
      _ = try prepare(bed)
      try bed.api.execute(
        """
        UPDATE cell_mappings SET name = 'renamed' WHERE id = 2;
        DELETE FROM host_mappings WHERE cell_id = 3; DELETE FROM cell_mappings WHERE id = 3;
        """)
      let basis = try bed.map().index.checkpoint().position
      let source = try bed.openSource()
      for number in [1, 2] {
        let evidence = CellIdentity(services: [.random()], computeNodes: [])
        try bed.submit(
          .recordProbe(
            cell(number), ProbeOutcome(passed: true, report: "{}"), [evidence], accepting: false))
      }
      let plan = try bed.adopt(Run(prunes: true, basis: basis), from: source).plan
      #expect(plan.overtaken == 0)
      let map = try bed.map()
      #expect(try map.cell(cell(1))?.record.name == "renamed")
      #expect(try map.cell(cell(2)) == nil)
    }
  }

  @Test func `what was mapped since the snapshot is no surplus`() throws {
    try withBed { bed in
      let (source, basis) = try prepare(bed)
      let owner = InstanceOwner(project: "p" as ByteText, user: "u")
      try bed.submit(.mapInstance(instance(9), .init(cell: cell(1), owner: owner)))
      try bed.submit(.addCell(id: cell(9), CellDraft(name: "new", addresses: AddressDraft())))
      try bed.submit(.mapHost("host9", to: cell(9)))
      for prunes in [false, true] {
        let plan = try bed.adopt(Run(prunes: prunes, basis: basis), from: source).plan
        #expect(plan.surplus == 0 && plan.overtaken == 3)
      }
      let map = try bed.map()
      #expect(try map.instance(instance(9)) != nil && map.host("host9") != nil)
      #expect(try map.cell(cell(9)) != nil)
    }
  }
}

/// A cell that Nova's operators deleted and made again: another UUID, the same database.
@Suite struct ReplacedCellTests {
  private typealias Run = AdoptionBed.Run

  /// Adopts, then makes cell 2 again as cell 7, with its host and instances.
  private func prepare(_ bed: AdoptionBed) throws {
    try bed.addCells()
    try bed.api.addInstances(1..<9, cell: { $0 % 2 + 2 }, uuid: { "\(instance($0))" })
    try bed.adopt()
    try bed.api.execute(
      """
      UPDATE cell_mappings SET uuid = '\(cell(7))', id = 8 WHERE id = 3;
      UPDATE host_mappings SET cell_id = 8 WHERE cell_id = 3;
      UPDATE instance_mappings SET cell_id = 8 WHERE cell_id = 3;
      """)
  }

  @Test func `is refused with both cells named and the next step`() throws {
    try withBed { bed in
      try prepare(bed)
      let count = try bed.entryCount()
      let plan = try bed.adopt(Run(planOnly: true)).plan
      #expect(plan.problemCount == 0 && plan.replacedCells == [cell(2): cell(7)])
      #expect(plan.cells.added == 1 && plan.cells.surplus == 1 && plan.instances.changed == 4)
      do throws(AdoptionError) {
        try bed.adopt()
        Issue.record("was not refused")
      } catch {
        guard case .wouldReplace(cell(2), by: cell(7), count: 1) = error else { throw error }
        for part in ["\(cell(2))", "\(cell(7))", "--prune"] {
          #expect(error.description.contains(part))
        }
      }
      #expect(try bed.entryCount() == count)
    }
  }

  @Test func `is taken over in place of the old one if asked`() throws {
    try withBed { bed in
      try prepare(bed)
      let count = try bed.entryCount()
      try bed.adopt(Run(prunes: true))
      let map = try bed.map()
      #expect(try map.cell(cell(2)) == nil)
      #expect(try map.cell(cell(7))?.record.database?.publicForm == "sqlite:///2.sqlite")
      #expect(try map.host("host2")?.record.cell == cell(7))
      #expect(try map.index.countInstances(in: cell(7)) == 4)
      // No mapping was ever without its cell in between.
      for entry in try bed.entries(after: count) {
        guard case .instance(_, .moved(let from, let to)) = entry.event else { continue }
        #expect(from == cell(2) && to == cell(7))
      }
      #expect(try bed.adopt(Run(prunes: true)).outcome == nil)
    }
  }

  @Test func `goes on where it was stopped`() throws {
    try withBed { bed in
      try prepare(bed)
      var run = Run(prunes: true, stopsAfterRows: 1)
      #expect(throws: AdoptionError.self) { try bed.adopt(run) }
      run.stopsAfterRows = .max
      try bed.adopt(run)
      let map = try bed.map()
      #expect(try map.cell(cell(2)) == nil && map.index.countInstances(in: cell(7)) == 4)
    }
  }

  @Test func `a database that a cell of Nova's still has is never given to another`() throws {
    try withBed { bed in
      try prepare(bed)
      try bed.api.addCell(9, cell(2), name: "old", database: "sqlite:///2.sqlite")
      let plan = try bed.adopt(Run(prunes: true, planOnly: true)).plan
      // Both have rows, so nothing was made again.
      #expect(plan.replacedCells.isEmpty)
      #expect(plan.problemCount > 0)
    }
  }

  @Test func `cells that have exchanged their databases are followed`() throws {
    try withBed { bed in
      try bed.addCells()
      try bed.adopt()
      try bed.api.execute(
        """
        UPDATE cell_mappings SET database_connection = CASE id
          WHEN 2 THEN 'sqlite:///2.sqlite' ELSE 'sqlite:///1.sqlite' END WHERE id IN (2, 3)
        """)
      let plan = try bed.adopt().plan
      #expect(plan.cells.changed == 2 && plan.problemCount == 0, "\(plan.problems)")
      let map = try bed.map()
      #expect(try map.cell(cell(1))?.record.database?.publicForm == "sqlite:///2.sqlite")
      #expect(try map.cell(cell(2))?.record.database?.publicForm == "sqlite:///1.sqlite")
      #expect(try bed.adopt().outcome == nil)
    }
  }

  @Test func `a cell whose row can't be held keeps its database, and its place`() throws {
    try withBed { bed in
      try bed.addCells()
      try bed.adopt()
      // The second's database is given to the first, and its own row says nothing that can be read.
      try bed.api.execute(
        """
        UPDATE cell_mappings SET database_connection = CASE id
          WHEN 2 THEN 'sqlite:///2.sqlite' ELSE 'garbage' END WHERE id IN (2, 3)
        """)
      let plan = try bed.adopt(Run(skipsInvalid: true)).plan
      #expect(plan.problemCount >= 2 && plan.replacedCells.isEmpty, "\(plan.problems)")
      let map = try bed.map()
      #expect(try map.cell(cell(1))?.record.database?.publicForm == "sqlite:///1.sqlite")
      let second = try map.cell(cell(2))?.record
      #expect(second?.database?.publicForm == "sqlite:///2.sqlite")
      #expect(second?.isBeingRemoved == false && second?.disabled == false)
    }
  }

  @Test func `what one cell can't have stays another's, down the line`() throws {
    try withBed { bed in
      try bed.addCells()
      try bed.api.addCell(4, cell(3), name: "cell3", database: "sqlite:///3.sqlite")
      try bed.adopt()
      // The second wants what the third keeps, so the first can't have what is the second's.
      try bed.api.execute(
        """
        UPDATE cell_mappings SET database_connection = CASE id
          WHEN 2 THEN 'sqlite:///2.sqlite' ELSE 'sqlite:///3.sqlite' END WHERE id IN (2, 3)
        """)
      let planned = try bed.adopt(Run(skipsInvalid: true, planOnly: true)).plan
      #expect(planned.problemCount == 2 && planned.cells.changed == 0, "\(planned.problems)")
      try bed.adopt(Run(skipsInvalid: true))
      for number in 1...3 {
        #expect(
          try bed.map().cell(cell(number))?.record.database?.publicForm
            == ByteText("sqlite:///\(number).sqlite"))
      }
    }
  }

  @Test func `a database is not given to one cell while another keeps it`() throws {
    try withBed { bed in
      try bed.addCells()
      try bed.adopt()
      try bed.api.execute(
        "UPDATE cell_mappings SET database_connection = 'sqlite:///1.sqlite' WHERE id = 3")
      let plan = try bed.adopt(Run(skipsInvalid: true)).plan
      #expect(plan.problemCount == 1 && plan.cells.same == 2, "\(plan.problems)")
      #expect(plan.problems.first?.contains("cell_mappings row 3") == true, "\(plan.problems)")
      #expect(
        try bed.map().cell(cell(2))?.record.database?.publicForm == "sqlite:///2.sqlite")
    }
  }

  @Test func `a cell whose row can't be held is neither replaced nor taken out`() throws {
    try withBed { bed in
      try bed.addCells()
      try bed.adopt()
      try bed.api.execute("UPDATE cell_mappings SET database_connection = 'x' WHERE id = 3")
      let (plan, _) = try bed.adopt(Run(skipsInvalid: true, prunes: true))
      #expect(plan.problemCount > 0 && plan.cells.surplus == 0)
      #expect(try bed.map().cell(cell(2)) != nil)
    }
  }
}
