import Foundation
@testable import Journal
import Testing

/// Two stores of the same entries: one whole, and one whose first tiles are archived.
struct ArchiveBed {
  let folder: String
  private let id = StoreID(.random())
  private let first: [EntryDraft]

  var whole: String { folder + "/whole" }
  var store: String { folder + "/store" }
  /// The files of the archives, oldest first.
  private(set) var files: [String] = []

  init(in folder: String, entries: Int) throws {
    self.folder = folder
    first = Drafts.first(of: id)
    for store in [whole, store] {
      _ = try StoreBeginning(store, store: id).finish(first)
    }
    try append(entries)
  }

  /// Appends mappings to both, in commits of many sizes.
  func append(_ count: Int) throws {
    let all = Drafts.mappings(0..<count)
    for directory in [whole, store] {
      let journal = try EventJournal.open(directory)
      var rest = all[...]
      var size = 1
      while !rest.isEmpty {
        try journal.appendNow(Array(rest.prefix(size)))
        rest = rest.dropFirst(size)
        size = size % 90 + 7
      }
    }
  }

  /// Writes the archive and its entry, and leaves the journal as it is.
  mutating func note(through last: UInt64) throws -> ArchivePoint {
    let journal = try EventJournal.open(store)
    let point = try JournalArchiving.write(through: last, of: journal)
    let draft = Drafts.draft(.store(.archived(point)))
    try journal.appendNow([draft])
    try EventJournal.open(whole).appendNow([draft])
    files.append(journal.files.path(point.file.string))
    return point
  }

  mutating func archive(through last: UInt64) throws {
    let point = try note(through: last)
    _ = try JournalArchiving.shrink(EventJournal.open(store), to: point, command: "test")
  }
}

func withArchives(
  entries: Int, through cuts: [UInt64], _ body: (inout ArchiveBed) throws -> Void
) throws {
  try withTemporaryDirectory { folder in
    var bed = try ArchiveBed(in: folder, entries: entries)
    for cut in cuts { try bed.archive(through: cut) }
    try body(&bed)
  }
}
