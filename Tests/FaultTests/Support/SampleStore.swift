import Foundation
import Journal
import Projections
import Router
import TestServers
import TestSupport
import Testing

/// A small cloud of Nova's own databases, and a store beside it.
struct SampleCloud {
  /// Where the databases are.
  let folder: String

  /// Makes the databases with the tool that the demonstration uses.
  init(in folder: String, instances: Int, cells: Int = 2) throws {
    self.folder = folder + "/cloud"
    let tool = Checkout.file("tools/testbed/sample-cloud").path
    let made = try runProgram(
      "/usr/bin/env",
      [
        "python3", tool, self.folder, "--instances", "\(instances)", "--cells", "\(cells)",
        "--hosts", "2",
      ])
    try #require(made.status == 0, "\(made.summary)")
  }

  /// The words of `adopt`, into a store.
  func adopt(into store: String, request: UUID = UUID()) -> [String] {
    [
      "adopt", "sqlite:///\(folder)/nova_api.sqlite", "--store", store, "--reason", "test",
      "--base", folder + "/nova.conf", "--base-directory", folder, "--json", "--request-id",
      request.uuidString.lowercased(),
    ]
  }

  /// Instances and the names of their cells, as the tool says they are.
  func expectedCells() throws -> [String: String?] {
    let text = try String(contentsOfFile: folder + "/expected-routes.jsonl", encoding: .utf8)
    var result: [String: String?] = [:]
    for line in text.split(separator: "\n") {
      let object = try #require(
        try JSONSerialization.jsonObject(with: Data(line.utf8)) as? [String: Any])
      result[try #require(object["instance"] as? String)] = object["cell_name"] as? String
    }
    return result
  }
}

/// A folder with a sample cloud and a store that has adopted it.
struct SampleStore {
  let folder: String
  let cloud: SampleCloud
  var store: String { folder + "/store" }

  init(in folder: String, instances: Int = 40, isAdopted: Bool = true) throws {
    self.folder = folder
    cloud = try SampleCloud(in: folder, instances: instances)
    try expectDone(["init", "--store", store])
    if isAdopted { try expectDone(cloud.adopt(into: store)) }
  }

  /// The words of a command that maps a new instance.
  func map(_ instance: UUID, request: UUID = UUID(), cell: String = "cell1") -> [String] {
    [
      "instance", "map", instance.uuidString.lowercased(), "--cell", cell, "--project", "p",
      "--store", store, "--reason", "test", "--json", "--request-id",
      request.uuidString.lowercased(),
    ]
  }

  /// A router of this process over the store.
  func router() throws -> CellRouter {
    let journal = try EventJournal.open(store)
    return try CellRouter(
      journal: journal, index: IndexGenerations(folder: store),
      keys: AddressKeys.open(in: journal.files.keys, store: journal.store),
      base: AddressBase(folder: cloud.folder))
  }

  /// Copies the store to another folder of the same name, files and modes as they are.
  func copyStore(to path: String) throws {
    try? FileManager.default.removeItem(atPath: path)
    try FileManager.default.copyItem(atPath: store, toPath: path)
  }
}

/// Runs a command that must end with 0.
@discardableResult
func expectDone(
  _ arguments: [String], sourceLocation: SourceLocation = #_sourceLocation
) throws -> FinishedCommand {
  let done = try Cellmap.run(arguments)
  try #require(done.status == 0, "\(arguments): \(done.summary)", sourceLocation: sourceLocation)
  return done
}

/// What a journal holds, and what its index says of the instances.
struct StoreContent {
  let head: Position
  let digests: [Journal.Digest]
  let entries: [Entry]

  /// Opens a store as any reader does, and reads everything; the index is not looked at.
  init(of store: String) throws {
    let journal = try EventJournal.open(store)
    head = journal.head.position
    entries = try journal.entries(after: 0, limit: .max)
    digests = try entries.map { entry in
      // The leaf hash was compared with the tree when the entry was read.
      TreeHash.leaf(try entry.encoded())
    }
    try #require(entries.count == Int(head.index), "positions are dense")
    for (place, entry) in entries.enumerated() {
      try #require(entry.position.index == UInt64(place + 1), "positions are dense")
    }
  }

  /// Where instances are, by the journal alone.
  func instances() -> [InstanceID: InstanceRecord] {
    var rows: [InstanceID: InstanceRow] = [:]
    for entry in entries {
      guard case .instance(let id, let event) = entry.event else { continue }
      rows[id] = InstanceRow.folded(event, at: entry.position.index, into: rows[id])
    }
    return rows.mapValues(\.record)
  }
}

/// Compares the index that serves with a replay of the journal up to the index's checkpoint.
func expectIndexEqualsReplay(
  _ store: String, _ note: @autoclosure () -> String = "",
  sourceLocation: SourceLocation = #_sourceLocation
) throws {
  let journal = try EventJournal.open(store)
  let reader = try IndexGenerations(folder: store).open(store: journal.store).reader
  try reader.beginSnapshot()
  let checkpoint = try reader.checkpoint()
  let digest = try reader.checkIndex()
  let scratch = store + "-replayed-\(UUID().uuidString)"
  defer { for suffix in ["", "-wal", "-shm"] { unlink(scratch + suffix) } }
  _ = try journal.refresh()
  _ = try IndexReplay.run(
    journal, upTo: checkpoint.position.index, into: scratch,
    scratch: (scratch as NSString).deletingLastPathComponent)
  let replayed = try IndexReader(path: scratch).contentDigest()
  #expect(digest == replayed, "\(note())", sourceLocation: sourceLocation)
}

/// What was acknowledged by commands: it must be there for ever, the same.
struct Acknowledged {
  private var digests: [UInt64: Journal.Digest] = [:]
  private var highest: UInt64 = 0

  /// Notes what a command printed, or, without a store's content, that the position exists.
  mutating func note(_ command: FinishedCommand) {
    if let index = command.acknowledged { highest = max(highest, index) }
  }

  /// Everything that was ever seen in the journal is still there, and what was acknowledged is.
  mutating func check(
    _ content: StoreContent, _ note: String, sourceLocation: SourceLocation = #_sourceLocation
  ) {
    #expect(content.head.index >= highest, "lost: \(note)", sourceLocation: sourceLocation)
    for (place, digest) in content.digests.enumerated() {
      let index = UInt64(place + 1)
      if let known = digests[index] {
        #expect(known == digest, "changed: \(index), \(note)", sourceLocation: sourceLocation)
      }
      digests[index] = digest
    }
    #expect(
      digests.count == content.digests.count, "lost: \(note)", sourceLocation: sourceLocation)
  }
}
