/// An address as the journal keeps it: readable without secrets, and whole only under a key.
public struct SealedAddress: Hashable, Sendable {
  /// The address with every secret masked; every host is kept.
  public let publicForm: ByteText
  /// The data key that seals the original.
  public let key: KeyID
  /// The original text: 12 bytes of nonce, the ciphertext, 16 bytes of tag (AES-256-GCM).
  public let sealed: [UInt8]

  public init(publicForm: ByteText, key: KeyID, sealed: [UInt8]) {
    self.publicForm = publicForm
    self.key = key
    self.sealed = sealed
  }
}

/// Which address of a cell; its raw value is a part of what binds a sealed original to its place.
public enum AddressField: UInt8, Sendable {
  case database = 1
  case queue = 2
}

/// A field that names a person or a project, and that a key can be thrown away for.
public enum PersonalText: Hashable, Sendable {
  /// Readable by everyone who may read the store.
  case clear(ByteText)
  /// Readable under the key (`OwnerKeys`).
  case sealed(key: KeyID, bytes: [UInt8])
  /// What is left once the key is gone.
  case shredded(key: KeyID)

  /// The text, where it may be read without a key.
  public var clearText: ByteText? {
    if case .clear(let text) = self { text } else { nil }
  }
}
