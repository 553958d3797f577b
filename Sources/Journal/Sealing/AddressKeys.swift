internal import Crypto
internal import Glibc
internal import Synchronization

/// The keys that seal and open addresses: the master, and data keys per cell wrapped by it.
///
/// A data key that is damaged takes away the addresses of its own cell alone. Other processes make,
/// rewrap and shred keys meanwhile: sealing looks at the folder each time, and opening at the key's
/// file.
public final class AddressKeys: Sendable {
  let directory: String
  let store: StoreID
  /// The keys of projects in the same folder.
  public let owners: OwnerKeys
  private let known: Mutex<Known>

  private struct Known {
    /// The master, and while it is being rotated the next one.
    var masters: [StoredKey]
    var keys: [KeyID: DataKey] = [:]
    /// Why a key can't be had whose file is there.
    var damaged: [KeyID: KeyError] = [:]
    /// Keys that are being shredded: nothing is sealed by them any more.
    var leaving: Set<KeyID> = []
  }

  private init(directory: String, store: StoreID, masters: [StoredKey]) {
    self.directory = directory
    self.store = store
    owners = OwnerKeys(in: directory, store: store)
    known = Mutex(Known(masters: masters))
  }

  /// Makes the master of a new store in a directory that is there.
  ///
  /// - Throws: `KeyError.file` if its file can't be made.
  static func create(in directory: String, store: StoreID) throws(KeyError) -> AddressKeys {
    let master = StoredKey.random(.master)
    try master.write(to: directory, of: store)
    return AddressKeys(directory: directory, store: store, masters: [master])
  }

  /// Reads the keys of a store.
  ///
  /// - Throws: `KeyError.missing` without a master (a backup without keys); `damaged` if its file was
  ///   changed or is another store's. A damaged data key is told when it is needed.
  public static func open(in directory: String, store: StoreID) throws(KeyError) -> AddressKeys {
    let keys = AddressKeys(
      directory: directory, store: store,
      masters: try MasterRotation.masters(in: directory, of: store))
    try keys.readFolder()
    return keys
  }

  /// The same for a store that is open, after the shredding of keys was finished that a killed process
  /// had begun.
  public static func open(of journal: EventJournal) throws(KeyError) -> AddressKeys {
    try KeyShredding.finishAbandoned(of: journal)
    return try open(in: journal.files.keys, store: journal.store)
  }

  /// - Throws: The first data key that can't be had, though its file is there.
  public func check() throws(KeyError) {
    let first = known.withLock { $0.damaged.min { $0.key < $1.key }?.value }
    if let first { throw first }
  }

  /// Seals the whole text of an address for its place, under the cell's newest data key.
  ///
  /// Makes a data key, and its file durable, if the cell has none yet. Under the write lease: a key
  /// that is rotated or shredded meanwhile would be the wrong one.
  ///
  /// - Throws: `KeyError.file` if that file can't be written.
  public func seal(
    _ original: [UInt8], publicForm: ByteText, of cell: CellID, _ field: AddressField
  ) throws(KeyError) -> SealedAddress {
    try readFolder()
    return seal(
      original, publicForm: publicForm, field, under: try keyForSealing(of: cell, butNot: []))
  }

  /// Seals addresses of a cell anew, under a data key that seals none of them now: the newest one if it
  /// is so, else one that is made. Under the write lease.
  ///
  /// - Throws: As `open` for an address that can't be opened, and `file`.
  public func reseal(
    _ addresses: [(AddressField, SealedAddress)], of cell: CellID
  ) throws(KeyError) -> [SealedAddress] {
    try readFolder()
    let clear = try addresses.map { (field, address) throws(KeyError) in
      try open(address, of: cell, field)
    }
    let newer = try keyForSealing(of: cell, butNot: addresses.map(\.1.key))
    return zip(addresses, clear).map { item, original in
      seal(original, publicForm: item.1.publicForm, item.0, under: newer)
    }
  }

  private func seal(
    _ original: [UInt8], publicForm: ByteText, _ field: AddressField, under key: DataKey
  ) -> SealedAddress {
    guard
      let box = try? AES.GCM.seal(
        original, using: key.key, authenticating: sealContext(key.cell, field, key.id)),
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

  private func dataKey(_ id: KeyID, of cell: CellID) throws(KeyError) -> DataKey {
    if let key = known.withLock({ $0.keys[id] }), isThere(id) { return key }
    // Another process may have made, rewrapped or shredded the key since these were read.
    try readFolder()
    return try known.withLock { (known) throws(KeyError) in
      if let key = known.keys[id] { return key }
      throw known.damaged[id] ?? .shredded(id, cell: cell)
    }
  }

  /// Checks that nobody shreds a data key now: what is sealed by it may be given to a cell again. Under
  /// the write lease.
  ///
  /// - Throws: `busy`, `file`.
  public func checkStays(_ id: KeyID) throws(KeyError) {
    try readFolder()
    if known.withLock({ $0.leaving.contains(id) }) { throw .busy(id) }
  }

  private func isThere(_ id: KeyID) -> Bool { !AddressKeys.isGone(id, from: directory) }

  /// Whether a data key was shredded or lost: its file isn't in a folder that holds keys. Where the whole
  /// folder is gone, it was moved.
  public static func isGone(_ id: KeyID, from folder: String) -> Bool {
    FileIdentity(ofPath: DataKey.path(of: id, in: folder)) == nil && KeyRing.holdsKeys(folder)
  }

  /// The newest data key of a cell, unless it is one of `used`; else one that is made. Key ids are made
  /// in the order of time, so the greatest is the newest.
  private func keyForSealing(of cell: CellID, butNot used: [KeyID]) throws(KeyError) -> DataKey {
    let newest = known.withLock { known in
      known.keys.values.filter { $0.cell == cell && !known.leaving.contains($0.id) }
        .max { $0.id < $1.id }
    }
    if let newest, !used.contains(newest.id) { return newest }
    return try make(for: cell)
  }

  private func make(for cell: CellID) throws(KeyError) -> DataKey {
    let earlier = known.withLock { known in
      known.keys.values.filter { $0.cell == cell }.map(\.id).max()
    }
    let made = DataKey.random(of: cell, after: earlier)
    // The master on disk: another process may have rotated it.
    let masters = try MasterRotation.masters(in: directory, of: store)
    try made.write(to: directory, of: store, under: masters[0])
    known.withLock { known in
      known.masters = masters
      known.keys[made.id] = made
    }
    return made
  }

  /// Takes in the keys that have come since, and forgets those that have gone.
  private func readFolder() throws(KeyError) {
    guard KeyRing.holdsKeys(directory) else { return }
    let names: [String]
    do throws(FileError) { names = try SmallFile.names(in: directory) } catch { throw .file(error) }
    let there = Set(names.compactMap { DataKey.id(ofFile: $0) })
    let new = known.withLock { known in
      known.leaving = Set(names.compactMap { KeyShredding.key(ofMark: $0) })
      known.keys = known.keys.filter { there.contains($0.key) }
      known.damaged = known.damaged.filter { there.contains($0.key) }
      return there.filter { known.keys[$0] == nil }
    }
    for id in new {
      do throws(KeyError) {
        let key = try readKey(id)
        known.withLock { known in
          known.keys[id] = key
          known.damaged[id] = nil
        }
      } catch .missing {
        // Shredded since the folder was read.
      } catch {
        known.withLock { $0.damaged[id] = error }
      }
    }
  }

  /// A key may be rewrapped between the reading of its file and that of the masters.
  private static let readingsOfAKey = 3

  private func readKey(_ id: KeyID) throws(KeyError) -> DataKey {
    for _ in 1...Self.readingsOfAKey {
      let wrapped = try DataKey.Wrapped(id, in: directory)
      var masters = known.withLock { $0.masters }
      if !masters.contains(where: { $0.id == wrapped.master }) {
        masters = try MasterRotation.masters(in: directory, of: store)
        known.withLock { $0.masters = masters }
      }
      if let master = masters.first(where: { $0.id == wrapped.master }) {
        return try wrapped.opened(by: master, of: store)
      }
    }
    let path = DataKey.path(of: id, in: directory)
    throw .damaged("\(path), under another master,")
  }
}
