import Journal
import Testing

@Suite struct PastMomentTests {
  private let now = Timestamp(microseconds: 1_767_225_600_000_000)

  private func ago(_ seconds: Int64) -> PastMoment {
    .time(Timestamp(microseconds: now.microseconds - seconds * 1_000_000))
  }

  @Test func `reads entries, positions, times and ages`() {
    #expect(PastMoment("42", now: now) == .index(42))
    #expect(PastMoment("1:42", now: now) == .position(Position(epoch: 1, index: 42)))
    #expect(PastMoment("2026-01-01T00:00:00Z", now: now) == .time(now))
    #expect(PastMoment("2026-01-01T02:00:00+02:00", now: now) == .time(now))
    #expect(PastMoment("90s ago", now: now) == ago(90))
    #expect(PastMoment("15m", now: now) == ago(900))
    #expect(PastMoment("2h ago", now: now) == ago(7_200))
    #expect(PastMoment("3d ago", now: now) == ago(259_200))
    #expect(PastMoment("0s ago", now: now) == .time(now))
  }

  @Test func `refuses anything else`() {
    for text in [
      "", "ago", " ago", "h ago", "-2h ago", "2 h ago", "2h  ago", "2w ago", "1:0", "2h ago ", "é",
      "99999999999999999999s ago", "9999999d ago", "99999999999999999999",
    ] {
      #expect(PastMoment(text, now: now) == nil, "'\(text)'")
    }
  }
}
