/// A moment in UTC, in microseconds since 1970-01-01T00:00:00Z.
public struct Timestamp: Hashable, Comparable, Sendable {
  public let microseconds: Int64

  public init(microseconds: Int64) { self.microseconds = microseconds }

  public static func < (left: Self, right: Self) -> Bool { left.microseconds < right.microseconds }
}

extension Timestamp {
  /// A moment as Nova's databases write it (`2026-01-01 05:16:48.000000`) or as RFC 3339 does
  /// (`2026-01-01T05:16:48.25Z`, `…+02:00`); without an offset it is UTC.
  ///
  /// - Returns: nil for any other text, for a day that doesn't exist, for a leap second, or where the
  ///   offset leads out of the years 0000 to 9999.
  public init?(_ text: String) {
    var text = text
    guard let parsed = text.withUTF8({ unsafe Timestamp(utf8: $0) }) else { return nil }
    self = parsed
  }

  /// The same from the bytes of a text, without an allocation.
  public init?(utf8 bytes: UnsafeBufferPointer<UInt8>) {
    var reader = unsafe DigitReader(bytes: bytes)
    guard let year = reader.number(digits: 4), reader.take("-"),
      let month = reader.number(digits: 2), reader.take("-"),
      let day = reader.number(digits: 2), reader.take("T") || reader.take("t") || reader.take(" "),
      let hour = reader.number(digits: 2), reader.take(":"),
      let minute = reader.number(digits: 2), reader.take(":"),
      let second = reader.number(digits: 2), let fraction = reader.fraction(),
      let offset = reader.offsetMinutes(), reader.isAtEnd,
      (1...12).contains(month), (1...Timestamp.days(inMonth: month, of: year)).contains(day),
      hour < 24, minute < 60, second < 60
    else { return nil }
    let days = Timestamp.daysSince1970(year: year, month: month, day: day)
    let seconds = ((days * 24 + hour) * 60 + minute - offset) * 60 + second
    microseconds = Int64(seconds) * 1_000_000 + Int64(fraction)
    guard isOfFourDigitYear else { return nil }
  }

  /// Whether it can be written with a year of four digits, as databases and RFC 3339 have it.
  public var isOfFourDigitYear: Bool { Self.years.contains(microseconds) }

  /// From 0000-01-01T00:00:00Z to the end of the year 9999.
  private static let years =
    Int64(daysSince1970(year: 0, month: 1, day: 1)) * 86_400_000_000..<Int64(
      daysSince1970(year: 10_000, month: 1, day: 1)) * 86_400_000_000

  static func days(inMonth month: Int, of year: Int) -> Int {
    switch month {
    case 4, 6, 9, 11: 30
    case 2: year % 4 == 0 && (year % 100 != 0 || year % 400 == 0) ? 29 : 28
    default: 31
    }
  }

  /// Days from 1970-01-01 in the proleptic Gregorian calendar.
  static func daysSince1970(year: Int, month: Int, day: Int) -> Int {
    // Years are counted from March, so that the leap day is the last of its year.
    let shifted = month <= 2 ? year - 1 : year
    let era = (shifted >= 0 ? shifted : shifted - 399) / 400
    let yearOfEra = shifted - era * 400
    let dayOfYear = (153 * (month > 2 ? month - 3 : month + 9) + 2) / 5 + day - 1
    let dayOfEra = yearOfEra * 365 + yearOfEra / 4 - yearOfEra / 100 + dayOfYear
    return era * 146_097 + dayOfEra - 719_468
  }
}

extension Timestamp: CustomStringConvertible {
  /// RFC 3339 in UTC, with six digits of fraction where there is one: `2026-01-01T05:16:48Z`.
  public var description: String {
    var text: [UInt8] = []
    text.reserveCapacity(27)
    append(to: &text)
    return String(decoding: text, as: UTF8.self)
  }

  /// Appends the same.
  public func append(to text: inout [UInt8]) {
    let second = Int(microseconds.flooredDivision(by: 1_000_000))
    let fraction = Int(microseconds &- Int64(second) &* 1_000_000)
    let days = Int(Int64(second).flooredDivision(by: 86_400))
    let ofDay = second - days * 86_400
    let date = Timestamp.civilDate(daysSince1970: days)
    text.append(decimal: date.year, width: 4)
    text.append(UInt8(ascii: "-"))
    text.append(decimal: date.month, width: 2)
    text.append(UInt8(ascii: "-"))
    text.append(decimal: date.day, width: 2)
    text.append(UInt8(ascii: "T"))
    text.append(decimal: ofDay / 3600, width: 2)
    text.append(UInt8(ascii: ":"))
    text.append(decimal: ofDay / 60 % 60, width: 2)
    text.append(UInt8(ascii: ":"))
    text.append(decimal: ofDay % 60, width: 2)
    if fraction != 0 {
      text.append(UInt8(ascii: "."))
      text.append(decimal: fraction, width: 6)
    }
    text.append(UInt8(ascii: "Z"))
  }

  static func civilDate(daysSince1970: Int) -> (year: Int, month: Int, day: Int) {
    let days = daysSince1970 + 719_468
    let era = (days >= 0 ? days : days - 146_096) / 146_097
    let dayOfEra = days - era * 146_097
    let yearOfEra =
      (dayOfEra - dayOfEra / 1460 + dayOfEra / 36_524 - dayOfEra / 146_096) / 365
    let dayOfYear = dayOfEra - (365 * yearOfEra + yearOfEra / 4 - yearOfEra / 100)
    let fromMarch = (5 * dayOfYear + 2) / 153
    let month = fromMarch < 10 ? fromMarch + 3 : fromMarch - 9
    return (
      yearOfEra + era * 400 + (month <= 2 ? 1 : 0), month, dayOfYear - (153 * fromMarch + 2) / 5 + 1
    )
  }
}

extension Int64 {
  /// The quotient rounded towards negative infinity.
  fileprivate func flooredDivision(by divisor: Int64) -> Int64 {
    let quotient = self / divisor
    return self % divisor < 0 ? quotient - 1 : quotient
  }
}

/// Reads fixed runs of ASCII digits; nil at the first byte that doesn't fit.
///
/// Valid as long as the bytes are.
@safe private struct DigitReader {
  private let bytes: UnsafeBufferPointer<UInt8>
  private let count: Int
  private var offset = 0

  init(bytes: UnsafeBufferPointer<UInt8>) {
    unsafe self.bytes = bytes
    count = bytes.count
  }

  var isAtEnd: Bool { offset == count }

  mutating func take(_ character: Unicode.Scalar) -> Bool {
    guard offset < count, unsafe bytes[offset] == UInt8(ascii: character) else {
      return false
    }
    offset += 1
    return true
  }

  private static func digit(_ byte: UInt8) -> Int? {
    let digit = byte &- UInt8(ascii: "0")
    return digit < 10 ? Int(digit) : nil
  }

  mutating func number(digits: Int) -> Int? {
    guard offset + digits <= count else { return nil }
    var value = 0
    for place in offset..<offset + digits {
      guard let digit = unsafe Self.digit(bytes[place]) else { return nil }
      value = value * 10 + digit
    }
    offset += digits
    return value
  }

  /// Microseconds after a dot; 0 without one. Digits past the sixth are dropped.
  mutating func fraction() -> Int? {
    guard take(".") else { return 0 }
    var (value, count) = (0, 0)
    while offset < self.count, let digit = unsafe Self.digit(bytes[offset]) {
      if count < 6 { value = value * 10 + digit }
      count += 1
      offset += 1
    }
    guard count > 0 else { return nil }
    for _ in count..<max(count, 6) { value *= 10 }
    return value
  }

  /// Minutes east of UTC; 0 for `Z` and for no offset at all.
  mutating func offsetMinutes() -> Int? {
    if isAtEnd || take("Z") || take("z") { return 0 }
    let sign = take("+") ? 1 : (take("-") ? -1 : 0)
    guard sign != 0, let hours = number(digits: 2), take(":"), let minutes = number(digits: 2),
      hours < 24, minutes < 60
    else { return nil }
    return sign * (hours * 60 + minutes)
  }
}
