internal import Crypto
internal import Glibc

/// A cell's key, which seals its addresses; its file holds it wrapped by the master.
struct DataKey {
  let id: KeyID
  let cell: CellID
  let key: SymmetricKey

  private static let magic = Array("CELLDEK1".utf8)
  private static let prefix = "data-"
  /// Magic, three UUIDs, and what is wrapped: nonce, key, tag.
  private static let fileBytes = 8 + 48 + 60

  static func path(of id: KeyID, in folder: String) -> String { "\(folder)/\(prefix)\(id)" }

  /// The key that a file of the folder is of; nil for another file.
  static func id(ofFile name: String) -> KeyID? {
    name.hasPrefix(prefix) ? KeyID(String(name.dropFirst(prefix.utf8.count))) : nil
  }

  /// A new key of a cell, whose id is greater than an earlier one's.
  static func random(of cell: CellID, after earlier: KeyID?) -> DataKey {
    let id = UUID128.timeOrdered(at: .now, after: earlier?.uuid ?? .zero)
    return DataKey(id: KeyID(id), cell: cell, key: SymmetricKey(size: .bits256))
  }

  private static func context(_ store: StoreID, _ cell: CellID, _ key: KeyID) -> [UInt8] {
    Array("cellmap key".utf8) + store.uuid.bytes + cell.uuid.bytes + key.uuid.bytes
  }

  /// Writes the key's file; durable once this returns.
  ///
  /// - Throws: `file`; the file is as it was.
  func write(to folder: String, of store: StoreID, under master: StoredKey) throws(KeyError) {
    let clear = unsafe key.withUnsafeBytes { unsafe Array($0) }
    try master.writeWrapped(
      clear, bound: DataKey.context(store, cell, id),
      behind: DataKey.magic + id.uuid.bytes + cell.uuid.bytes, to: DataKey.path(of: id, in: folder))
  }

  /// What the file of a key says, before it is opened.
  struct Wrapped {
    let path: String
    let id: KeyID
    let cell: CellID
    /// The master under which it is.
    let master: KeyID
    private let sealed: [UInt8]

    /// - Throws: `missing`, `damaged`, `file`.
    init(_ id: KeyID, in folder: String) throws(KeyError) {
      path = DataKey.path(of: id, in: folder)
      let bytes = try StoredKey.bytes(of: path)
      guard bytes.count == DataKey.fileBytes, Array(bytes[0..<8]) == DataKey.magic,
        UUID128(bytes: bytes[8..<24]) == id.uuid, let cell = UUID128(bytes: bytes[24..<40]),
        let master = UUID128(bytes: bytes[40..<56])
      else { throw .damaged(path) }
      self.id = id
      self.cell = CellID(cell)
      self.master = KeyID(master)
      sealed = Array(bytes[56...])
    }

    /// - Throws: `damaged`.
    func opened(by master: StoredKey, of store: StoreID) throws(KeyError) -> DataKey {
      guard let clear = master.unwrapped(sealed, bound: DataKey.context(store, cell, id))
      else { throw .damaged(path) }
      return DataKey(id: id, cell: cell, key: SymmetricKey(data: clear))
    }
  }
}

extension KeyID {
  /// When the key was made: ids of keys are made in the order of time.
  public var madeAt: Timestamp { Timestamp(microseconds: Int64(uuid.high >> 16) * 1000) }
}
