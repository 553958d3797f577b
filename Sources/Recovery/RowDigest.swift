internal import Journal

extension KeyRing {
  /// The digest of a row of Nova's: it covers each column with its length, so that NULL and empty text
  /// differ.
  func rowDigest(_ columns: [ByteText?]) -> Digest {
    var bytes: [UInt8] = []
    for column in columns {
      let utf8 = column.map { Array($0.string.utf8) }
      bytes.append(contentsOf: Array("\(utf8?.count ?? -1):".utf8) + (utf8 ?? []))
    }
    return digest(of: bytes)
  }
}
