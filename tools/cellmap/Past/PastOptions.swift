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
  func moment() throws(CommandFailure) -> PastMoment? {
    try at.map { text throws(CommandFailure) in try PastWhen.moment(text, "--at") }
  }
}

/// Moments of the past as arguments.
enum PastWhen {
  static func moment(_ text: String, _ what: String) throws(CommandFailure) -> PastMoment {
    guard let moment = PastMoment(text, now: .now) else {
      throw CommandFailure(.usage, "\(what) \(complaint(about: text))")
    }
    return moment
  }

  /// A time or an age, where entries are no answer.
  static func time(_ text: String, _ what: String) throws(CommandFailure) -> Timestamp {
    guard case .time(let time)? = PastMoment(text, now: .now) else {
      throw CommandFailure(
        .usage,
        "\(what) \(complaint(about: text, asking: timeForms))")
    }
    return time
  }

  /// - Parameter head: The time of the last entry, whose writer's clock may have run ahead.
  /// - Throws: `usage` for a time that hasn't come.
  static func checkHasCome(
    _ moment: PastMoment, head: Timestamp = .now
  ) throws(CommandFailure) {
    guard case .time(let time) = moment, time > max(.now, head) else { return }
    throw CommandFailure(.usage, "\(time) is in the future; the journal can't say what comes.")
  }

  static func range(_ text: String, _ what: String) throws(CommandFailure) -> PastRange {
    if let range = PastRange(text, now: .now) { return range }
    let parts = text.split(separator: "..", maxSplits: 1, omittingEmptySubsequences: false)
    let wrong = parts.first { !$0.isEmpty && PastMoment(String($0), now: .now) == nil }
    guard let wrong else {
      throw CommandFailure(
        .usage,
        "\(what) '\(text.prefix(80))' has no beginning: write FROM..TO, or FROM.. up to now.")
    }
    throw CommandFailure(.usage, "\(what) \(complaint(about: String(wrong)))")
  }

  static func selection(_ text: String, _ what: String) throws(CommandFailure) -> EntrySelection {
    if let selection = EntrySelection(text, now: .now) { return selection }
    return .range(try range(text, what))
  }

  /// What is said where a word of the command line looks like an option, and is an age with a sign.
  static func complaint(aboutNegativeIn words: [String]) -> String? {
    guard let place = words.firstIndex(where: isNegative) else { return nil }
    guard place > 0, words[place - 1] == "--changed-since" else {
      return complaint(about: words[place])
    }
    return "--changed-since \(complaint(about: words[place], asking: timeForms))"
  }

  /// A moment counted back from now, and so another one a moment later.
  static func isAge(_ text: String) -> Bool {
    guard case .time(let early)? = PastMoment(text, now: Timestamp(microseconds: 0)),
      case .time(let late)? = PastMoment(text, now: Timestamp(microseconds: 1))
    else { return false }
    return early != late
  }

  private static let timeForms = "Give a time (2026-01-31T14:03:00Z), or \(ages)."

  private static let ages = "an age ('90s ago', '15m ago', '2h ago', '3d ago')"

  private static let units: Set<Substring> = ["s", "m", "h", "d"]

  private static func isNegative(_ text: String) -> Bool {
    let age = text.hasSuffix(" ago") ? text.dropLast(4) : text[...]
    let digits = age.dropFirst().dropLast()
    return age.first == "-" && units.contains(age.suffix(1)) && !digits.isEmpty
      && digits.allSatisfy { ("0"..."9").contains($0) }
  }

  /// What is wrong with a moment, and how one is written.
  private static func complaint(
    about text: String,
    asking forms: String =
      "Give an entry (42 or 1:42), a time (2026-01-31T14:03:00Z), or \(ages)."
  ) -> String {
    let shown = HiddenArguments.shown(text)
    if isNegative(text) {
      return "'\(shown)' lies ahead: an age counts back from now, without a sign. \(forms)"
    }
    let age = text.hasSuffix(" ago") ? text.dropLast(4) : text[...]
    let unit = age.drop { ("0"..."9").contains($0) || $0 == " " }
    if unit.count < age.count, !unit.isEmpty, unit.allSatisfy(\.isLetter), !units.contains(unit) {
      return "'\(shown)' has a unit that is none of s, m, h and d. \(forms)"
    }
    if text.contains(":"), text.allSatisfy({ ("0"..."9").contains($0) || $0 == ":" }) {
      return
        "'\(shown)' is no position, which has an epoch and an index from 1 on, without zeros before them; a "
        + "time of day needs its date. \(forms)"
    }
    return "'\(shown)' is no moment. \(forms)"
  }
}
