internal import Crypto
internal import Glibc

/// The keys of a store: seals addresses, opens them, and signs commands and rows.
///
/// Keys live in `keys/`, one file each, mode 0600: the master, the HMAC key, and a data keys per cell
/// wrapped by the master. The journal, the index and every output hold only what they seal.
public final class KeyRing: Sendable {
  /// Those that open addresses, which is all that routing needs.
  public let addresses: AddressKeys
  /// Those that seal and open owners of instances.
  public var owners: OwnerKeys { addresses.owners }
  private let hmac: KeyedHash

  private init(addresses: AddressKeys, hmac: StoredKey) {
    self.addresses = addresses
    self.hmac = unsafe hmac.key.withUnsafeBytes { unsafe KeyedHash($0) }
  }

  /// Makes the keys of a new store in an empty directory, which it creates with mode 0700.
  ///
  /// - Throws: `KeyError.file` if the directory or a file can't be made.
  ///
  /// - Parameter sealsOwners: Whether projects and users of instances are sealed.
  public static func create(
    in directory: String, store: StoreID, sealsOwners: Bool = false
  ) throws(KeyError) -> KeyRing {
    guard unsafe mkdir(directory, 0o700) == 0 || errno == EEXIST else {
      throw .file(FileError("mkdir", directory, code: errno))
    }
    if sealsOwners { try OwnerKeys.mark(directory, store: store) }
    let addresses = try AddressKeys.create(in: directory, store: store)
    let hmac = StoredKey.random(.hmac)
    try hmac.write(to: directory, of: store)
    return KeyRing(addresses: addresses, hmac: hmac)
  }

  /// Reads the keys of a store.
  ///
  /// - Throws: As `AddressKeys.open`, and the same for the HMAC key.
  public static func open(in directory: String, store: StoreID) throws(KeyError) -> KeyRing {
    let addresses = try AddressKeys.open(in: directory, store: store)
    return KeyRing(
      addresses: addresses, hmac: try StoredKey(.hmac, in: directory, of: store))
  }

  /// The same for a store that is open, after the shredding of keys was finished that a killed process
  /// had begun.
  public static func open(of journal: EventJournal) throws(KeyError) -> KeyRing {
    try KeyShredding.finishAbandoned(of: journal)
    let keys = try open(in: journal.files.keys, store: journal.store)
    try keys.owners.check(against: journal)
    return keys
  }

  /// As `AddressKeys.seal`.
  public func seal(
    _ original: [UInt8], publicForm: ByteText, of cell: CellID, _ field: AddressField
  ) throws(KeyError) -> SealedAddress {
    try addresses.seal(original, publicForm: publicForm, of: cell, field)
  }

  /// As `AddressKeys.open`.
  public func open(
    _ address: SealedAddress, of cell: CellID, _ field: AddressField
  ) throws(KeyError) -> [UInt8] {
    try addresses.open(address, of: cell, field)
  }

  /// As `AddressKeys.checkStays`.
  public func checkStays(_ id: KeyID) throws(KeyError) { try addresses.checkStays(id) }

  /// As `AddressKeys.reseal`.
  public func reseal(
    _ addresses: [(AddressField, SealedAddress)], of cell: CellID
  ) throws(KeyError) -> [SealedAddress] {
    try self.addresses.reseal(addresses, of: cell)
  }

  /// The HMAC-SHA-256 of bytes under the store's own key, which is never rotated.
  public func digest(of bytes: [UInt8]) -> Digest { hmac.code(of: bytes.span) }

  /// The same of bytes in one piece.
  public func digest(of bytes: Span<UInt8>) -> Digest { hmac.code(of: bytes) }
}
