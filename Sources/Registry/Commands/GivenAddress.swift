public import Journal

/// An address as it was given: whole, public, and as a place that can be compared.
public struct GivenAddress: Sendable {
  /// The whole text; a secret.
  public let original: Secret
  public let publicForm: ByteText
  /// Equal for two addresses of one database; nil for a queue, which cells may share.
  public let location: ByteText?

  /// Reads an address, or a template of one.
  ///
  /// - Throws: `AddressError`, which names the piece and shows no secret.
  public init(_ original: Secret, of field: AddressField) throws(AddressError) {
    self.original = original
    publicForm = try field.publicForm(of: original)
    location = field == .database ? try field.location(of: original) : nil
  }
}

extension AddressField {
  /// What two addresses of one database share; files relative to one folder are compared as such.
  fileprivate func location(of address: Secret) throws(AddressError) -> ByteText {
    try normalisedLocation(of: address, baseDirectory: ".")
  }
}

extension SealedAddress {
  /// The place of a database, as its public form tells it.
  var databaseLocation: ByteText? {
    try? AddressField.database.location(of: Secret(publicForm.string))
  }
}

extension Secret {
  /// A copy of the clear bytes, for sealing and comparing.
  func exposedBytes() -> [UInt8] {
    withExposed { span in
      var bytes: [UInt8] = []
      bytes.reserveCapacity(span.count)
      for index in span.indices { bytes.append(span[index]) }
      return bytes
    }
  }
}
