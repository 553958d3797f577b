internal import Glibc

/// Bytes that are never shown: a password, or the whole original text of an address.
///
/// Prints, debug-prints and mirrors as `****`, can't be coded, and wipes its memory when the last
/// reference is gone. It is shared by reference, so that handing it on makes no copy.
@safe public final class Secret: Sendable {
  /// How many bytes it holds.
  public let count: Int
  // Written only before `init` returns and in `deinit`; between them every thread may read it.
  private nonisolated(unsafe) let storage: UnsafeMutableRawBufferPointer

  /// A secret that holds a copy of these bytes; the caller's copy is the caller's to wipe.
  public init(_ bytes: some Collection<UInt8>) {
    count = bytes.count
    unsafe storage = .allocate(byteCount: bytes.count, alignment: 1)
    unsafe storage.copyBytes(from: bytes)
  }

  /// A secret that holds the UTF-8 bytes of a text.
  public convenience init(_ text: String) { self.init(text.utf8) }

  deinit {
    if let start = unsafe storage.baseAddress { unsafe explicit_bzero(start, count) }
    unsafe storage.deallocate()
  }

  /// Runs `body` with the clear bytes, which mustn't outlive the call.
  ///
  /// For what must have them: sealing, a connection, and output that was asked to reveal.
  public func withExposed<Result: ~Copyable, Failure: Error>(
    _ body: (Span<UInt8>) throws(Failure) -> Result
  ) throws(Failure) -> Result {
    try unsafe body(Span(_unsafeBytes: UnsafeRawBufferPointer(storage)))
  }

  /// The clear text, or nil if the bytes aren't UTF-8; a `String` can't be wiped, so prefer
  /// `withExposed`.
  public func exposedText() -> String? {
    String(validating: SecretBytes(of: self), as: UTF8.self)
  }

  fileprivate func byte(at index: Int) -> UInt8 {
    unsafe storage[index]
  }
}

extension Secret: Hashable {
  /// Equal bytes; the time depends on the lengths only.
  public static func == (left: Secret, right: Secret) -> Bool {
    guard left.count == right.count else { return false }
    var difference: UInt8 = 0
    for index in 0..<left.count { difference |= left.byte(at: index) ^ right.byte(at: index) }
    return difference == 0
  }

  public func hash(into hasher: inout Hasher) {
    unsafe hasher.combine(bytes: UnsafeRawBufferPointer(storage))
  }
}

extension Secret: CustomStringConvertible, CustomDebugStringConvertible, CustomReflectable {
  public var description: String { "****" }
  public var debugDescription: String { "****" }
  public var customMirror: Mirror { Mirror(reflecting: "****") }
}

/// A part of a secret, read where it lies: the parser walks it and copies nothing.
struct SecretBytes: RandomAccessCollection, Sendable, CustomStringConvertible {
  private let secret: Secret
  let startIndex: Int
  let endIndex: Int

  init(of secret: Secret) { self.init(secret, 0..<secret.count) }

  private init(_ secret: Secret, _ range: Range<Int>) {
    self.secret = secret
    startIndex = range.lowerBound
    endIndex = range.upperBound
  }

  subscript(position: Int) -> UInt8 {
    precondition(startIndex <= position && position < endIndex, "an index outside of the part")
    return secret.byte(at: position)
  }

  subscript(bounds: Range<Int>) -> SecretBytes {
    precondition(
      startIndex <= bounds.lowerBound && bounds.upperBound <= endIndex,
      "a range outside of the part")
    return SecretBytes(secret, bounds)
  }

  var description: String { "****" }
}
