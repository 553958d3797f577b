internal import Crypto

/// Signs checkpoints: the secret half of a store's signing key, from `keys/checkpoint`.
public final class CheckpointSigner: Sendable {
  public let key: CheckpointKey
  private let folder: String
  private let secret: Curve25519.Signing.PrivateKey

  private init(key: CheckpointKey, folder: String, secret: Curve25519.Signing.PrivateKey) {
    self.key = key
    self.folder = folder
    self.secret = secret
  }

  /// The signer of a store; nil if none was made yet.
  ///
  /// - Parameter folder: The store's folder of keys.
  /// - Throws: `missing` if the store has no keys at all; `damaged` for a file that is no key, or
  ///   whose public half is missing or another; `file`.
  public static func open(
    in folder: String, store: StoreID
  ) throws(KeyError) -> CheckpointSigner? {
    guard KeyRing.holdsKeys(folder) else { throw .missing(folder + "/master") }
    let path = folder + "/checkpoint"
    let stored: StoredKey
    do throws(KeyError) {
      stored = try StoredKey(.checkpoint, in: folder, of: store)
    } catch {
      if case .missing = error { return nil }
      throw error
    }
    guard
      let secret = try? Curve25519.Signing.PrivateKey(rawRepresentation: stored.key),
      let key = try CheckpointKey.all(in: folder, store: store).first(where: { $0.id == stored.id }
      ),
      key.publicKey == Array(secret.publicKey.rawRepresentation)
    else { throw .damaged(path) }
    return CheckpointSigner(key: key, folder: folder, secret: secret)
  }

  /// Makes the first signer of a store; both halves are on disk once this returns. Under the write
  /// lease, so that only one is made.
  ///
  /// - Throws: `file`; there is none then.
  public static func make(
    in folder: String, store: StoreID, by actor: ByteText
  ) throws(KeyError) -> CheckpointSigner {
    try make(in: folder, store: store, after: nil, by: actor, reason: "the first key")
  }

  /// Makes a key that takes over from this one, whose secret half is gone once this returns; its
  /// public half stays. Under the write lease.
  ///
  /// - Parameter reason: One line, kept for ever in clear.
  /// - Throws: `file`; this key stays then.
  public func rotate(by actor: ByteText, reason: ByteText) throws(KeyError) -> CheckpointSigner {
    try removeStillborn()
    return try Self.make(in: folder, store: key.store, after: self, by: actor, reason: reason)
  }

  private static func make(
    in folder: String, store: StoreID, after previous: CheckpointSigner?, by actor: ByteText,
    reason: ByteText
  ) throws(KeyError) -> CheckpointSigner {
    let secret = Curve25519.Signing.PrivateKey()
    let key = CheckpointKey(
      id: KeyID(.timeOrdered(at: .now)), store: store,
      publicKey: Array(secret.publicKey.rawRepresentation), madeAt: .now,
      previous: previous?.key.id, actor: oneLine(actor), reason: oneLine(reason))
    let made = CheckpointSigner(key: key, folder: folder, secret: secret)
    var note = SignedNote(text: key.text)
    if let previous { note = previous.signed(note, as: previous.key.keyVerifier) }
    note = made.signed(note, as: key.keyVerifier)
    do throws(FileError) {
      // The public half first: a key that signs can always be checked.
      try SmallFile.replace(
        folder + "/" + CheckpointKey.prefix + key.id.description, with: Array(note.content.utf8))
    } catch {
      throw .file(error)
    }
    try StoredKey(.checkpoint, id: key.id, key: SymmetricKey(data: secret.rawRepresentation))
      .write(to: folder, of: store)
    return made
  }

  /// A note has no control characters but the ends of its lines.
  private static func oneLine(_ text: ByteText) -> ByteText {
    var line = ""
    for scalar in text.string.unicodeScalars {
      line.unicodeScalars.append(scalar.value < 0x20 ? " " : scalar)
    }
    return ByteText(String(line.prefix(CheckpointKey.maximumLineCharacters)))
  }

  /// A rotation that was killed leaves the public half of a key that never signed.
  private func removeStillborn() throws(KeyError) {
    for other in try CheckpointKey.all(in: folder, store: key.store)
    where other.previous == key.id {
      do throws(FileError) {
        try WorkFolder.remove(folder + "/" + CheckpointKey.prefix + other.id.description)
      } catch {
        throw .file(error)
      }
    }
  }

  /// Signs a checkpoint of this store.
  public func sign(_ checkpoint: TreeCheckpoint) -> SignedNote {
    precondition(checkpoint.store == key.store, "a key signs for its own store")
    return signed(SignedNote(text: checkpoint.text), as: key.verifier(of: checkpoint.epoch))
  }

  private func signed(_ note: SignedNote, as name: NoteKey) -> SignedNote {
    guard let signature = try? secret.signature(for: Array(note.text.utf8)) else {
      preconditionFailure("Ed25519 signs any text")
    }
    var note = note
    note.signatures.append(
      SignedNote.Signature(name: name.name, keyHash: name.hash, bytes: Array(signature)))
    precondition(name.verifies(note), "a signature is checked before it is given away")
    return note
  }
}
