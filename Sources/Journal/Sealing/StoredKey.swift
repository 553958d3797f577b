internal import Crypto

/// A key in a file of its own.
///
/// The file says which store's key it is and for what, under a checksum: a changed one, or another
/// store's, is damaged, and never a key that signs or seals what nobody can check or open later.
struct StoredKey {
  /// What a key is for; also the name of its file.
  enum Use: String {
    case master, hmac, checkpoint
  }

  let use: Use
  let id: KeyID
  /// 32 bytes.
  let key: SymmetricKey

  private static let magic = Array("CELLKEY2".utf8)
  /// Files of before there was a checksum.
  private static let bareMagic = Array("CELLKEY1".utf8)
  private static let secretBytes = 32
  private static let checksumBytes = 16

  static func random(_ use: Use) -> StoredKey {
    StoredKey(use, id: KeyID(.timeOrdered(at: .now)), key: SymmetricKey(size: .bits256))
  }

  init(_ use: Use, id: KeyID, key: SymmetricKey) {
    precondition(key.bitCount == 8 * Self.secretBytes, "a key has 256 bits")
    self.use = use
    self.id = id
    self.key = key
  }

  /// Reads the key of a store.
  ///
  /// - Parameter name: The name of its file, where it isn't that of the use.
  /// - Throws: `missing`, `damaged` for a file that is no key or not this one, `file`.
  init(
    _ use: Use, in folder: String, of store: StoreID, named name: String? = nil
  ) throws(KeyError) {
    let path = folder + "/" + (name ?? use.rawValue)
    let bytes = try StoredKey.bytes(of: path)
    let end = 24 + Self.secretBytes
    guard bytes.count >= end, let id = UUID128(bytes: bytes[8..<24]) else { throw .damaged(path) }
    self.init(use, id: KeyID(id), key: SymmetricKey(data: Array(bytes[24..<end])))
    let isBare = bytes.count == end && Array(bytes[0..<8]) == Self.bareMagic
    guard isBare || bytes == fileBytes(of: store) else { throw .damaged(path) }
  }

  /// Writes the key's file; durable once this returns.
  ///
  /// - Throws: `file`.
  func write(
    to folder: String, of store: StoreID, named name: String? = nil
  ) throws(KeyError) {
    do throws(FileError) {
      try SmallFile.replace(folder + "/" + (name ?? use.rawValue), with: fileBytes(of: store))
    } catch {
      throw .file(error)
    }
  }

  private func fileBytes(of store: StoreID) -> [UInt8] {
    let secret = unsafe key.withUnsafeBytes { unsafe Array($0) }
    let named = Self.magic + id.uuid.bytes + secret
    let checked = Array("cellmap \(use.rawValue)".utf8) + store.uuid.bytes + named
    return named + SHA256.hash(data: checked).prefix(Self.checksumBytes)
  }

  static func bytes(of path: String) throws(KeyError) -> [UInt8] {
    do throws(FileError) {
      return try SmallFile.read(path, limit: 4096)
    } catch {
      throw error.isMissing ? .missing(path) : .file(error)
    }
  }
}

// MARK: The master

extension StoredKey {
  /// Writes the file of a key that this master wraps: the heading, the master's id, and `clear` sealed with
  /// what it is bound to. Durable once this returns.
  ///
  /// - Throws: `file`; the file is as it was.
  func writeWrapped(
    _ clear: [UInt8], bound context: [UInt8], behind heading: [UInt8], to path: String
  ) throws(KeyError) {
    guard let wrapped = try? AES.GCM.seal(clear, using: key, authenticating: context).combined
    else { preconditionFailure("AES-GCM wraps any key under a 256-bit key") }
    do throws(FileError) {
      try SmallFile.replace(path, with: heading + id.uuid.bytes + Array(wrapped))
    } catch {
      throw .file(error)
    }
  }

  /// What this master has wrapped; nil if the bytes were changed, or are bound to something else.
  func unwrapped(_ sealed: [UInt8], bound context: [UInt8]) -> [UInt8]? {
    guard let box = try? AES.GCM.SealedBox(combined: sealed),
      let clear = try? AES.GCM.open(box, using: key, authenticating: context)
    else { return nil }
    return Array(clear)
  }
}
