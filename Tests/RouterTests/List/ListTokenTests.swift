import Cells
import Journal
import TestSupport
import Testing

@testable import Router

@Suite(.waiting) struct ListTokenTests {
  private let store = StoreID(UUID128(high: 1, low: 2))

  private func request(_ keys: InstanceOrder.Key...) -> InstanceListRequest {
    InstanceListRequest(order: InstanceOrder(keys))
  }

  private func token(_ request: InstanceListRequest) -> ListToken {
    ListToken(for: request, in: store)
  }

  private func sample() -> (InstanceListRequest, ListProgress) {
    let request = request(.init(.createdAt, isDescending: true), .init(.displayName), .init(.host))
    var progress = ListProgress()
    progress.after = [
      .time(Timestamp(microseconds: -5)), .text("é\u{10FFFF}"), .null, .uuid(.random()),
    ]
    progress.tail = .init(after: InstanceID(.random()))
    progress.missed = [CellID(.random()): .atEnd, CellID(.random()): .inPlace]
    progress.delivered.add((0..<300).map { _ in InstanceID(.random()) })
    return (request, progress)
  }

  @Test func `gives back what went in`() throws {
    let (request, progress) = sample()
    let text = token(request).text(of: progress)
    #expect(try token(request).progress(of: text) == progress)
    #expect(text.utf8.allSatisfy { $0 < 128 && $0 != UInt8(ascii: "=") && $0 != 43 && $0 != 47 })
    for other in [ListProgress(), ListProgress(after: progress.after, tail: .init())] {
      #expect(try token(request).progress(of: token(request).text(of: other)) == other)
    }
  }

  @Test func `by UUID it is short, whatever the list has`() {
    var progress = ListProgress()
    progress.after = [.uuid(.random())]
    #expect(token(request()).text(of: progress).utf8.count < 120)
  }

  @Test func `every cut and every changed character is refused`() throws {
    let (request, progress) = sample()
    let reader = token(request)
    let text = Array(reader.text(of: progress).utf8)
    for count in 0..<text.count {
      #expect(throws: ListTokenFault.malformed) {
        try reader.progress(of: String(decoding: text[..<count], as: UTF8.self))
      }
    }
    for place in text.indices {
      for character in [UInt8(ascii: "A"), UInt8(ascii: "_"), UInt8(ascii: "!")] {
        guard text[place] != character else { continue }
        var changed = text
        changed[place] = character
        #expect(throws: ListTokenFault.malformed) {
          try reader.progress(of: String(decoding: changed, as: UTF8.self))
        }
      }
    }
  }

  @Test(arguments: [Int64.min, -70_000_000_000_000_000, 253_402_300_800_000_000, .max])
  func `a time that no database has is refused`(microseconds: Int64) throws {
    let request = request(.init(.createdAt))
    var progress = ListProgress()
    progress.after = [.time(Timestamp(microseconds: microseconds)), .uuid(.random())]
    let text = token(request).text(of: progress)
    #expect(throws: ListTokenFault.malformed) { try token(request).progress(of: text) }
  }

  @Test func `belongs to its order, its filters, its scope and its store`() throws {
    let (request, progress) = sample()
    let text = token(request).text(of: progress)
    var other = request
    other.order = InstanceOrder([.init(.createdAt), .init(.displayName), .init(.host)])
    #expect(throws: ListTokenFault.otherOrder) { try token(other).progress(of: text) }
    let changes: [(inout InstanceListRequest) -> Void] = [
      { $0.filter.project = "" }, { $0.filter.user = "p" }, { $0.filter.host = "p" },
      { $0.filter.vmState = "p" }, { $0.filter.name = "p" },
      { $0.filter.changedSince = Timestamp(microseconds: 0) }, { $0.filter.deletion = .any },
      { $0.filter.includesHidden = true }, { $0.scope = .withoutCell },
      { $0.scope = .cell(.cell0) },
    ]
    for change in changes {
      var other = request
      change(&other)
      #expect(throws: ListTokenFault.otherQuestion) { try token(other).progress(of: text) }
    }
    #expect(throws: ListTokenFault.otherQuestion) {
      try ListToken(for: request, in: StoreID(.random())).progress(of: text)
    }
    // Another limit is another page of the same list.
    var larger = request
    larger.limit = 5
    larger.batching = .whole
    #expect(try token(larger).progress(of: text) == progress)
  }

  @Test func `one of another version is named as such`() throws {
    let (request, progress) = sample()
    let text = token(request).text(of: progress)
    var body = try #require(Base64.url.bytes(of: text)).dropLast(8).map(\.self)
    body[0] = 9
    let checksum = TreeHash.plain(body).words.0
    let bytes = body + (0..<8).map { UInt8(truncatingIfNeeded: checksum >> (56 - 8 * $0)) }
    #expect(throws: ListTokenFault.otherVersion(9)) {
      try token(request).progress(of: Base64.url.text(of: bytes))
    }
  }

  @Test func `carries the rows that are on the list up to a limit, and says when it is over`() {
    var delivered = DeliveredRows()
    let ids = (0..<DeliveredRows.limit).map { InstanceID(UUID128(high: 7, low: UInt64($0))) }
    delivered.add(ids)
    #expect(delivered.marks.count == ids.count && !delivered.isOverfull)
    #expect(ids.allSatisfy { delivered.contains($0) })
    #expect(!delivered.contains(InstanceID(UUID128(high: 8, low: 0))))
    delivered.add([InstanceID(.random())])
    #expect(delivered.isOverfull && delivered.marks.isEmpty)
  }

  @Test func `base64 gives back every length`() {
    var bytes: [UInt8] = []
    for count in 0..<70 {
      #expect(Base64.url.bytes(of: Base64.url.text(of: bytes)) == bytes)
      bytes.append(UInt8(count * 37 % 256))
    }
    for text in ["A", "AB", "AAAAA", "A=", "A A", "é"] {
      #expect(Base64.url.bytes(of: text) == nil || text == "AAAA", "\(text)")
    }
  }
}
