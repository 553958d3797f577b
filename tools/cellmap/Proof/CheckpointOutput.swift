import Journal

/// How checkpoints and their keys are printed.
enum CheckpointOutput {
  static func print(
    _ note: SignedNote, _ checkpoint: TreeCheckpoint, _ key: CheckpointKey, json: Bool
  ) {
    guard json else {
      // The note as it is, to be redirected into a file.
      return Console.print(String(note.content.dropLast()))
    }
    Console.print(
      JSONValue.object([
        "checkpoint": .text(note.content), "origin": .text(checkpoint.origin),
        "size": .number(checkpoint.size), "root": .printed(checkpoint.root),
        "key": .text(key.verifier(of: checkpoint.epoch).text), "key_id": .printed(key.id),
      ]).line)
  }

  static func say(verified answer: [String: JSONValue]) {
    let checkpoint = answer["checkpoint"]
    Console.print(
      "The journal goes on from the checkpoint of \(counted(checkpoint?["size"]?.line ?? "", "entry")): it is at "
        + "\(answer.shown("position")), root \(answer.shown("root")).")
    Console.print("Signed by \(checkpoint?["key"]?.string ?? "").")
    Console.print("Whether its entries are those of the tree, 'audit verify --full' says.")
  }

  /// The keys, under the name of the current epoch.
  static func show(
    keys: [CheckpointKey], _ session: StoreSession, _ options: StoreOptions
  ) throws(CommandFailure) {
    let epoch: EpochID
    do throws(JournalError) { epoch = try session.journal.checkpoint().epoch } catch {
      throw CommandFailure(error)
    }
    let signing = try SigningKeys.keyed { () throws(KeyError) in
      try CheckpointSigner.open(in: session.files.keys, store: session.journal.store)?.key.id
    }
    for key in keys {
      if options.json {
        Console.print(JSONValue.object(fields(of: key, epoch, isSigning: key.id == signing)).line)
      } else {
        Console.say(
          "\(key.verifier(of: epoch).text)  \(key.id == signing ? "signs" : "signed before"), made "
            + "\(key.madeAt) by \(key.actor): \(key.reason)")
      }
    }
    if keys.isEmpty, !options.json {
      Console.print("There is no key yet: 'audit checkpoint' makes it.")
    }
  }

  private static func fields(
    of key: CheckpointKey, _ epoch: EpochID, isSigning: Bool
  ) -> [String: JSONValue] {
    [
      "key": .text(key.verifier(of: epoch).text), "key_id": .printed(key.id),
      "pem": .text(key.pem), "made_at": .printed(key.madeAt), "previous": .printed(key.previous),
      "actor": .printed(key.actor), "reason": .printed(key.reason), "signs": .flag(isSigning),
    ]
  }

  static func print(rotated key: CheckpointKey, json: Bool) {
    if json {
      return Console.print(
        JSONValue.object([
          "key_id": .printed(key.id), "previous": .printed(key.previous), "pem": .text(key.pem),
          "made_at": .printed(key.madeAt), "reason": .printed(key.reason),
        ]).line)
    }
    Console.say(
      "Key \(key.id) signs from now on. Keep its public half elsewhere ('audit checkpoint --keys'); "
        + "checkpoints of the old one can still be checked.")
  }
}
