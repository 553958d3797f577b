import Journal

/// How `audit verify` is answered.
enum VerifyOutput {
  static func fields(
    of verified: EventJournal.Verification, of store: StoreID, after point: VerifiedPoint?
  ) -> [String: JSONValue] {
    let isFull = verified.firstRead == 1
    let now = Timestamp.now
    return [
      "verified": .flag(true), "store": .printed(store),
      "position": .printed(verified.head.position), "root": .printed(verified.head.root),
      "entries": .number(verified.head.position.index), "commits": .number(verified.commits),
      "first_read": .number(verified.firstRead), "verified_at": .printed(now),
      "full_at": .printed(isFull ? now : point?.fullAt),
      "full_position": .printed(isFull ? verified.head.position : point?.fullPosition),
      "index_digest": .null, "history_digest": .null, "history_position": .null,
      "checkpoint": .null, "head": .text(verified.hasWitness ? "agrees" : "missing"),
    ]
  }

  /// What is kept of a verification for the next one.
  static func point(of answer: [String: JSONValue]) -> VerifiedPoint? {
    guard let store = answer["store"]?.string.flatMap({ StoreID($0) }),
      let position = answer["position"]?.string.flatMap({ Position($0) }),
      let root = answer["root"]?.string.flatMap({ Digest(hexadecimal: $0) }),
      let verifiedAt = answer["verified_at"]?.string.flatMap({ Timestamp($0) }),
      let fullAt = answer["full_at"]?.string.flatMap({ Timestamp($0) }),
      let fullPosition = answer["full_position"]?.string.flatMap({ Position($0) })
    else { return nil }
    return VerifiedPoint(
      store: store, position: position, root: root, verifiedAt: verifiedAt, fullAt: fullAt,
      fullPosition: fullPosition)
  }

  /// Nothing outside of the journal says how far it was: that is a finding.
  static func isWithoutHead(_ answer: [String: JSONValue]) -> Bool {
    answer["head"] == .text("missing")
  }

  static func say(_ answer: [String: JSONValue]) {
    Console.print(
      "The journal is whole: \(counted(answer.shown("entries"), "entry")) up to \(answer.shown("position")), "
        + "root \(answer.shown("root")).")
    if isWithoutHead(answer) {
      Console.print(
        "The file HEAD, which would tell of entries that were cut off, is missing or unreadable; the next "
          + "change makes it again. If nobody took it away, compare a kept checkpoint (--checkpoint)."
      )
    }
    let first = answer.shown("first_read")
    if first != "1" {
      Console.print(
        "Entries before \(first) were not read again, only the tree above them; everything was read "
          + "up to \(answer.shown("full_position")), at \(answer.shown("full_at")). "
          + (answer["index_digest"] == .null
            ? "--full reads them." : "The replay for the index compared them with the tree."))
    }
    if let digest = answer["index_digest"]?.string {
      Console.print("The index is what the journal says: content digest \(digest).")
    }
    if let position = answer["history_position"]?.string {
      Console.print("The history is what the journal says, up to \(position).")
    }
    if let checkpoint = answer["checkpoint"], checkpoint != .null {
      Console.print(
        "The journal goes on from the checkpoint of \(counted(checkpoint["size"]?.line ?? "", "entry"))."
      )
    }
  }
}
