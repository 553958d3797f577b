/// A place in the journal: an epoch and the index of an entry in it, written `1:42`.
///
/// The index alone names an entry of a store; the epoch tells whether the reader and the store
/// still speak of the same history.
public struct Position: Hashable, Sendable {
  /// Counted from 1; each restore or rebuild opens the next.
  public let epoch: UInt32
  /// Dense from 1, over all epochs; 0 only in `start`.
  public let index: UInt64

  /// Before the first entry.
  public static let start = Position(epoch: 0, index: 0)

  public init(epoch: UInt32, index: UInt64) {
    self.epoch = epoch
    self.index = index
  }

  /// The position written `EPOCH:INDEX` in decimal digits; nil for anything else.
  public init?(_ text: String) {
    let parts = text.split(separator: ":", omittingEmptySubsequences: false)
    guard parts.count == 2,
      parts.allSatisfy({ $0.utf8.first != 48 && $0.utf8.allSatisfy { (48...57).contains($0) } }),
      let epoch = UInt32(parts[0]), let index = UInt64(parts[1]), epoch > 0, index > 0
    else { return nil }
    self.init(epoch: epoch, index: index)
  }
}

extension Position: CustomStringConvertible {
  public var description: String { "\(epoch):\(index)" }
}
