internal import Crypto
internal import Glibc
internal import Synchronization

/// The keys that seal and open addresses: the master, and a data key per cell wrapped by it.
///
/// A data key that is damaged takes away the addresses of its own cell alone.
public final class AddressKeys: Sendable {
  private let directory: String
  private let store: StoreID
  private let master: StoredKey
  private let known = Mutex(Known())

  private struct Known {
    var keys: [KeyID: DataKey] = [:]
    /// Why a key can't be had whose file is there.
    var damaged: [KeyID: KeyError] = [:]
  }

  private init(directory: String, store: StoreID, master: StoredKey) {
    self.directory = directory
    self.store = store
    self.master = master
  }

  /// Makes the master of a new store in a directory that is there.
  ///
  /// - Throws: `KeyError.file` if its file can't be made.
  static func create(in directory: String, store: StoreID) throws(KeyError) -> AddressKeys {
    let master = StoredKey.random(.master)
    try master.write(to: directory, of: store)
    return AddressKeys(directory: directory, store: store, master: master)
  }

  /// Reads the keys of a store.
  ///
  /// - Throws: `KeyError.missing` without a master (a backup without keys); `damaged` if its file was
  ///   changed or is another store's. A damaged data key is told when it is needed.
  public static func open(in directory: String, store: StoreID) throws(KeyError) -> AddressKeys {
    let master = try StoredKey(.master, in: directory, of: store)
    let keys = AddressKeys(directory: directory, store: store, master: master)
    try keys.readDataKeys()
    return keys
  }

  /// - Throws: The first data key that can't be had, though its file is there.
  public func check() throws(KeyError) {
    let first = known.withLock { $0.damaged.min { $0.key < $1.key }?.value }
    if let first { throw first }
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
    let key = try dataKey(address.key, of: cell)
    guard
      let box = try? AES.GCM.SealedBox(combined: address.sealed),
      let clear = try? AES.GCM.open(
        box, using: key.key, authenticating: sealContext(cell, field, address.key))
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

  private func dataKey(_ id: KeyID, of cell: CellID) throws(KeyError) -> DataKey {
    if let key = known.withLock({ $0.keys[id] }) { return key }
    // Another process may have made the key since these were read.
    try readDataKeys()
    return try known.withLock { (known) throws(KeyError) in
      if let key = known.keys[id] { return key }
      throw known.damaged[id] ?? .shredded(id, cell: cell)
    }
  }

  /// Key ids are made in the order of time, so the greatest is the newest.
  private func newestDataKey(of cell: CellID) throws(KeyError) -> DataKey {
    if let newest = newestKnownKey(of: cell) { return newest }
    try readDataKeys()
    if let newest = newestKnownKey(of: cell) { return newest }
    let made = DataKey(
      id: KeyID(.timeOrdered(at: .now)), cell: cell, key: SymmetricKey(size: .bits256))
    try write(made)
    known.withLock { $0.keys[made.id] = made }
    return made
  }

  private func newestKnownKey(of cell: CellID) -> DataKey? {
    known.withLock { known in
      known.keys.values.filter { $0.cell == cell }.max { $0.id < $1.id }
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
      Self.dataMagic + key.id.uuid.bytes + key.cell.uuid.bytes + master.id.uuid.bytes
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
      guard let id = KeyID(String(name.dropFirst("data-".count))) else { continue }
      do throws(KeyError) {
        let key = try readDataKey(directory + "/" + name)
        guard key.id == id else { throw .damaged(directory + "/" + name) }
        known.withLock { known in
          known.keys[id] = key
          known.damaged[id] = nil
        }
      } catch {
        known.withLock { known in
          if known.keys[id] == nil { known.damaged[id] = error }
        }
      }
    }
  }

  private func readDataKey(_ path: String) throws(KeyError) -> DataKey {
    let bytes = try StoredKey.bytes(of: path)
    guard bytes.count == 8 + 48 + 60, Array(bytes[0..<8]) == Self.dataMagic,
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
