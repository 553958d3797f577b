/// One index file among those that a store has had, as `CURRENT` names it.
public struct IndexGeneration: Hashable, Sendable {
  /// Counted up with each new file and never used again.
  public let number: UInt64
  /// 64 random bits, made anew at each switch: so that a `CURRENT` which was lost and made again
  /// is never taken for the old one.
  public let mark: UInt64
  /// The highest number of a file that was there when `CURRENT` was written: it isn't used again,
  /// though the file may be gone. Two that differ in it alone are the same generation.
  public let highest: UInt64

  public init(number: UInt64, mark: UInt64, highest: UInt64 = 0) {
    self.number = number
    self.mark = mark
    self.highest = max(number, highest)
  }

  public static func == (left: Self, right: Self) -> Bool {
    left.number == right.number && left.mark == right.mark
  }

  public func hash(into hasher: inout Hasher) {
    hasher.combine(number)
    hasher.combine(mark)
  }

  /// The name of the generation's file in the store.
  public var fileName: String { Self.fileName(number) }

  static func fileName(_ number: UInt64) -> String { "index-\(number).sqlite" }

  /// The number in a file name of the form `index-NUMBER.sqlite`; nil for any other.
  static func number(inFileName name: String) -> UInt64? {
    guard name.hasPrefix("index-"), name.hasSuffix(".sqlite") else { return nil }
    let digits = name.dropFirst("index-".count).dropLast(".sqlite".count)
    guard let number = UInt64(digits), fileName(number) == name else { return nil }
    return number
  }

  /// The content of `CURRENT`: file name, mark, highest number and a checksum over them, in one line.
  var line: [UInt8] {
    let parts = [fileName, Self.hexadecimal(mark), "\(highest)", Self.hexadecimal(checksum)]
    return Array((parts.joined(separator: " ") + "\n").utf8)
  }

  /// The generation that a `CURRENT` of these bytes names; nil if it isn't whole.
  init?(line bytes: [UInt8]) {
    guard let text = String(validating: bytes, as: UTF8.self) else { return nil }
    let parts = text.split(separator: " ", omittingEmptySubsequences: false)
    guard parts.count == 4, let number = Self.number(inFileName: String(parts[0])),
      let mark = UInt64(parts[1], radix: 16), let highest = UInt64(parts[2])
    else { return nil }
    self.init(number: number, mark: mark, highest: highest)
    guard line == bytes else { return nil }
  }

  private var checksum: UInt64 {
    var hasher = RowHasher(table: 0)
    hasher.add(Int64(bitPattern: number))
    hasher.add(Int64(bitPattern: mark))
    hasher.add(Int64(bitPattern: highest))
    return UInt64(truncatingIfNeeded: hasher.finish().value)
  }

  private static func hexadecimal(_ number: UInt64) -> String {
    let digits = String(number, radix: 16)
    return String(repeating: "0", count: 16 - digits.utf8.count) + digits
  }
}
