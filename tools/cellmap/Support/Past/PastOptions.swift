import ArgumentParser
import Journal

/// The moment of which a read command tells: now, unless one is given.
struct PastOptions: ParsableArguments {
  @Option(
    name: .long,
    help: ArgumentHelp(
      "As the map stood then: after an entry (42 or 1:42), at a time (2026-01-31T14:03:00Z) or an age "
        + "('2h ago').", valueName: "when"))
  var at: String?

  /// What was asked for; nil for now.
  var moment: PastMoment? { at.flatMap { PastMoment($0, now: .now) } }

  func validate() throws {
    if let at, moment == nil { throw ValidationError(PastWhen.complaint(about: at, "--at")) }
  }
}

/// Moments of the past as arguments.
enum PastWhen {
  static func complaint(about text: String, _ what: String) -> String {
    let shown = HiddenArguments.looksLikeAddress(text) ? "…" : String(text.prefix(80))
    return "\(what) \(shown): give an entry (42 or 1:42), a time (2026-01-31T14:03:00Z), or an age "
      + "('90s ago', '15m ago', '2h ago', '3d ago')."
  }

  static func moment(_ text: String, _ what: String) throws(CommandFailure) -> PastMoment {
    guard let moment = PastMoment(text, now: .now) else {
      throw CommandFailure(.usage, complaint(about: text, what))
    }
    return moment
  }
}
