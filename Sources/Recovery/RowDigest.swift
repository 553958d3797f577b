internal import Journal

extension KeyRing {
  /// The digest of a row of Nova's: it covers each column with its length, so that NULL and empty text
  /// differ.
  func rowDigest(_ columns: [ByteText?]) -> Digest {
    var bytes: [UInt8] = []
    bytes.reserveCapacity(512)
    for column in columns {
      bytes.append(contentsOf: String(column?.string.utf8.count ?? -1).utf8)
      bytes.append(UInt8(ascii: ":"))
      if let column { bytes.append(contentsOf: column.string.utf8) }
    }
    return digest(of: bytes)
  }
}
