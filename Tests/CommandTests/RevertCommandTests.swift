import Foundation
import Journal
import Projections
import Registry
import TestSupport
import Testing

@Suite(.waiting) struct RevertCommandTests {
  private let one = "\(instance(1))"
  private let two = "\(instance(2))"

  /// Entries 1:5 and 1:6 map instances 1 and 2 to alpha; 1:7 and 1:8 move them to beta; 1:9 gives alpha
  /// another queue.
  private func makePast(_ bed: CommandBed) throws {
    try bed.makeStore()
    for id in [one, two] {
      try bed.done("instance", "map", id, "--cell", "alpha", "--project", "p", "--reason", "boot")
    }
    for id in [one, two] {
      try bed.done("instance", "remap", id, "--cell", "beta", "--reason", "moved by mistake")
    }
    try bed.done("cell", "address", "alpha", "--queue", "rabbit://new:pw@q:1/", "--reason", "q")
  }

  private func route(_ bed: CommandBed, _ id: String) throws -> [String: Any] {
    try #require(try bed.run("route", id, "--reveal", "--json").objects.first)
  }

  @Test func `a dry run shows the plan, and the revert does it, with addresses and all`() throws {
    try withCommand { bed in
      try makePast(bed)
      let plan = try bed.done("revert", "7..9", "--dry-run", "--json").objects
      let end = try #require(plan.last)
      #expect(end["different"] as? Int == 3 && end["refused"] as? Int == 0)
      #expect(end["dry_run"] as? Bool == true && end["position"] as? String == "1:9")
      let told = try bed.done("revert", "1:7..1:9", "--dry-run")
      #expect(told.out.contains("cell beta → alpha") && !told.out.contains(":pw@"))
      #expect(try bed.done("status", "--json").object["position"] as? String == "1:9")
      #expect(try bed.run("revert", "7..9").status == 64)

      let request = "\(UUID128.random())"
      let words = ["revert", "7..9", "--reason", "CHG-9", "--request-id", request, "--json"]
      let done = try bed.done(words).object
      #expect(done["changed"] as? Bool == true && done["things"] as? Int == 3)
      #expect(done["from"] as? String == "1:7" && done["entries"] as? [Int] == [10, 12])
      #expect(try route(bed, one)["cell_name"] as? String == "alpha")
      #expect(try route(bed, one)["queue"] as? String == "rabbit://nova:pw@alpha:5672/")
      let again = try bed.done(words).object
      #expect(again["repeated"] as? Bool == true && again["entries"] as? [Int] == [10, 12])
      #expect(
        try bed.done("revert", "7..9", "--reason", "twice").out.contains("Nothing to change"))
      // The revert itself is undone by the next.
      try bed.done("revert", "10..12", "--reason", "after all")
      #expect(try route(bed, two)["cell_name"] as? String == "beta")
      #expect(
        try bed.done("audit", "history", one).out.contains("CHG-9"))
      try bed.done("audit", "verify")
    }
  }

  @Test func `what was changed since stands against it, by name and entry`() throws {
    try withCommand { bed in
      try makePast(bed)
      try bed.done("instance", "delete-mark", two, "--reason", "later")
      let dry = try bed.run("revert", "7..8", "--dry-run", "--json")
      #expect(dry.status == 9)
      let refused = try #require(dry.objects.first { $0["refused"] as? Bool == true })
      #expect(refused["instance"] as? String == two && refused["changed_by"] as? String == "1:10")
      let ran = try bed.run("revert", "7..8", "--reason", "undo")
      #expect(ran.status == 9 && ran.err.contains(two) && ran.err.contains("1:10"), "\(ran)")
      #expect(ran.err.hasSuffix("Nothing was done.\n"), "\(ran)")
      #expect(try bed.done("status", "--json").object["position"] as? String == "1:10")
      try bed.done("revert", "7", "--reason", "the one alone")
      #expect(try route(bed, one)["cell_name"] as? String == "alpha")
    }
  }

  @Test func `given again under its request it repeats its answer, whatever was changed since`()
    throws
  {
    try withCommand { bed in
      try makePast(bed)
      // Of three things one is as before already.
      try bed.done("instance", "remap", two, "--cell", "alpha", "--reason", "back")
      let request = "\(UUID128.random())"
      func words(_ range: String) -> [String] {
        ["revert", range, "--reason", "CHG-9", "--request-id", request, "--json"]
      }
      let done = try bed.done(words("7..9")).object
      #expect(done["things"] as? Int == 2 && done["as_before"] as? Int == 1, "\(done)")
      try bed.done("instance", "delete-mark", one, "--reason", "later")
      #expect(try bed.run("revert", "7..9", "--reason", "anew").status == 9)
      let again = try bed.done(words("7..9")).object
      #expect(again["repeated"] as? Bool == true && again["changed"] as? Bool == false)
      #expect(again["entries"] as? [Int] == done["entries"] as? [Int])
      #expect(again["things"] as? Int == 2 && again["as_before"] as? Int == 1, "\(again)")
      let other = try bed.run(words("7..8"))
      #expect(other.status == 9 && other.err.contains("another command"), "\(other)")
    }
  }

  @Test func `an address whose key was shredded doesn't come back`() throws {
    try withCommand { bed in
      try makePast(bed)
      try bed.done("keys", "rotate", "alpha", "--reason", "t")
      try bed.done("keys", "shred", "alpha", "--reason", "t")
      let position = try bed.done("status", "--json").object["position"] as? String
      let dry = try bed.run("revert", "9", "--dry-run", "--json")
      #expect(dry.status == 9 && dry.err.contains("'cell address"), "\(dry)")
      #expect(try dry.objects.last?["refused"] as? Int == 1)
      let refused = try #require(try dry.objects.first { $0["refused"] as? Bool == true })
      #expect(refused["cell"] as? String == "\(cell(1))")
      #expect((refused["why"] as? String)?.contains("shredded") == true, "\(refused)")
      let ran = try bed.run("revert", "9", "--reason", "x")
      #expect(ran.status == 9 && ran.err.contains("shredded"), "\(ran)")
      #expect(try bed.done("status", "--json").object["position"] as? String == position)
    }
  }

  @Test func `of several commits none is made if a rule stands against the last`() throws {
    try withCommand { bed in
      let api = try bed.makeCloud(instances: 0)
      try api.addInstances(0..<10_001, cell: { _ in 2 }, uuid: { "\(instance($0))" })
      try bed.done("init", "--cell0", "sqlite:///cell0.sqlite")
      let adopted = try bed.done("adopt", "sqlite:///api.sqlite", "--reason", "t", "--json").object
      let last = try #require((adopted["entries"] as? [Int])?.last)
      try bed.done("host", "add", "another", "--cell", "alpha", "--reason", "t")
      let request = "\(UUID128.random())"
      let words = ["revert", "3..\(last)", "--reason", "undo", "--request-id", request]
      let ran = try bed.run(words)
      #expect(ran.status == 9 && ran.err.contains("alpha has 1 hosts"), "\(ran)")
      #expect(ran.err.hasSuffix("Nothing was done.\n"), "\(ran)")
      #expect(
        try bed.done("status", "--json").object["position"] as? String == "1:\(last + 1)")
      // The same where the host had come between two commits.
      let position = try commitHalf(of: 3...UInt64(last), bed, request)
      let half = try bed.run(words)
      #expect(half.status == 9 && half.err.contains("alpha has 1 hosts"), "\(half)")
      #expect(!half.err.contains("othing was done"), "\(half)")
      #expect(
        half.err.contains(
          "Undone already: 10003 things, up to \(position). When that is mended, give the same command "
            + "again with '--request-id \(request)'."), "\(half)")
      try bed.done("host", "remove", "another", "--force", "--reason", "t")
      try damageIndex(bed)
      let done = try bed.done(words)
      #expect(done.err.contains("Making it again now."), "\(done)")
      #expect(try bed.done("instance", "list", "--count").out == "0\n")
      #expect(try bed.done(words).out.contains("Done before"))
    }
  }

  /// Undoes what became of cell0, the hosts and the first instances, as the command does under the request;
  /// gives the last entry.
  private func commitHalf(
    of indexes: ClosedRange<UInt64>, _ bed: CommandBed, _ request: String
  ) throws -> Position {
    let journal = try EventJournal.open(bed.path("store"))
    let index = IndexGenerations(folder: bed.path("store"))
    let map = LiveMap(over: try index.open(store: journal.store).reader)
    _ = try map.readHead(of: journal)
    let plan = try #require(try ReversalPlan(of: indexes, MapHistory(of: journal), map: map))
    let registry = MapRegistry(
      journal: journal, lock: journal.lock, command: "test", index: index,
      keys: try KeyRing.open(of: journal))
    let author = Authorship(actor: "a", program: "t", reason: "undo", observedAt: .now)
    for (reversal, chunk) in plan.commands().prefix(3) {
      var command = Command(
        .revert(reversal), by: author, request: try #require(RequestID(request)))
      command.bulk = BulkMark(title: plan.title, chunk: chunk)
      _ = try registry.submit(command)
    }
    try registry.close()
    return journal.head.position
  }

  /// Makes all instances of the index other ones than their checksums say.
  private func damageIndex(_ bed: CommandBed) throws {
    let name = try #require(try bed.done("status", "--json").object["index"] as? String)
    try SQLiteConnection(path: bed.path("store/\(name)"), mode: .readWrite)
      .execute("UPDATE instance SET nova_number = 4711")
  }

  @Test func `a damaged index is made again first`() throws {
    try withCommand { bed in
      try makePast(bed)
      for end in [["--dry-run"], ["--reason", "t"]] {
        try damageIndex(bed)
        let done = try bed.done(["revert", "7..9"] + end)
        #expect(done.err.contains("Making it again now."), "\(done)")
      }
      #expect(try route(bed, one)["cell_name"] as? String == "alpha")
    }
  }

  @Test func `rules stand against it too, and nonsense is usage`() throws {
    try withCommand { bed in
      try makePast(bed)
      // beta holds instances, and cell0 never goes.
      for (range, name) in [("4", "beta"), ("1..2", "cell0")] {
        for end in [["--dry-run"], ["--reason", "x"]] {
          let ran = try bed.run(["revert", range] + end)
          #expect(ran.status == 9 && ran.err.contains(name), "\(range): \(ran)")
          #expect(!ran.err.contains("--force"), "revert has none: \(ran)")
        }
      }
      for range in ["x", "9..7", "99", "1:", "..5", "7...9", "2:7..2:9", "1d ago..2d ago"] {
        let ran = try bed.run("revert", range, "--reason", "x")
        #expect(ran.status == 64 && !ran.err.isEmpty, "\(range): \(ran)")
      }
      #expect(try bed.done("status", "--json").object["position"] as? String == "1:9")
    }
  }
}
