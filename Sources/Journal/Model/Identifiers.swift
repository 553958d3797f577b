/// An identifier that is a UUID; each kind is a type of its own, so that two can't be swapped.
public protocol UUIDIdentifier: Hashable, Comparable, Sendable, CustomStringConvertible {
  /// The UUID behind the identifier.
  var uuid: UUID128 { get }
  init(_ uuid: UUID128)
}

extension UUIDIdentifier {
  /// The identifier written as a UUID of 36 characters; nil for anything else.
  public init?(_ text: String) {
    guard let uuid = UUID128(text) else { return nil }
    self.init(uuid)
  }

  public static func < (left: Self, right: Self) -> Bool { left.uuid < right.uuid }

  /// The lower-case text form.
  public var description: String { uuid.description }
}

/// A cell of the cloud, as Nova's `cell_mappings.uuid` names it.
public struct CellID: UUIDIdentifier {
  public let uuid: UUID128
  public init(_ uuid: UUID128) { self.uuid = uuid }

  /// The cell of instances that never got a host: the all-zero UUID.
  public static let cell0 = CellID(.zero)
}

/// An instance (a server, in Nova's API).
public struct InstanceID: UUIDIdentifier {
  public let uuid: UUID128
  public init(_ uuid: UUID128) { self.uuid = uuid }

  /// Whether it is the all-zero UUID, which is no instance's: Nova's online data migrations leave a row of
  /// it in each cell's `instances`.
  public var isNovaMarker: Bool { uuid == .zero }
}

/// The name of one command of one caller; repeating it repeats the answer, not the change.
public struct RequestID: UUIDIdentifier {
  public let uuid: UUID128
  public init(_ uuid: UUID128) { self.uuid = uuid }

  /// The request of entries that nobody asked for: the first ones of a store.
  public static let none = RequestID(.zero)
}

/// A store, from `init` to the end of its history.
public struct StoreID: UUIDIdentifier {
  public let uuid: UUID128
  public init(_ uuid: UUID128) { self.uuid = uuid }
}

/// An epoch of a store: 128 random bits, so that two restores of one backup differ.
public struct EpochID: UUIDIdentifier {
  public let uuid: UUID128
  public init(_ uuid: UUID128) { self.uuid = uuid }
}

/// A data key of a cell.
public struct KeyID: UUIDIdentifier {
  public let uuid: UUID128
  public init(_ uuid: UUID128) { self.uuid = uuid }
}

extension UUID128 {
  /// A random UUID (version 4, RFC 9562), from the system's generator.
  public static func random() -> UUID128 {
    var generator = SystemRandomNumberGenerator()
    return UUID128(
      high: generator.next() & ~0xF000 | 0x4000,
      low: generator.next() & ~(0b11 << 62) | 0b10 << 62)
  }

  /// A UUID that sorts by the time it was made, greater than an earlier one: where that was made in this
  /// millisecond, or the clock was set back since, as of the millisecond after it.
  public static func timeOrdered(at time: Timestamp, after earlier: UUID128) -> UUID128 {
    let made = timeOrdered(at: time)
    if made > earlier { return made }
    let milliseconds = Int64(earlier.high >> 16) + 1
    return timeOrdered(at: Timestamp(microseconds: milliseconds * 1000))
  }

  /// A UUID that sorts by the time it was made (version 7, RFC 9562).
  public static func timeOrdered(at time: Timestamp) -> UUID128 {
    var generator = SystemRandomNumberGenerator()
    let milliseconds = UInt64(max(0, time.microseconds / 1000)) & 0xFFFF_FFFF_FFFF
    return UUID128(
      high: milliseconds << 16 | 0x7000 | generator.next() & 0x0FFF,
      low: generator.next() & ~(0b11 << 62) | 0b10 << 62)
  }
}
