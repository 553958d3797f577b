import Foundation
import Journal
import Projections
import Registry
import Router
import TestServers
import TestSupport

@testable import Recovery

extension AdoptionBed {
  /// A run of `publish`.
  struct Publishing {
    var isNovaStopped = true
    var request = RequestID(.random())
    var isRetry = false
    var planOnly = false
    var globals: GlobalTables = []
    var isReadOnly = false
    var patience = NovaAPIDatabase.patience
    /// What others do between the look at a page and its writing.
    var meanwhile: () -> Void = {}
  }

  struct Published {
    /// What was found before anything was written.
    let plan: PublicationPlan
    let done: PublicationPlan
    let outcome: Outcome?

    func reasons(_ kind: PublicationPlan.Finding.Kind) -> [String] {
      done.findings.filter { $0.kind == kind }.map(\.reason)
    }
  }

  @discardableResult
  func publish(into api: PublishedAPI, _ run: Publishing = Publishing()) throws -> Published {
    try withPublication(into: api, run) { publication, registry in
      let plan = try publication.plan { _ in }
      guard !run.planOnly else { return Published(plan: plan, done: plan, outcome: nil) }
      let result = try publication.apply(plan, through: registry) { _ in }
      return Published(plan: plan, done: result.done, outcome: result.outcome)
    }
  }

  /// Writes the statements into a file instead.
  @discardableResult
  func writeScript(
    for api: PublishedAPI, to path: String, revealing: Bool = true, globals: GlobalTables = []
  ) throws -> PublicationPlan {
    try withPublication(into: api, Publishing(globals: globals)) { publication, _ in
      try publication.writeScript(
        try publication.plan { _ in }, to: path, revealing: revealing
      ) { _ in }
    }
  }

  func withPublication<Result>(
    into api: PublishedAPI, _ run: Publishing,
    _ body: (MapPublication, MapRegistry) throws -> Result
  ) throws -> Result {
    let journal = try EventJournal.open(store)
    let generations = IndexGenerations(folder: journal.files.directory)
    let registry = MapRegistry(
      journal: journal, lock: journal.lock, command: "test", index: generations, keys: keys)
    try registry.projectTail()
    defer { try? registry.close() }
    let index = try generations.open(store: journal.store).reader
    _ = try index.beginSnapshot()
    var publication = MapPublication(
      of: index, journal: journal,
      history: run.isNovaStopped ? nil : try MapHistory(of: journal), keys: keys,
      into: try PublicationTarget(
        api.address, relativeTo: folder, globals: run.globals,
        isReadOnly: run.isReadOnly, patience: run.patience),
      options: PublicationOptions(
        authorship: AdoptionBed.actor, request: run.request, isNovaStopped: run.isNovaStopped,
        isRetry: run.isRetry, globals: run.globals),
      globals: run.globals.isEmpty
        ? nil
        : try GlobalSource(
          CellRouter(
            journal: journal, index: generations, keys: keys.addresses,
            base: AddressBase(folder: folder)),
          stagingIn: journal.files.directory))
    publication.beforeWriting = run.meanwhile
    return try body(publication, registry)
  }

  /// The map as text, whatever entries it came by.
  func facts() throws -> [String] {
    let index = try map().index
    var facts = try index.cells().map { id, row in
      "\(id) \(row.record.name?.string ?? "-") \(row.record.database?.publicForm.string ?? "-") "
        + "\(row.record.queue?.publicForm.string ?? "-") \(row.record.disabled as Any) "
        + "\(row.record.row)"
    }
    facts += try index.hosts().map { "\($0.name) \($0.row.record)" }
    var after: InstanceID?
    while case let page = try index.instances(after: after, limit: 1_000), let last = page.last {
      for item in page {
        var record = item.row.record
        record.lastSeen = nil
        facts.append("\(item.id) \(record)")
      }
      after = last.id
    }
    return facts
  }
}

/// A store with an adopted map of three cells, two hosts and some instances, and an empty API
/// database to publish into.
func withPublishing(
  _ engine: APIEngine = .sqlite, instances: Int = 10, on server: TestServer? = nil,
  _ body: (AdoptionBed, PublishedAPI) throws -> Void
) throws {
  try withTemporaryFolder { folder in
    let bed = try AdoptionBed(in: folder)
    try bed.addCells()
    if instances > 0 {
      try bed.api.addInstances(
        1..<instances + 1, cell: { $0 % 3 + 1 }, uuid: { "\(instance($0))" })
    }
    try bed.adopt()
    try body(bed, try PublishedAPI(engine, in: folder, on: server))
  }
}
