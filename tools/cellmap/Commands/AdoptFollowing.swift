import ArgumentParser
import Journal
import Recovery
import Registry

/// The options of `adopt --follow`.
struct FollowOptions: ParsableArguments {
  @Flag(
    help: "Goes on beside a live Nova: reads again each interval and records what has changed.")
  var follow = false
  @Option(help: ArgumentHelp("With --follow: from one reading to the next.", valueName: "seconds"))
  var interval = 60
  @Option(help: ArgumentHelp("With --follow: ends after so many readings.", valueName: "count"))
  var rounds: Int?
  @Option(
    help: ArgumentHelp(
      "With --follow: how many hosts and mappings may vanish between two readings; else 100, or one "
        + "in a hundred of them.", valueName: "count"))
  var pruneLimit: UInt64?

  func validate() throws {
    guard (1...86_400).contains(interval) else {
      throw ValidationError("--interval must be 1 to 86400 seconds.")
    }
    guard rounds ?? 1 > 0 else { throw ValidationError("--rounds must be at least 1.") }
    if !follow, rounds != nil || pruneLimit != nil {
      throw ValidationError("--rounds and --prune-limit want --follow.")
    }
  }
}

/// `cellmap adopt --follow`: reads Nova's API database at intervals until it is told to end.
struct AdoptFollowing {
  let session: StoreSession
  let choice: APIDatabaseChoice
  let reason: String?
  let options: FollowOptions
  let json: Bool

  /// Returns after the last round, or after SIGTERM or SIGINT and the chunk at hand.
  ///
  /// - Throws: What no later round mends; what the last of `--rounds` failed with.
  func run() throws(CommandFailure) {
    let stop = StopSignals()
    var rounds = try WatchRounds(
      session, choice, program: "adopt --follow", reason: reason, pruneLimit: options.pruneLimit)
    var trouble: String?
    var left = options.rounds
    Console.note(
      "cellmap: Following \(rounds.database), each \(options.interval) s. SIGTERM or SIGINT ends it."
    )
    while !stop.isRaised {
      let next = ContinuousClock.now + .seconds(options.interval)
      left = left.map { $0 - 1 }
      do throws(WatchFailure) {
        tell(try rounds.round { stop.isRaised })
        if trouble != nil { Console.note("cellmap: \(rounds.database) is followed again.") }
        trouble = nil
      } catch .adoption(.cancelled) {
        break
      } catch {
        Console.endProgress()
        let failure = error.failure(.none)
        guard error.mayPass, left != 0 else { throw failure }
        if trouble != failure.message {
          Console.note("cellmap: \(Console.safe(failure.message)) The next reading is tried again.")
        }
        trouble = failure.message
      }
      if left == 0 { break }
      stop.wait(until: next)
    }
    Console.endProgress()
    session.close()
  }

  private func tell(_ round: MapWatch<LiveCells>.Round) {
    let plan = round.plan
    func changes(_ count: AdoptionPlan.Count) -> UInt64 { count.differing + count.surplus }
    if json {
      return Console.print(
        JSONValue.object([
          "from": .printed(round.interval.from), "to": .printed(round.interval.to),
          "changed": .flag(round.outcome != nil), "cells": .number(changes(plan.cells)),
          "hosts": .number(changes(plan.hosts)), "instances": .number(changes(plan.instances)),
          "overtaken": .number(plan.overtaken), "owners_left": .number(plan.ownersLeft),
          "problem_count": .number(plan.problemCount),
          "problems": .list(plan.problems.map { .text($0) }),
          "position": .printed(round.outcome?.position ?? session.journal.head.position),
        ]).line)
    }
    if let outcome = round.outcome {
      Console.say(
        "\(round.interval.to)  \(changes(plan.cells)) cells, \(changes(plan.hosts)) hosts, "
          + "\(changes(plan.instances)) instances changed since "
          + "\(round.interval.from.map { "\($0)" } ?? "an unknown time"). Position \(outcome.position)."
      )
    }
    if plan.problemCount > 0 {
      Console.note(
        "cellmap: \(plan.problemCount) rows are passed over; the first: "
          + Console.safe(plan.problems.first ?? ""))
    }
  }
}
