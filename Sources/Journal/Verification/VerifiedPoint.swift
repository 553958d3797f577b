/// Up to where a store was verified, and when: `VERIFIED` in the store's folder.
///
/// It spares the next verification what the last one read. It is no proof of anything: whoever can
/// write the store can write it.
public struct VerifiedPoint: Hashable, Sendable {
  public let store: StoreID
  public let position: Position
  public let root: Digest
  public let verifiedAt: Timestamp
  /// When everything was read the last time, and up to where.
  public let fullAt: Timestamp
  public let fullPosition: Position

  public init(
    store: StoreID, position: Position, root: Digest, verifiedAt: Timestamp, fullAt: Timestamp,
    fullPosition: Position
  ) {
    self.store = store
    self.position = position
    self.root = root
    self.verifiedAt = verifiedAt
    self.fullAt = fullAt
    self.fullPosition = fullPosition
  }

  private static let kind = "cellmap verification"
  private static let format: UInt64 = 1
  private static let maximumBytes = 4096

  /// The point that a store's folder holds; nil if it holds none, or one that can't be read.
  public static func read(_ files: StoreFiles) -> VerifiedPoint? {
    guard let bytes = try? SmallFile.read(files.verified, limit: maximumBytes),
      let members = DigestedLine.members(of: bytes), members["kind"]?.string == kind,
      members["format"] == .number(format)
    else { return nil }
    return VerifiedPoint(members)
  }

  private init?(_ members: [String: JSONValue]) {
    guard let store = members["store"]?.string.flatMap({ StoreID($0) }),
      let position = members["position"]?.string.flatMap({ Position($0) }),
      let root = members["root"]?.string.flatMap({ Digest(hexadecimal: $0) }),
      let verifiedAt = members["verified_at"]?.string.flatMap({ Timestamp($0) }),
      let fullAt = members["full_at"]?.string.flatMap({ Timestamp($0) }),
      let fullPosition = members["full_position"]?.string.flatMap({ Position($0) })
    else { return nil }
    self.init(
      store: store, position: position, root: root, verifiedAt: verifiedAt, fullAt: fullAt,
      fullPosition: fullPosition)
  }

  /// Puts the point into a store's folder.
  ///
  /// - Throws: `FileError`; the one before stays, or none.
  public func write(_ files: StoreFiles) throws(FileError) {
    try SmallFile.replace(
      files.verified,
      with: DigestedLine.bytes(of: [
        "kind": .text(Self.kind), "format": .number(Self.format), "store": .printed(store),
        "position": .printed(position), "root": .printed(root),
        "verified_at": .printed(verifiedAt), "full_at": .printed(fullAt),
        "full_position": .printed(fullPosition),
      ]))
  }
}
