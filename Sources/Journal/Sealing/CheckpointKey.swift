/// A key that signs checkpoints, or did: its public half, and who made it, when and why.
///
/// Each is a signed note in `keys/checkpoint-UUID`, signed by the key itself and by the one before it, so
/// that whoever knows one of them can follow the others.
public struct CheckpointKey: Hashable, Sendable {
  public let id: KeyID
  public let store: StoreID
  /// 32 bytes.
  public let publicKey: [UInt8]
  public let madeAt: Timestamp
  /// The key that it took over from; nil for the first.
  public let previous: KeyID?
  public let actor: ByteText
  public let reason: ByteText

  static let prefix = "checkpoint-"
  static let maximumLineCharacters = 4096

  /// The key under the name with which it signs checkpoints of an epoch.
  public func verifier(of epoch: EpochID) -> NoteKey {
    NoteKey(name: "cellmap/\(store)/\(epoch)", publicKey: publicKey)
  }

  /// The public half as OpenSSL reads it.
  public var pem: String { keyVerifier.pem }

  /// The key under the name with which it signs keys.
  var keyVerifier: NoteKey { NoteKey(name: "cellmap/\(store)/key", publicKey: publicKey) }

  /// What is signed of it.
  var text: String {
    """
    cellmap/\(store)/key
    \(id)
    \(Base64.standard.text(of: publicKey))
    \(madeAt)
    \(previous?.description ?? "none")
    \(actor)
    \(reason)

    """
  }

  /// Reads the note of a key; nil if it is not signed by itself.
  init?(_ note: SignedNote) {
    let lines = note.text.split(separator: "\n", omittingEmptySubsequences: false).map(String.init)
    guard lines.count == 8 else { return nil }
    let origin = lines[0].split(separator: "/")
    guard origin.count == 3, let store = StoreID(String(origin[1])), let id = KeyID(lines[1]),
      let publicKey = Base64.standard.bytes(of: lines[2]),
      publicKey.count == NoteKey.publicKeyBytes, let madeAt = Timestamp(lines[3])
    else { return nil }
    self.init(
      id: id, store: store, publicKey: publicKey, madeAt: madeAt, previous: KeyID(lines[4]),
      actor: ByteText(lines[5]), reason: ByteText(lines[6]))
    guard text == note.text, keyVerifier.verifies(note) else { return nil }
  }

  init(
    id: KeyID, store: StoreID, publicKey: [UInt8], madeAt: Timestamp, previous: KeyID?,
    actor: ByteText, reason: ByteText
  ) {
    self.id = id
    self.store = store
    self.publicKey = publicKey
    self.madeAt = madeAt
    self.previous = previous
    self.actor = actor
    self.reason = reason
  }

  /// The keys of a store, oldest first, each signed by the one before it.
  ///
  /// - Throws: `damaged` for a note that isn't what it should be, `file`.
  public static func all(in folder: String, store: StoreID) throws(KeyError) -> [CheckpointKey] {
    var notes: [KeyID: (key: CheckpointKey, note: SignedNote)] = [:]
    for name in try names(in: folder) {
      let path = folder + "/" + name
      guard let note = try? SignedNote(parsing: try read(path)), let key = CheckpointKey(note),
        key.store == store, name == prefix + key.id.description
      else { throw .damaged(path) }
      notes[key.id] = (key, note)
    }
    for (key, note) in notes.values {
      guard let previous = key.previous else { continue }
      guard notes[previous]?.key.keyVerifier.verifies(note) == true else {
        throw .damaged("\(folder)/\(prefix)\(key.id), not signed by the key before it,")
      }
    }
    return notes.values.map(\.key).sorted { $0.id < $1.id }
  }

  static func names(in folder: String) throws(KeyError) -> [String] {
    do throws(FileError) {
      return try SmallFile.names(in: folder).filter {
        $0.hasPrefix(prefix) && !$0.hasSuffix(".new")
      }
    } catch {
      if error.isMissing { return [] }
      throw .file(error)
    }
  }

  private static func read(_ path: String) throws(KeyError) -> [UInt8] {
    do throws(FileError) {
      return try SmallFile.read(path, limit: SignedNote.maximumBytes)
    } catch {
      throw .file(error)
    }
  }
}
