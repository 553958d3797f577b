import Journal

/// Cells, instances and entries made from numbers: the same in each run.
enum Workload {
  static let cells = cells(4)

  static func cells(_ count: Int) -> [CellID] {
    (1...count).map { CellID(uuid(UInt64($0) << 40)) }
  }

  /// The instance of a number; numbers are scattered over all UUIDs.
  static func instance(_ number: Int) -> InstanceID { InstanceID(uuid(UInt64(number))) }

  /// The cell that an instance is mapped to first.
  static func cell(_ number: Int) -> CellID { cells[number % cells.count] }

  /// A number below `limit` that looks drawn at random.
  static func scattered(_ number: Int, below limit: Int) -> Int {
    Int(mixed(UInt64(truncatingIfNeeded: number) ^ 0x5851_f42d_4c95_7f2d) % UInt64(limit))
  }

  static func request(_ number: Int) -> RequestID {
    RequestID(uuid(UInt64(number) | 1 << 50))
  }

  private static func uuid(_ number: UInt64) -> UUID128 {
    UUID128(
      high: mixed(number) & ~0xF000 | 0x4000,
      low: mixed(number ^ 0x9e37_79b9) & ~(0b11 << 62) | 0b10 << 62)
  }

  /// SplitMix64's finish: one-to-one, so that no two numbers share a UUID.
  private static func mixed(_ number: UInt64) -> UInt64 {
    var word = number &+ 0x9e37_79b9_7f4a_7c15
    word = (word ^ word >> 30) &* 0xbf58_476d_1ce4_e5b9
    word = (word ^ word >> 27) &* 0x94d0_49bb_1331_11eb
    return word ^ word >> 31
  }

  /// 200 projects with 5 users each; their ids are 32 hexadecimal digits, as Keystone's are.
  private static let owners: [InstanceOwner] = (0..<1_000).map { number in
    InstanceOwner(project: identifier(number / 5), user: identifier(number + 1_000))
  }

  private static func identifier(_ number: Int) -> ByteText {
    let text = uuid(UInt64(number) | 1 << 45).description
    return ByteText(text.filter { $0 != "-" })
  }

  static func owner(_ number: Int) -> InstanceOwner { owners[number % owners.count] }

  static let authorship = Authorship(
    actor: "uid 1000 (nova)", program: "cellmap 0.1", reason: "measured by bench",
    observedAt: Timestamp(microseconds: 1_767_225_600_000_000))

  private static let content = Digest(
    words: (0x0123_4567_89ab_cdef, 0x1123_4567_89ab_cdef, 0x2123_4567_89ab_cdef, 7))

  /// The entry with which an instance comes into the map, by a command of its own.
  static func mapped(_ number: Int) -> EntryDraft {
    EntryDraft(
      event: mappedEvent(number), authorship: authorship,
      request: RequestMark(id: request(number), content: content))
  }

  static func mappedEvent(_ number: Int, in cells: [CellID] = cells) -> Event {
    let cell = cells[number % cells.count]
    return .instance(
      instance(number), .mapped(InstanceRecord(cell: cell, owner: owner(number))))
  }

  /// The entries of one commit of a bulk command.
  static func bulk(_ events: [Event], request: RequestID) -> [EntryDraft] {
    events.enumerated().map { place, event in
      var mark = RequestMark(id: request)
      if place == 0 {
        mark.content = content
        mark.chunk = KeyRange(
          kind: .instance, first: ByteText(instance(0).description),
          last: ByteText(instance(1).description))
      }
      return EntryDraft(event: event, authorship: authorship, request: mark)
    }
  }
}
