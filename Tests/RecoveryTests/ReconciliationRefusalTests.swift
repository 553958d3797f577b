import Foundation
import Journal
import Projections
import Recovery
import Registry
import TestSupport
import Testing

@Suite struct ReconciliationRefusalTests {
  private static let all = Set(FindingKind.allCases)

  /// Everything that can be asked for but another limit.
  private var boldest: MendOptions {
    var options = MendOptions(Self.all)
    options.limit = 1000
    options.unmaps = true
    return options
  }

  private func records(_ bed: ReconciliationBed) throws -> [InstanceRecord?] {
    try (0..<10).map { try bed.record($0) }
  }

  @Test func `one instance of a small cell is mended without a limit, and two are not`() throws {
    try withReconciliation { bed in
      try bed.first.add(instance(20))
      #expect(try bed.reconcile(.init(options: MendOptions([.missing]))).result?.instances == 1)
      for number in [21, 22] { try bed.first.add(instance(number)) }
      let answer = try bed.reconcile(.init(options: MendOptions([.missing])))
      #expect(answer.plan?.excesses.map(\.count) == [2])
      #expect(answer.plan?.excesses.first?.limit == 1)
      #expect(answer.plan?.refused == 2)
      #expect(try bed.record(21) == nil)
    }
  }

  @Test func `a conflict that the map knows already touches nothing more`() throws {
    try withReconciliation { bed in
      for number in [2, 3] {
        try bed.second.add(instance(number))
        let answer = try bed.reconcile(.init(options: MendOptions([.twoCopies])))
        #expect(answer.plan?.excesses == [] && answer.plan?.refused == 0)
        #expect(try bed.map.map().conflict(of: .instance(instance(number))) != nil)
      }
    }
  }

  @Test func `a limit that is given holds for each class and cell`() throws {
    try withReconciliation { bed in
      for number in 20..<23 { try bed.first.add(instance(number)) }
      for number in 30..<32 { try bed.second.add(instance(number)) }
      var options = MendOptions([.missing])
      options.limit = 2
      let answer = try bed.reconcile(.init(options: options))
      #expect(answer.plan?.excesses.map(\.cell) == [cell(1)])
      #expect(answer.result?.instances == 2)
      #expect(try bed.record(20) == nil)
      #expect(try bed.record(30) != nil)
    }
  }

  @Test func `one percent of a cell's mappings is the limit, up to a hundred`() throws {
    try withReconciliation { bed in
      try bed.map.api.addInstances(1000..<1400, cell: { _ in 2 }, uuid: { "\(instance($0))" })
      let rows = (1000..<1400).map { "('\(instance($0))', 0)" }
      try bed.first.execute(
        "INSERT INTO instances (uuid, deleted) VALUES " + rows.joined(separator: ", "))
      try bed.map.adopt()
      for number in 20..<24 { try bed.first.add(instance(number)) }
      let four = try bed.reconcile(.init(options: MendOptions([.missing])))
      #expect(four.result?.instances == 4)
      for number in 24..<29 { try bed.first.add(instance(number)) }
      let five = try bed.reconcile(.init(options: MendOptions([.missing])))
      #expect(five.plan?.excesses.first?.limit == 4)
      #expect(five.result?.outcome == nil)
    }
  }

  // MARK: Restored and empty cells

  @Test func `by an empty cell nothing is changed`() throws {
    try withReconciliation { bed in
      try bed.first.execute(
        "DELETE FROM instances; DELETE FROM services; DELETE FROM compute_nodes")
      let before = try records(bed)
      let answer = try bed.reconcile(.init(options: boldest))
      #expect(answer.report.cells.map(\.isUnknown) == [false, true, false])
      #expect(answer.plan?.doubts[cell(1)] == .unknown)
      #expect(answer.plan?.refused == 6, "five instances and a host")
      #expect(answer.result?.outcome == nil)
      #expect(try records(bed) == before)
      #expect(try bed.map.map().host("host1") != nil)
    }
  }

  @Test func `by an empty cell that is known by its services nothing is changed`() throws {
    try withReconciliation { bed in
      try bed.first.execute("DELETE FROM instances")
      let before = try records(bed)
      let answer = try bed.reconcile(.init(options: boldest))
      #expect(answer.plan?.doubts[cell(1)] == .empty(mapped: 5))
      #expect(try records(bed) == before)
    }
  }

  @Test func `by a cell from an old backup nothing is unmapped and nothing cleared`() throws {
    try withReconciliation { bed in
      // The backup was made before three of its instances were, and before a fourth was deleted.
      try bed.map.submit(.markForDeletion(instance(0), true))
      try bed.first.execute("DELETE FROM instances WHERE id > 2")
      try bed.first.execute("UPDATE instances SET created_at = '2025-06-01 00:00:00'")
      let before = try records(bed)
      let answer = try bed.reconcile(.init(options: boldest))
      guard case .older? = answer.plan?.doubts[cell(1)] else {
        Issue.record("\(String(describing: answer.plan?.doubts))")
        return
      }
      #expect(answer.result?.outcome == nil)
      #expect(try records(bed) == before)
    }
  }

  @Test
  func `a cell with fewer rows than at the last scan is in doubt, until it is said to be right`()
    throws
  {
    try withReconciliation { bed in
      try bed.first.add(instance(20))
      try bed.mend(.missing)  // Notes the scan: six rows.
      try bed.first.execute("DELETE FROM instances WHERE id IN (4, 5)")
      try bed.first.execute("UPDATE instances SET task_state = 'deleting' WHERE id = 1")
      let doubted = try bed.mend(.deletionMark)
      #expect(doubted.plan?.doubts[cell(1)] == .fewerRows(now: 4, before: 6))
      #expect(doubted.result?.outcome == nil)
      let trusted = try bed.mend(.deletionMark) { $0.notRestored = [cell(1)] }
      #expect(trusted.result?.instances == 1)
      #expect(try bed.mend(.missing).plan?.doubts == [:], "the smaller scan is the last one now")
    }
  }

  @Test func `rows that Nova has archived since the last scan are no doubt`() throws {
    try withReconciliation { bed in
      try bed.first.add(instance(20))
      try bed.mend(.missing)
      try bed.first.execute(
        "INSERT INTO shadow_instances (uuid, created_at) SELECT uuid, created_at FROM instances "
          + "WHERE id IN (4, 5); DELETE FROM instances WHERE id IN (4, 5)")
      #expect(try bed.mend(.missing).plan?.doubts == [:])
    }
  }

  @Test func `a cell in doubt isn't noted as scanned`() throws {
    try withReconciliation { bed in
      try bed.first.add(instance(20))
      try bed.mend(.missing)
      try bed.first.execute("DELETE FROM instances WHERE id IN (4, 5)")
      try bed.second.execute("UPDATE instances SET task_state = 'deleting' WHERE id = 1")
      #expect(try bed.mend(.deletionMark).result?.instances == 1)
      #expect(try bed.mend(.missing).plan?.doubts[cell(1)] == .fewerRows(now: 4, before: 6))
    }
  }

  // MARK: Cells that can't be read

  @Test func `what a cell that is away could make otherwise is left`() throws {
    try withReconciliation { bed in
      try bed.first.add(instance(20))
      try FileManager.default.removeItem(atPath: bed.second.path)
      let left = try bed.mend(.missing)
      #expect(left.plan?.provisional == 1)
      #expect(try bed.record(20) == nil)
      try bed.mend(.missing) { $0.takesProvisional = true }
      #expect(try bed.record(20)?.cell == cell(1))
    }
  }

  @Test func `a live row in the cell that the map names stands though another cell is away`() throws
  {
    try withReconciliation { bed in
      try bed.first.execute("UPDATE instances SET task_state = 'deleting' WHERE id = 1")
      try bed.first.execute("UPDATE instances SET deleted = id WHERE id = 2")
      try FileManager.default.removeItem(atPath: bed.second.path)
      let answer = try bed.mend(.deletionMark)
      #expect(answer.plan?.provisional == 1)
      #expect(try bed.record(0)?.isQueuedForDelete == true)
      #expect(try bed.record(1)?.isQueuedForDelete == false)
    }
  }

  // MARK: The lost list and single instances

  private func asking<Value>(
    _ bed: ReconciliationBed, _ body: (MapReconciliation, IndexReader) throws -> Value
  ) throws -> Value {
    let journal = try EventJournal.open(bed.map.store)
    let generations = IndexGenerations(folder: journal.files.directory)
    let reconciliation = try bed.open(journal, generations)
    defer { reconciliation.discard() }
    return try body(reconciliation, generations.open(store: journal.store).reader)
  }

  @Test func `the lost list is what the map has and the cell doesn't`() throws {
    try withReconciliation { bed in
      try bed.first.execute(
        """
        DELETE FROM instances WHERE id IN (2, 4, 5);
        UPDATE instances SET created_at = 'never' WHERE id = 1;
        INSERT INTO shadow_instances (uuid) VALUES ('\(instance(3))');
        """)
      var lost: [InstanceID] = []
      let counts = try asking(bed) { reconciliation, index in
        try reconciliation.forEachLost(in: cell(1), on: index, time: .seconds(5)) {
          lost.append($0.id)
        }
      }
      #expect(lost == [instance(1), instance(4)])
      #expect((counts.mapped, counts.lost, counts.archived) == (5, 2, 1))
    }
  }

  @Test func `of an empty cell all is lost`() throws {
    try withReconciliation { bed in
      try bed.first.execute(
        "DELETE FROM instances; DELETE FROM services; DELETE FROM compute_nodes")
      try bed.first.execute("DROP TABLE shadow_instances")
      var lost: [InstanceID] = []
      _ = try asking(bed) { reconciliation, index in
        try reconciliation.forEachLost(in: cell(1), on: index, time: .seconds(5)) {
          lost.append($0.id)
        }
      }
      #expect(lost == (0..<5).map { instance($0) })
    }
  }

  @Test func `single instances are looked for in all cells`() throws {
    try withReconciliation { bed in
      try bed.first.execute("DELETE FROM instances WHERE id = 2")
      try bed.second.add(instance(1))
      let verified = try asking(bed) { reconciliation, index in
        try reconciliation.verify(
          [instance(0), instance(1), instance(77)], on: index, time: .seconds(5))
      }
      #expect(verified.map { $0.findings.map(\.kind) } == [[], [.wrongCell], []])
      #expect(verified.map(\.isUnknown) == [false, false, true])
      #expect(verified.map(\.cells) == [[cell(1)], [cell(2)], []])
    }
  }

  @Test func `an instance of a cell that is away can't be told`() throws {
    try withReconciliation { bed in
      try FileManager.default.removeItem(atPath: bed.first.path)
      let verified = try asking(bed) { reconciliation, index in
        try reconciliation.verify(
          [instance(0), instance(7), instance(77)], on: index, time: .seconds(5))
      }
      #expect(verified.map(\.isPending) == [true, false, true])
      #expect(verified.allSatisfy { $0.findings.isEmpty && !$0.isUnknown })
    }
  }
}
