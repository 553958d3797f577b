internal import Journal

/// What seals the addresses of cells for events, and opens those that cells have.
protocol AddressSealer {
  func seal(
    _ original: [UInt8], publicForm: ByteText, of cell: CellID, _ field: AddressField
  ) throws(KeyError) -> SealedAddress

  func open(
    _ address: SealedAddress, of cell: CellID, _ field: AddressField
  ) throws(KeyError) -> [UInt8]

  func reseal(
    _ addresses: [(AddressField, SealedAddress)], of cell: CellID
  ) throws(KeyError) -> [SealedAddress]

  func checkStays(_ key: KeyID) throws(KeyError)
}

extension KeyRing: AddressSealer {}

/// Opens addresses and seals none: a preview makes no keys and writes nothing.
struct PreviewSealer: AddressSealer {
  let keys: KeyRing

  func seal(
    _ original: [UInt8], publicForm: ByteText, of cell: CellID, _ field: AddressField
  ) throws(KeyError) -> SealedAddress {
    SealedAddress(publicForm: publicForm, key: KeyID(.zero), sealed: [])
  }

  func open(
    _ address: SealedAddress, of cell: CellID, _ field: AddressField
  ) throws(KeyError) -> [UInt8] {
    try keys.open(address, of: cell, field)
  }

  func checkStays(_ key: KeyID) throws(KeyError) { try keys.checkStays(key) }

  func reseal(
    _ addresses: [(AddressField, SealedAddress)], of cell: CellID
  ) throws(KeyError) -> [SealedAddress] {
    addresses.map {
      SealedAddress(publicForm: $0.1.publicForm, key: KeyID(.zero), sealed: [])
    }
  }
}
