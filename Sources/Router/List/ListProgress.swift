internal import Cells
internal import Journal

/// How far a list has come: what its token carries from one page to the next.
struct ListProgress: Hashable, Sendable {
  /// The values of the last row that was read from cells, or merged among them.
  var after: [SortValue]?
  /// The rows after all known ones have begun, after this one.
  var tail: Tail?
  /// Cells that did not answer for a page, and where their instances come since.
  var missed: [CellID: Missed] = [:]
  /// What is on the list already.
  var delivered = DeliveredRows()

  struct Tail: Hashable, Sendable {
    /// By UUID; nil before the first.
    var after: InstanceID?
  }

  /// Where the instances of a cell come that does not answer.
  enum Missed: UInt8, Hashable, Sendable {
    /// Among the others, by what the map has to sort by: none of them was on the list before.
    case inPlace
    /// After all known rows.
    case atEnd
  }
}

/// The instances that pages of before have: a fingerprint of each, up to a limit.
///
/// A cell that answers for one page and not for the next leaves its instances to the map, which has
/// no way to tell those that were listed.
struct DeliveredRows: Hashable, Sendable {
  /// 48 bits of each that a cell told of: a wrong match among 8,192 has odds of 1 to 34 thousand million.
  private(set) var marks: Set<UInt64> = []
  /// The same of those that only the map told of: a cell may tell of them once more.
  private(set) var told: Set<UInt64> = []
  /// There were too many.
  private(set) var isOverfull = false

  /// The most that a token carries, six bytes each.
  static let limit = 8_192

  init() {}

  init?(marks: Set<UInt64>, told: Set<UInt64>, isOverfull: Bool) {
    let count = marks.count + told.count
    guard count <= Self.limit, !isOverfull || count == 0 else { return nil }
    self.marks = marks
    self.told = told
    self.isOverfull = isOverfull
  }

  func contains(_ id: InstanceID) -> Bool { marks.contains(Self.mark(id)) }

  func isToldByMap(_ id: InstanceID) -> Bool { told.contains(Self.mark(id)) }

  mutating func add(
    _ ids: some Collection<InstanceID>, toldByMap others: some Collection<InstanceID> = []
  ) {
    if isOverfull { return }
    for id in ids { marks.insert(Self.mark(id)) }
    for id in others { told.insert(Self.mark(id)) }
    guard marks.count + told.count > Self.limit else { return }
    isOverfull = true
    (marks, told) = ([], [])
  }

  private static func mark(_ id: InstanceID) -> UInt64 {
    // UUIDs that count up, or hold a time, differ in few bits: they are spread first.
    var mixed = (id.uuid.high ^ 0x9E37_79B9_7F4A_7C15) &* 0xBF58_476D_1CE4_E5B9
    mixed ^= mixed >> 31
    mixed = (mixed ^ id.uuid.low) &* 0x94D0_49BB_1331_11EB
    mixed ^= mixed >> 29
    return mixed & 0xFFFF_FFFF_FFFF
  }
}
