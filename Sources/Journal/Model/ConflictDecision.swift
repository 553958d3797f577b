/// The decisions of conflicts, as entries hold them.
public enum ConflictDecision {
  /// Cells that could not be read before have decided it by the rules.
  public static let byRules: ByteText = "settled by the rules"

  /// An operator said which cell has the instance or the host.
  public static func cell(_ id: CellID) -> ByteText { ByteText(cellPrefix + "\(id)") }

  static let cellPrefix = "cell "

  /// Whether an operator said which cell has it.
  public static func isForCell(_ decision: ByteText) -> Bool {
    decision.string.hasPrefix(cellPrefix)
  }

  /// An operator said that no cell has it.
  public static let unmapped: ByteText = "unmapped"
}

extension ConflictRecord {
  /// Nobody has decided, or an operator that no cell has it: without a mapping it is no unknown one.
  public var leavesUnmapped: Bool { decision == nil || decision == ConflictDecision.unmapped }
}
