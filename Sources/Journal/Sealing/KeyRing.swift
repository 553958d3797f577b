internal import Crypto
internal import Glibc
internal import Synchronization

/// The keys of a store: seals addresses, opens them, and signs commands and rows.
///
/// Keys live in `keys/`, one file each, mode 0600: the master, the HMAC key, and a data key per cell
/// wrapped by the master. The journal, the index and every output hold only what they seal.
public final class KeyRing: Sendable {
  private let directory: String
  private let store: StoreID
  private let master: StoredKey
  /// The HMAC with its key taken in: each use is a copy.
  private let hmac: HMAC<SHA256>
  private let dataKeys: Mutex<[KeyID: DataKey]>

  private init(
    directory: String, store: StoreID, master: StoredKey, hmac: StoredKey,
    dataKeys: [KeyID: DataKey]
  ) {
    self.directory = directory
    self.store = store
    self.master = master
    self.hmac = HMAC(key: hmac.key)
    self.dataKeys = Mutex(dataKeys)
  }

  /// Makes the keys of a new store in an empty directory, which it creates with mode 0700.
  ///
  /// - Throws: `KeyError.file` if the directory or a file can't be made.
  public static func create(in directory: String, store: StoreID) throws(KeyError) -> KeyRing {
    guard unsafe mkdir(directory, 0o700) == 0 || errno == EEXIST else {
      throw .file(FileError("mkdir", directory, code: errno))
    }
    let master = StoredKey.random()
    let hmac = StoredKey.random()
    do throws(FileError) {
      try SmallFile.replace(directory + "/master", with: master.fileBytes)
      try SmallFile.replace(directory + "/hmac", with: hmac.fileBytes)
    } catch {
      throw .file(error)
    }
    return KeyRing(directory: directory, store: store, master: master, hmac: hmac, dataKeys: [:])
  }

  /// Reads the keys of a store.
  ///
  /// - Throws: `KeyError.missing` without a master or an HMAC key (a backup without keys);
  ///   `damaged` for a file that is no key or does not open under the master.
  public static func open(in directory: String, store: StoreID) throws(KeyError) -> KeyRing {
    let master = try StoredKey(readFrom: directory + "/master")
    let hmac = try StoredKey(readFrom: directory + "/hmac")
    let ring = KeyRing(
      directory: directory, store: store, master: master, hmac: hmac, dataKeys: [:])
    try ring.readDataKeys()
    return ring
  }

  /// The HMAC-SHA-256 of bytes under the store's own key, which is never rotated.
  public func digest(of bytes: [UInt8]) -> Digest {
    var code = hmac
    code.update(data: bytes)
    let digest = unsafe code.finalize().withUnsafeBytes { unsafe Digest(rawBytes: $0) }
    guard let digest else { preconditionFailure("HMAC-SHA-256 has 32 bytes") }
    return digest
  }

  /// Seals the whole text of an address for its place, under the cell's newest data key.
  ///
  /// Makes a data key, and its file durable, if the cell has none yet.
  ///
  /// - Throws: `KeyError.file` if that file can't be written.
  public func seal(
    _ original: [UInt8], publicForm: ByteText, of cell: CellID, _ field: AddressField
  ) throws(KeyError) -> SealedAddress {
    let key = try newestDataKey(of: cell)
    let context = sealContext(cell, field, key.id)
    guard
      let box = try? AES.GCM.seal(original, using: key.key, authenticating: context),
      let combined = box.combined
    else { preconditionFailure("AES-GCM seals any text under a 256-bit key") }
    return SealedAddress(publicForm: publicForm, key: key.id, sealed: Array(combined))
  }

  /// The whole text of a sealed address.
  ///
  /// - Throws: `KeyError.shredded` if its key is gone; `damaged` if the sealed bytes were changed or
  ///   belong to another cell, field or store.
  public func open(
    _ address: SealedAddress, of cell: CellID, _ field: AddressField
  ) throws(KeyError) -> [UInt8] {
    var known = dataKeys.withLock { $0[address.key] }
    if known == nil {
      // Another process may have made the key since this ring was read.
      try readDataKeys()
      known = dataKeys.withLock { $0[address.key] }
    }
    guard let known else { throw .shredded(address.key, cell: cell) }
    guard
      let box = try? AES.GCM.SealedBox(combined: address.sealed),
      let clear = try? AES.GCM.open(
        box, using: known.key, authenticating: sealContext(cell, field, address.key))
    else { throw .damaged("the sealed \(field) address of cell \(cell)") }
    return Array(clear)
  }

  private func sealContext(_ cell: CellID, _ field: AddressField, _ key: KeyID) -> [UInt8] {
    Array("cellmap address".utf8) + store.uuid.bytes + cell.uuid.bytes + [field.rawValue]
      + key.uuid.bytes
  }

  // MARK: Data keys

  private struct DataKey {
    let id: KeyID
    let cell: CellID
    let key: SymmetricKey
  }

  /// Key ids are made in the order of time, so the greatest is the newest.
  private func newestDataKey(of cell: CellID) throws(KeyError) -> DataKey {
    if let newest = newestKnownKey(of: cell) { return newest }
    try readDataKeys()
    if let newest = newestKnownKey(of: cell) { return newest }
    let made = DataKey(
      id: KeyID(.timeOrdered(at: .now)), cell: cell, key: SymmetricKey(size: .bits256))
    try write(made)
    dataKeys.withLock { $0[made.id] = made }
    return made
  }

  private func newestKnownKey(of cell: CellID) -> DataKey? {
    dataKeys.withLock { keys in
      keys.values.filter { $0.cell == cell }.max { $0.id < $1.id }
    }
  }

  private static let dataMagic = Array("CELLDEK1".utf8)

  private func wrapContext(_ cell: CellID, _ key: KeyID) -> [UInt8] {
    Array("cellmap key".utf8) + store.uuid.bytes + cell.uuid.bytes + key.uuid.bytes
  }

  private func write(_ key: DataKey) throws(KeyError) {
    let clear = unsafe key.key.withUnsafeBytes { unsafe Array($0) }
    guard
      let wrapped = try? AES.GCM.seal(
        clear, using: master.key, authenticating: wrapContext(key.cell, key.id)
      ).combined
    else { preconditionFailure("AES-GCM wraps any key under a 256-bit key") }
    let bytes =
      KeyRing.dataMagic + key.id.uuid.bytes + key.cell.uuid.bytes + master.id.uuid.bytes
      + Array(wrapped)
    do throws(FileError) {
      try SmallFile.replace(directory + "/data-\(key.id)", with: bytes)
    } catch {
      throw .file(error)
    }
  }

  private func readDataKeys() throws(KeyError) {
    let names: [String]
    do throws(FileError) { names = try SmallFile.names(in: directory) } catch { throw .file(error) }
    for name in names where name.utf8.count == 41 && name.hasPrefix("data-") {
      let key = try readDataKey(directory + "/" + name)
      dataKeys.withLock { $0[key.id] = key }
    }
  }

  private func readDataKey(_ path: String) throws(KeyError) -> DataKey {
    let bytes = try StoredKey.bytes(of: path)
    guard bytes.count == 8 + 48 + 60, Array(bytes[0..<8]) == KeyRing.dataMagic,
      let id = UUID128(bytes: bytes[8..<24]), let cell = UUID128(bytes: bytes[24..<40]),
      let masterID = UUID128(bytes: bytes[40..<56])
    else { throw .damaged(path) }
    guard masterID == master.id.uuid else { throw .damaged("\(path): it is under another master") }
    guard
      let box = try? AES.GCM.SealedBox(combined: Array(bytes[56...])),
      let clear = try? AES.GCM.open(
        box, using: master.key, authenticating: wrapContext(CellID(cell), KeyID(id)))
    else { throw .damaged(path) }
    return DataKey(id: KeyID(id), cell: CellID(cell), key: SymmetricKey(data: clear))
  }
}
