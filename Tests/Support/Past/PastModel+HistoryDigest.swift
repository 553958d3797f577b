public import Journal

extension PastModel {
  /// The content digest of a history file that has come to an entry, after docs/history-format.md.
  public func historyDigest(at index: UInt64) -> Digest? {
    var buckets = DocumentedBuckets()
    func touch(_ hash: UInt128, _ entry: Int) {
      let entity = DocumentedHash.checksum(hash)
      let row = DocumentedHash.row(table: 3, [.integer(entity), .integer(Int64(entry))])
      buckets.add(row, to: Int(UInt64(bitPattern: entity) >> (64 - 14)))
    }
    for (place, draft) in drafts.prefix(Int(index)).enumerated() {
      touch(Self.mark(of: draft.event.entity), place + 1)
      switch draft.event {
      case .cell(_, .added): touch(DocumentedHash.row(table: 2, [.integer(1)]), place + 1)
      case .host(_, .mapped): touch(DocumentedHash.row(table: 2, [.integer(2)]), place + 1)
      default: break
      }
    }
    return buckets.contentDigest
  }

  private static func mark(of entity: EntityKey) -> UInt128 {
    let columns: [DocumentedColumn] =
      switch entity {
      case .store: [.integer(0), .uuid(.zero)]
      case .cell(let id): [.integer(1), .uuid(id.uuid)]
      case .host(let name): [.integer(2), .text(name)]
      case .instance(let id): [.integer(3), .uuid(id.uuid)]
      }
    return DocumentedHash.row(table: 1, columns)
  }
}
