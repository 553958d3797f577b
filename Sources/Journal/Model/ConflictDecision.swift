/// The decisions of conflicts, as entries hold them.
public enum ConflictDecision {
  /// Cells that could not be read before have decided it by the rules.
  public static let byRules: ByteText = "settled by the rules"

  /// An operator said which cell has the instance or the host.
  public static func cell(_ id: CellID) -> ByteText { ByteText(cellPrefix + "\(id)") }

  private static let cellPrefix = "cell "

  /// The cell that an operator said has it; nil for every other decision.
  public static func cell(in decision: ByteText) -> CellID? {
    let text = decision.string
    return text.hasPrefix(cellPrefix) ? CellID(String(text.dropFirst(cellPrefix.count))) : nil
  }

  /// An operator said that no cell has it.
  public static let unmapped: ByteText = "unmapped"
}

extension ConflictRecord {
  /// Nobody has decided, or an operator that no cell has it: without a mapping it is no unknown one.
  public var leavesUnmapped: Bool { decision == nil || decision == ConflictDecision.unmapped }
}
