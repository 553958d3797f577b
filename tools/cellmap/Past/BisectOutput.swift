import ArgumentParser
import Journal
import Projections
import Recovery
import Router

/// How the entry is told after which an answer changed.
struct BisectOutput {
  let from: PastPoint
  let to: PastPoint
  let json: Bool
  let naming: CellNaming
  /// What JSON says beside it.
  var more: [String: JSONValue] = [:]

  /// - Throws: exit 1 if there is none; `other` says why, without its end.
  func print(_ found: (step: EntryStep, changes: [FieldChange])?, else other: String) throws {
    guard let (step, changes) = found else {
      if json {
        let fields: [String: JSONValue] = ["found": .flag(false), "entry": .null]
        Console.print(JSONValue.object(fields.merging(range) { $1 }.merging(more) { $1 }).line)
      } else {
        Console.print("\(other), from \(Self.name(from)) to \(to.position).")
      }
      throw ExitCode(ExitStatus.finding.rawValue)
    }
    let entry = step.entry
    naming.upTo = entry.position.index
    if json {
      var fields = StepOutput.fields(of: step, naming)
      fields["entry"] = fields["position"]
      fields["answer_changes"] = DifferenceOutput.fields(changes)
      fields["found"] = .flag(true)
      Console.print(JSONValue.object(fields.merging(range) { $1 }.merging(more) { $1 }).line)
      return
    }
    Console.print("The first entry after which it is otherwise, from \(Self.name(from)) on:")
    var fields: [String: JSONValue] = [
      "entry": .printed(entry.position), "time": .printed(entry.orderedAt),
      "thing": .text(StepOutput.name(of: entry.event.entity, naming)),
      "what": .text(EntryOutput.sentence(entry.event, naming)),
      "answer": .text(DifferenceOutput.sentence(changes, naming)),
      "by": .text(EntryOutput.author(of: entry)),
      "why": .printed(entry.draft.authorship.reason),
    ]
    if entry.draft.request.id != .none { fields["request"] = .printed(entry.draft.request.id) }
    CellOutput.printFields(
      fields, order: ["entry", "time", "thing", "what", "answer", "by", "why"])
    AnswerPosition.say(to.position)
  }

  private var range: [String: JSONValue] {
    [
      "from": from.position == .start ? .null : .printed(from.position),
      "to": .printed(to.position), "position": .printed(to.position),
    ]
  }

  private static func name(_ point: PastPoint) -> String {
    point.position == .start ? "the beginning" : "\(point.position)"
  }
}

/// What the cells say of an instance now.
struct CellsWord {
  private let id: InstanceID
  private let cells: [CellID]
  private let isDeleted: Bool

  /// Asks all cells.
  ///
  /// - Throws: `partial` if one that may have it can't be read; `unknown` if nobody knows it.
  init(
    of id: InstanceID, _ session: StoreSession, _ base: BaseOptions, deadline: Duration
  ) throws {
    self.id = id
    let router = try session.router(
      try base.addressBase(), options: MapReconciliation.routerOptions)
    let keys = try session.keysForReading()
    let index = try session.caughtUpIndex()
    let answer: InstanceVerification
    do throws(RebuildError) {
      let reconciliation = try MapReconciliation(
        cells: router, journal: session.journal, keys: keys, stagingIn: session.files.directory)
      defer { reconciliation.discard() }
      answer = try reconciliation.verify([id], on: index, time: deadline)[0]
    } catch {
      throw CommandFailure(error, request: .none)
    }
    session.close()
    guard !answer.isPending else {
      throw CommandFailure(
        .partial,
        "A cell that may have instance \(id) can't be read, so that it can't be told. 'status --live' "
          + "shows which.")
    }
    guard !answer.isUnknown else {
      throw CommandFailure(.unknown, "Neither the map nor a cell has instance \(id).")
    }
    cells = answer.cells
    isDeleted = answer.isDeleted
  }

  /// Whether the map's record is what they say.
  func agrees(with record: InstanceRecord?) -> Bool {
    guard !cells.isEmpty else { return record?.cell == nil }
    guard let cell = record?.cell, cells.contains(cell) else { return false }
    return !isDeleted || record?.isQueuedForDelete == true
  }

  func sentence(_ naming: CellNaming) -> String {
    guard !cells.isEmpty else { return "Now no cell has instance \(id)." }
    let names = cells.map { naming.name(of: $0) }.joined(separator: ", ")
    return "Now cell \(names) has instance \(id)\(isDeleted ? ", deleted" : "")."
  }

  var fields: [String: JSONValue] {
    [
      "instance": .printed(id), "found_in": .list(cells.map { .printed($0) }),
      "deleted": .flag(isDeleted),
    ]
  }
}
