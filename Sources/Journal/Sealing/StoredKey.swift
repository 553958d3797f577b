internal import Crypto

/// A key in a file of its own.
struct StoredKey {
  let id: KeyID
  /// 32 bytes.
  let key: SymmetricKey

  private static let magic = Array("CELLKEY1".utf8)
  private static let secretBytes = 32

  static func random() -> StoredKey {
    StoredKey(id: KeyID(.timeOrdered(at: .now)), key: SymmetricKey(size: .bits256))
  }

  init(id: KeyID, key: SymmetricKey) {
    precondition(key.bitCount == 8 * Self.secretBytes, "a key has 256 bits")
    self.id = id
    self.key = key
  }

  /// - Throws: `missing`, `damaged` for a file that is no key, `file`.
  init(readFrom path: String) throws(KeyError) {
    let bytes = try StoredKey.bytes(of: path)
    guard bytes.count == 24 + Self.secretBytes, Array(bytes[0..<8]) == StoredKey.magic,
      let id = UUID128(bytes: bytes[8..<24])
    else { throw .damaged(path) }
    self.init(id: KeyID(id), key: SymmetricKey(data: Array(bytes[24...])))
  }

  var fileBytes: [UInt8] {
    let secret = unsafe key.withUnsafeBytes { unsafe Array($0) }
    return StoredKey.magic + id.uuid.bytes + secret
  }

  static func bytes(of path: String) throws(KeyError) -> [UInt8] {
    do throws(FileError) {
      return try SmallFile.read(path, limit: 4096)
    } catch {
      throw error.isMissing ? .missing(path) : .file(error)
    }
  }
}
