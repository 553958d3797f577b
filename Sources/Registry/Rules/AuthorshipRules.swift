public import Journal

extension Authorship {
  /// Looks whether a change may bear this authorship; whoever changes something else first, and the
  /// map afterwards, asks before.
  ///
  /// - Parameter isByOperator: An operator's change wants a reason.
  /// - Throws: `reasonMissing`, or `badName` for what is too long or controls a terminal.
  public func check(isByOperator: Bool) throws(Refusal) {
    let isBlank = (reason?.string ?? "").unicodeScalars.allSatisfy(\.properties.isWhitespace)
    if isByOperator, isBlank { throw .reasonMissing }
    try NameRules.check(actor, what: "The actor")
    try NameRules.check(program, what: "The program")
    if let reason { try NameRules.checkReason(reason) }
    if let correlation { try NameRules.check(correlation, what: "The correlation") }
  }
}
