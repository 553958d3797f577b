/// How long the journal was, and the root of its tree then: what is signed, and kept elsewhere.
///
/// Its text is that of C2SP's checkpoints: the origin `cellmap/STORE/EPOCH-ID`, the number of entries,
/// the root.
public struct TreeCheckpoint: Hashable, Sendable {
  public let store: StoreID
  /// The epoch of the last entry.
  public let epoch: EpochID
  /// How many entries there are: the index of the last one.
  public let size: UInt64
  public let root: Digest

  public init(store: StoreID, epoch: EpochID, size: UInt64, root: Digest) {
    self.store = store
    self.epoch = epoch
    self.size = size
    self.root = root
  }

  /// Whose journal it is, in which epoch; also the name of the key that signs it.
  public var origin: String { "cellmap/\(store)/\(epoch)" }

  var text: String {
    "\(origin)\n\(size)\n\(Base64.standard.text(of: root.bytes))\n"
  }

  /// Reads the text of a note; its signatures are not checked by that. Lines behind the root are
  /// passed over.
  ///
  /// - Throws: `malformed`.
  public init(of note: SignedNote) throws(NoteError) {
    let lines = note.text.split(separator: "\n", omittingEmptySubsequences: false)
    guard lines.count >= 4 else { throw .malformed("it has not three lines of text") }
    let origin = lines[0].split(separator: "/", omittingEmptySubsequences: false)
    guard origin.count == 3, origin[0] == "cellmap", let store = StoreID(String(origin[1])),
      let epoch = EpochID(String(origin[2]))
    else { throw .malformed("its origin is not that of a journal of cellmap") }
    guard let size = UInt64(lines[1]), "\(size)" == lines[1], size > 0 else {
      throw .malformed("its second line is no number of entries")
    }
    guard let bytes = Base64.standard.bytes(of: String(lines[2])), let root = Digest(bytes: bytes)
    else { throw .malformed("its third line is no root") }
    self.init(store: store, epoch: epoch, size: size, root: root)
    guard self.origin == lines[0] else { throw .malformed("its origin has another form") }
  }
}
