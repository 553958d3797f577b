import ArgumentParser
import Foundation
import Journal

struct AuditCheckpointCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "checkpoint", abstract: "Signs how far the journal is, to be kept elsewhere.",
    discussion: """
      Prints a signed note (C2SP tlog-checkpoint, Ed25519): the store and epoch, the number of entries, \
      the root. Keep it where whoever can write the store can't: by --verify it shows later whether \
      the journal still goes on from there. The key is made with the first checkpoint and kept in the \
      store's folder keys/; --keys prints its public half, to be kept elsewhere too.
      """)
  @OptionGroup var store: StoreOptions
  @Option(help: "A checkpoint that was kept: does the journal go on from it?")
  var verify: String?
  @Option(help: CheckpointFile.keyHelp) var key: String?
  @Flag(help: "Shows the public halves of the keys that sign, or signed.") var keys = false
  @Flag(help: "Shows the public half of the key that signs, as OpenSSL reads it.") var pem = false
  @Flag(help: "A new key signs from now on; checkpoints of the old one can still be checked.")
  var rotate = false
  @Option(help: "With --rotate: why; required, and kept for ever in clear.") var reason: String?

  func validate() throws {
    guard [verify != nil, keys, pem, rotate].filter(\.self).count <= 1 else {
      throw ValidationError("Give one of --verify, --keys, --pem and --rotate.")
    }
    guard !pem || !store.json else {
      throw ValidationError("--pem is text for OpenSSL: give it without --json, or --keys --json.")
    }
    guard key == nil || verify != nil else { throw ValidationError("--key wants --verify.") }
    let isReasoned = reason?.contains { !$0.isWhitespace } == true
    guard rotate == isReasoned else {
      throw ValidationError("--rotate wants --reason TEXT, and --reason wants --rotate.")
    }
    try PlainText.checkSentence(reason, "--reason")
  }

  func run() throws {
    if let verify { return try check(verify) }
    let session = try StoreSession(store)
    if keys { return try CheckpointOutput.show(keys: try allKeys(session), session, store) }
    if pem { return Console.print(try signer(session).key.pem) }
    if rotate { return try rotate(session) }
    try sign(session)
  }

  private func check(_ path: String) throws(CommandFailure) {
    var arguments = ["checkpoint-worker", "--store", store.folder, "--checkpoint=\(path)"]
    if let key { arguments.append("--key=\(key)") }
    let answer = try ChildWork.answer(to: arguments)
    if store.json { return Console.print(JSONValue.object(answer).line) }
    CheckpointOutput.say(verified: answer)
  }

  private func sign(_ session: StoreSession) throws(CommandFailure) {
    let signer = try signer(session)
    let checkpoint: TreeCheckpoint
    do throws(JournalError) {
      checkpoint = try session.journal.durableCheckpoint()
    } catch {
      throw CommandFailure(error)
    }
    CheckpointOutput.print(signer.sign(checkpoint), checkpoint, signer.key, json: store.json)
  }

  private func rotate(_ session: StoreSession) throws(CommandFailure) {
    let old = try signer(session)
    let new = try session.withLease(Cellmap.words) { () throws(CommandFailure) in
      try SigningKeys.keyed { () throws(KeyError) in
        // Another may have rotated it meanwhile.
        let current = try CheckpointSigner.open(
          in: session.files.keys, store: session.journal.store)
        return try (current ?? old).rotate(by: Caller.actor, reason: ByteText(reason ?? ""))
      }
    }
    CheckpointOutput.print(rotated: new.key, json: store.json)
  }

  private func signer(_ session: StoreSession) throws(CommandFailure) -> CheckpointSigner {
    try SigningKeys.signer(of: session)
  }

  private func allKeys(_ session: StoreSession) throws(CommandFailure) -> [CheckpointKey] {
    try SigningKeys.keyed { () throws(KeyError) in
      try CheckpointKey.all(in: session.files.keys, store: session.journal.store)
    }
  }
}

/// The hidden half of `audit checkpoint --verify`, in a process of its own.
struct CheckpointWorkerCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "checkpoint-worker", shouldDisplay: false)
  @OptionGroup var store: StoreOptions
  @OptionGroup var child: ChildOptions
  @Option var checkpoint: String
  @Option var key: String?

  func run() throws {
    try child.join()
    let file = try CheckpointFile(checkpoint, key: key)
    let journal = try OpenJournal.open(store)
    Console.print(
      JSONValue.object([
        "checkpoint": try file.compare(with: journal), "position": .printed(journal.head.position),
        "root": .printed(journal.head.root), "store": .printed(journal.store),
      ]).line)
  }
}
