import ArgumentParser
import Foundation
import Journal

/// A checkpoint that was kept somewhere, and the key that should have signed it.
struct CheckpointFile {
  let path: String
  private let note: SignedNote
  private let checkpoint: TreeCheckpoint
  private let given: String?

  static let keyHelp = ArgumentHelp(
    "The public key that signed the checkpoint, as 'audit checkpoint --keys' printed it; without it, "
      + "the keys in the store's folder are believed.", valueName: "key")

  /// Reads a checkpoint; its signature is checked against a store later.
  ///
  /// - Throws: `usage` for a file that isn't there or is no checkpoint.
  init(_ path: String, key: String?) throws(CommandFailure) {
    self.path = path
    given = key
    do {
      let bytes = try SmallFile.readGiven(path, limit: SignedNote.maximumBytes)
      note = try SignedNote(parsing: Self.withoutTraces(ofMail: bytes))
      checkpoint = try TreeCheckpoint(of: note)
    } catch let error as NoteError {
      throw CommandFailure(.usage, "\(path): \(error)")
    } catch {
      throw CommandFailure(.usage, "\(error)")
    }
  }

  /// What mail and editors do to a text doesn't make a checkpoint another: ends of lines with a carriage return,
  /// and empty lines behind it.
  private static func withoutTraces(ofMail bytes: [UInt8]) -> [UInt8] {
    var lines = bytes.split(separator: 0x0A, omittingEmptySubsequences: false)
      .map { $0.last == 0x0D ? $0.dropLast() : $0 }
    while lines.last?.isEmpty == true { lines.removeLast() }
    return Array(lines.joined(separator: [0x0A])) + [0x0A]
  }

  /// Checks the signature, and that a journal goes on from the checkpoint.
  ///
  /// - Returns: The checkpoint, and the proof.
  /// - Throws: `integrity` if the signature is another's, or the history was changed; `finding` if an
  ///   epoch was opened that says that it left this history; `refused` for another store's.
  func compare(with journal: EventJournal) throws(CommandFailure) -> JSONValue {
    guard checkpoint.store == journal.store else {
      throw CommandFailure(
        .refused,
        "\(path) is a checkpoint of store \(checkpoint.store), not of \(journal.store).")
    }
    let key = try signingKey(journal)
    let comparison: CheckpointComparison
    do throws(JournalError) { comparison = try journal.compare(with: checkpoint) } catch {
      throw CommandFailure(error)
    }
    switch comparison {
    case .continued(let proof):
      return .object([
        "origin": .text(checkpoint.origin), "size": .number(checkpoint.size),
        "root": .printed(checkpoint.root), "key": .text(key.text),
        "proof": .object(ProofOutput.fields(of: proof)),
      ])
    case .left(let start):
      throw CommandFailure(
        .finding,
        "The history of \(path) was left: \(start.position) opened an epoch that keeps "
          + "\(start.opening.commonIndex) of the checkpoint's \(checkpoint.size) entries, by "
          + "\(start.authorship.actor) at \(start.authorship.observedAt): "
          + "\(start.authorship.reason?.string ?? "no reason given"). The journal is whole.")
    case .ofUnknownEpoch(let start):
      throw CommandFailure(
        .finding,
        "\(path) is of epoch \(checkpoint.epoch), which this journal does not have. \(start.position), opened "
          + "by \(start.authorship.actor) at \(start.authorship.observedAt) "
          + "(\(start.authorship.reason?.string ?? "no reason given")), keeps \(start.opening.commonIndex) of "
          + "\(start.opening.leftIndex) entries and left the others: the epoch may have been among them, or be that "
          + "of another copy of this store. Compare a checkpoint of an epoch that the journal has.")
    case .rewritten(let why):
      throw CommandFailure(
        .integrity,
        "The journal does not go on from \(path): \(why). The history was rewritten since, and no "
          + "entry says so. Restore a backup of before.")
    }
  }

  private func signingKey(_ journal: EventJournal) throws(CommandFailure) -> NoteKey {
    let keys: [NoteKey]
    if let given {
      let key = try Self.key(given, for: checkpoint)
      keys = key.verifies(note) ? [key] : try successors(of: key, journal)
    } else {
      do throws(KeyError) {
        keys = try CheckpointKey.all(in: journal.files.keys, store: journal.store)
          .map { $0.verifier(of: checkpoint.epoch) }
      } catch {
        throw CommandFailure(error)
      }
      guard !keys.isEmpty else {
        throw CommandFailure(
          .usage,
          "The store's folder has no key that signs checkpoints. Give the one of \(path) with "
            + "--key.")
      }
    }
    guard let key = keys.first(where: { $0.verifies(note) }) else {
      throw CommandFailure(
        .integrity,
        "\(path) is not signed by "
          + (given == nil
            ? "a key of this store" : "the key of --key, nor by one that took over from it")
          + ": it was changed, or is another's. It says nothing of the journal.")
    }
    return key
  }

  /// The keys that took over from one, each signed by the one before it.
  private func successors(
    of key: NoteKey, _ journal: EventJournal
  ) throws(CommandFailure) -> [NoteKey] {
    let all: [CheckpointKey]
    do throws(KeyError) {
      all = try CheckpointKey.all(in: journal.files.keys, store: journal.store)
    } catch {
      throw CommandFailure(error)
    }
    var followed: [CheckpointKey] = []
    var last = all.first { $0.publicKey == key.publicKey }
    while let known = last, let next = all.first(where: { $0.previous == known.id }),
      !followed.contains(next)
    {
      followed.append(next)
      last = next
    }
    return followed.map { $0.verifier(of: checkpoint.epoch) }
  }

  /// A key in the form of verifiers, whatever epoch it is named for.
  private static func key(
    _ text: String, for checkpoint: TreeCheckpoint
  ) throws(CommandFailure) -> NoteKey {
    // A line of 'audit checkpoint --keys' says behind the key who made it, and when.
    let verifier = text.split(whereSeparator: \.isWhitespace).first.map(String.init) ?? text
    guard let key = NoteKey(verifier) else {
      throw CommandFailure(
        .usage, "--key wants a public key as 'audit checkpoint --keys' prints it (NAME+HASH+KEY).")
    }
    return key.named(checkpoint.origin)
  }
}
