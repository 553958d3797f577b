import Foundation
@testable import Journal
import Testing

/// Gives `body` the path of a new directory of mode 0700 and removes it afterwards.
func withTemporaryDirectory<Result>(_ body: (String) throws -> Result) throws -> Result {
  let folder = FileManager.default.temporaryDirectory
    .appending(path: "cellmap journal-\(UUID().uuidString)").path
  try FileManager.default.createDirectory(
    atPath: folder, withIntermediateDirectories: true, attributes: [.posixPermissions: 0o700])
  defer { try? FileManager.default.removeItem(atPath: folder) }
  return try body(folder)
}

/// Gives `body` a new journal with the two entries that `init` makes.
func withTemporaryJournal<Result>(
  options: EventJournal.Options = EventJournal.Options(), _ body: (EventJournal) throws -> Result
) throws -> Result {
  try withTemporaryDirectory { folder in
    try body(try makeJournal(folder + "/store", options: options))
  }
}

func makeJournal(
  _ directory: String, options: EventJournal.Options = EventJournal.Options()
) throws -> EventJournal {
  let beginning = try StoreBeginning(directory)
  return try beginning.finish(Drafts.first(of: beginning.store), options: options)
}

enum Drafts {
  static let authorship = Authorship(
    actor: "tester", program: "tests/1", reason: "because", observedAt: .now)

  static func first(of store: StoreID) -> [EntryDraft] {
    [
      opening(of: store, epoch: 1),
      draft(.cell(CellID(.zero), .added(CellRecord(name: "cell0", disabled: false)))),
    ]
  }

  static func opening(of store: StoreID, epoch: UInt32) -> EntryDraft {
    draft(
      .store(
        .epochOpened(
          EpochOpening(
            store: store, epoch: epoch, id: EpochID(.random()), cause: .initialized, commonIndex: 0,
            commonRoot: TreeHash.empty, leftIndex: 0, leftRoot: TreeHash.empty))))
  }

  static func mapping(_ number: Int, project: ByteText = "p") -> EntryDraft {
    draft(
      .instance(
        InstanceID(UUID128(high: UInt64(number), low: 1)),
        .mapped(
          InstanceRecord(
            cell: CellID(.zero), owner: InstanceOwner(project: project, user: "u"),
            isQueuedForDelete: false))))
  }

  static func mappings(_ range: Range<Int>) -> [EntryDraft] { range.map { mapping($0) } }

  static func draft(_ event: Event) -> EntryDraft {
    EntryDraft(
      event: event, authorship: authorship,
      request: RequestMark(id: RequestID(UUID128(high: 1, low: 2))))
  }
}

extension EventJournal {
  /// Appends under a lease of its own, to whatever the head is.
  @discardableResult
  func appendNow(_ drafts: [EntryDraft]) throws -> Head {
    let lease = try lock.acquire(command: "test")
    defer { lease.release() }
    return try append(drafts, expecting: try refresh().position, under: lease)
  }
}
