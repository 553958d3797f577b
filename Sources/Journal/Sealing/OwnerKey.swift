internal import Crypto
internal import Glibc

/// A project's key, which seals who owns its instances; its file holds it, with the project's name,
/// wrapped by the master.
///
/// Equal texts are sealed to equal bytes, so that owners can be compared, counted and found by an index
/// without the key: the nonce is made of the text. Nothing is equal across projects, fields or stores.
struct OwnerKey {
  let id: KeyID
  /// nil for the instances of no project.
  let project: ByteText?
  private let key: SymmetricKey
  private let sealKey: SymmetricKey
  private let nonceKey: SymmetricKey

  private static let magic = Array("CELLPRJ1".utf8)
  private static let prefix = "project-"
  private static let nonceBytes = 12

  static func path(of id: KeyID, in folder: String) -> String { "\(folder)/\(prefix)\(id)" }

  /// The key that a file of the folder is of; nil for another file.
  static func id(ofFile name: String) -> KeyID? {
    name.hasPrefix(prefix) ? KeyID(String(name.dropFirst(prefix.utf8.count))) : nil
  }

  static func random(of project: ByteText?) -> OwnerKey {
    OwnerKey(
      id: KeyID(.timeOrdered(at: .now)), project: project, key: SymmetricKey(size: .bits256))
  }

  init(id: KeyID, project: ByteText?, key: SymmetricKey) {
    self.id = id
    self.project = project
    self.key = key
    func derived(_ use: String) -> SymmetricKey {
      let code = HMAC<SHA256>.authenticationCode(
        for: Array("cellmap owner \(use)".utf8), using: key)
      return SymmetricKey(data: code)
    }
    sealKey = derived("seal")
    nonceKey = derived("nonce")
  }

  // MARK: Sealing

  func seal(_ text: ByteText, _ field: OwnerField, of store: StoreID) -> PersonalText {
    let clear = Array(text.string.utf8)
    let code = HMAC<SHA256>.authenticationCode(for: [field.rawValue] + clear, using: nonceKey)
    guard let nonce = try? AES.GCM.Nonce(data: Array(code)[..<Self.nonceBytes]),
      let sealed = try? AES.GCM.seal(
        clear, using: sealKey, nonce: nonce, authenticating: context(field, store)
      ).combined
    else { preconditionFailure("AES-GCM seals any text under a 256-bit key") }
    return .sealed(key: id, bytes: Array(sealed))
  }

  /// - Throws: `damaged` if the bytes were changed, or belong to another key, field or store.
  func open(
    _ sealed: [UInt8], _ field: OwnerField, of store: StoreID
  ) throws(KeyError) -> ByteText {
    guard let box = try? AES.GCM.SealedBox(combined: sealed),
      let clear = try? AES.GCM.open(
        box, using: sealKey, authenticating: context(field, store)),
      let text = ByteText(utf8: Array(clear))
    else { throw .damaged("a \(field) sealed by key \(id)") }
    return text
  }

  private func context(_ field: OwnerField, _ store: StoreID) -> [UInt8] {
    Array("cellmap owner".utf8) + store.uuid.bytes + id.uuid.bytes + [field.rawValue]
  }

  // MARK: The file

  private static func context(_ store: StoreID, _ key: KeyID) -> [UInt8] {
    Array("cellmap project key".utf8) + store.uuid.bytes + key.uuid.bytes
  }

  /// Writes the key's file; durable once this returns.
  ///
  /// - Throws: `file`; the file is as it was.
  func write(to folder: String, of store: StoreID, under master: StoredKey) throws(KeyError) {
    let secret = unsafe key.withUnsafeBytes { unsafe Array($0) }
    let clear = secret + (project.map { [1] + Array($0.string.utf8) } ?? [0])
    try master.writeWrapped(
      clear, bound: OwnerKey.context(store, id), behind: OwnerKey.magic + id.uuid.bytes,
      to: OwnerKey.path(of: id, in: folder))
  }

  /// What the file of a key says, before it is opened.
  struct Wrapped {
    let path: String
    let id: KeyID
    /// The master under which it is.
    let master: KeyID
    private let sealed: [UInt8]

    /// - Throws: `missing`, `damaged`, `file`.
    init(_ id: KeyID, in folder: String) throws(KeyError) {
      path = OwnerKey.path(of: id, in: folder)
      let bytes = try StoredKey.bytes(of: path)
      guard bytes.count > 40, Array(bytes[0..<8]) == OwnerKey.magic,
        UUID128(bytes: bytes[8..<24]) == id.uuid, let master = UUID128(bytes: bytes[24..<40])
      else { throw .damaged(path) }
      self.id = id
      self.master = KeyID(master)
      sealed = Array(bytes[40...])
    }

    /// - Throws: `damaged`.
    func opened(by master: StoredKey, of store: StoreID) throws(KeyError) -> OwnerKey {
      guard let clear = master.unwrapped(sealed, bound: OwnerKey.context(store, id)),
        clear.count > 32, clear[32] <= 1, let name = ByteText(utf8: Array(clear[33...]))
      else { throw .damaged(path) }
      return OwnerKey(
        id: id, project: clear[32] == 1 ? name : nil,
        key: SymmetricKey(data: Array(clear[0..<32])))
    }
  }
}

/// Which part of an owner is sealed; its raw value is a part of what binds it to its place.
enum OwnerField: UInt8 {
  case project = 1
  case user = 2
}
