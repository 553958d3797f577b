import Foundation
import Journal
import Projections

/// The index files that a store has: shown, switched back to, removed.
struct GenerationKeeping {
  private let session: StoreSession
  private let json: Bool

  init(_ session: StoreSession, json: Bool) {
    self.session = session
    self.json = json
  }

  func list() throws(CommandFailure) {
    let all = try projections { () throws(ProjectionError) in
      try session.index.found(store: session.journal.store)
    }
    if json { printLines(all) } else { printTable(all) }
  }

  private func printLines(_ all: [FoundGeneration]) {
    for generation in all { Console.print(JSONValue.object(fields(generation)).line) }
  }

  private func printTable(_ all: [FoundGeneration]) {
    var table = Table("GENERATION", "FILE", "UP TO", "STATE")
    for generation in all {
      table.add(
        generation.number.description, fileName(generation), position(generation),
        state(generation))
    }
    table.print(empty: "The store has no index yet. Make it with 'cellmap replay'.")
  }

  func switchBack(to number: UInt64) throws(CommandFailure) {
    let all = try projections { () throws(ProjectionError) in try session.index.numbers() }
    guard all.contains(number) else {
      throw CommandFailure(
        .usage, "The store has no index \(number). 'cellmap replay --list' shows those it has.")
    }
    let held = try projections { () throws(ProjectionError) in
      let held = try session.index.claim(number)
      try session.index.check(number, store: session.journal.store)
      // Others write meanwhile; under the lease little is left.
      try session.index.prepareSwitchBack(to: number, with: session.journal)
      return held
    }
    defer { withExtendedLifetime(held) {} }
    let reached = try session.withLease(Cellmap.words) { () throws(CommandFailure) in
      try projections { () throws(ProjectionError) in
        try session.index.switchBack(to: number, with: session.journal)
      }
    }
    let path = session.index.path(of: number)
    if json {
      Console.print(
        JSONValue.object([
          "index": .text(path), "generation": .number(number),
          "position": .printed(reached.position),
        ]).line)
    } else {
      Console.say("\(path) serves now, up to \(reached.position).")
    }
  }

  func prune(keep: Int) throws(CommandFailure) {
    let (removed, scratch) = try session.withLease(Cellmap.words) { () throws(CommandFailure) in
      let removed = try projections { () throws(ProjectionError) in
        try session.index.prune(keeping: keep, store: session.journal.store)
      }
      return (removed, session.index.removeAbandonedScratch())
    }
    if json {
      Console.print(
        JSONValue.object([
          "removed": .list(removed.map { .number($0.number) }),
          "scratch": .list(scratch.map { .text($0) }),
        ]).line)
      return
    }
    for generation in removed { Console.say("Removed \(generation.path).") }
    for name in scratch { Console.say("Removed \(name), which a killed run had left.") }
    if removed.isEmpty, scratch.isEmpty { Console.print("Nothing to remove.") }
  }

  // MARK: Output

  private func fileName(_ generation: FoundGeneration) -> String {
    String(generation.path.split(separator: "/").last ?? "")
  }

  // Kept out of its caller, where it makes Swift 6.3's optimiser end with an error.
  @inline(never)
  private func position(_ generation: FoundGeneration) -> String? {
    generation.position?.description
  }

  private func fields(_ generation: FoundGeneration) -> [String: JSONValue] {
    var fields: [String: JSONValue] = [
      "generation": .number(generation.number), "index": .text(generation.path),
      "position": .printed(generation.position), "serves": .flag(generation.isServing),
      "state": .text(state(generation)),
    ]
    if case .unusable(let error) = generation.content { fields["error"] = .text("\(error)") }
    return fields
  }

  private func state(_ generation: FoundGeneration) -> String {
    switch generation.content {
    case .upTo: generation.isServing ? "serves" : "can serve"
    case .beingMade: "being made"
    case .unfinished: "unfinished"
    case .unusable: "unusable"
    }
  }
}
