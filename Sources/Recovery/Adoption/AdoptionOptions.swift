public import Journal

/// How a map is taken over.
public struct AdoptionOptions: Sendable {
  public var authorship: Authorship
  public var request: RequestID
  /// The head of the journal before the API database's snapshot was opened: what was decided since
  /// then stands, and the next adoption compares it again.
  public var basis: Position
  /// Rows that the map can't hold are passed over, and named in the plan.
  public var skipsInvalid: Bool
  /// What the map has and the API database has not is taken out of the map.
  public var prunes: Bool

  /// Who changed the instances' mappings, where it isn't the author of the rest.
  var instanceAuthorship: Authorship?
  /// Takes the place of the title that names the database alone.
  var label: ByteText?
  /// Asked before each commit, and for each page that is compared.
  var isCancelled: @Sendable () -> Bool = { false }

  public init(
    authorship: Authorship, request: RequestID, basis: Position, skipsInvalid: Bool = false,
    prunes: Bool = false
  ) {
    self.authorship = authorship
    self.request = request
    self.basis = basis
    self.skipsInvalid = skipsInvalid
    self.prunes = prunes
  }

  /// The bulk command in words that are the same at each retry, and differ for another command.
  public func title(of source: NovaAPIDatabase) -> ByteText {
    label ?? ByteText("adopt \(source.name) skipping \(skipsInvalid) pruning \(prunes)")
  }
}
