import ArgumentParser
import Journal
import Registry

/// What every change takes: why, and under which request id.
protocol ChangeOptions: ParsableArguments {
  /// Why; nil only where nothing is decided.
  var givenReason: String? { get }
  var trace: TraceOptions { get }
}

/// Those of a command that always changes something.
struct DecidedChange: ChangeOptions {
  @Option(name: .long, help: "Why the change is made; kept for ever in clear.")
  var reason: String
  @OptionGroup var trace: TraceOptions

  var givenReason: String? { reason }

  func validate() throws { try checkReason() }
}

/// Those of a command that can look without changing anything: a dry run, a plain probe.
struct PlannedChange: ChangeOptions {
  @Option(
    name: .long,
    help: ArgumentHelp(
      "Why the change is made; kept for ever in clear. Required where an entry is to say so: not "
        + "with --dry-run, nor for a probe without --accept."))
  var reason: String?
  @OptionGroup var trace: TraceOptions

  var givenReason: String? { reason }

  func validate() throws { if reason != nil { try checkReason() } }

  /// To be called where something is decided.
  func requireReason() throws {
    if reason == nil { throw ValidationError(Self.reasonWanted) }
  }
}

/// By which name a change is found again.
struct TraceOptions: ParsableArguments {
  @Option(
    name: .customLong("request-id"),
    help: ArgumentHelp(
      "A UUID of the caller's. Giving the same command again under it repeats the answer, not the "
        + "change.", valueName: "uuid"))
  var requestID: String?

  @Option(name: .long, help: "A name, such as a ticket's, that ties several changes together.")
  var correlation: String?

  /// The request id of this process, if none was given.
  fileprivate static let made = RequestID(.timeOrdered(at: .now))

  func validate() throws {
    if let requestID, RequestID(requestID) == nil {
      throw ValidationError("--request-id wants a UUID of 36 characters.")
    }
    try PlainText.checkSentence(correlation, "--correlation")
  }
}

extension ChangeOptions {
  static var reasonWanted: String { "A change wants a reason. Give --reason TEXT." }

  fileprivate func checkReason() throws {
    if givenReason?.allSatisfy(\.isWhitespace) == true {
      throw ValidationError(Self.reasonWanted)
    }
    try PlainText.checkSentence(givenReason, "--reason")
  }

  /// The request id that was given, or one made for this process.
  var request: RequestID { trace.requestID.flatMap { RequestID($0) } ?? TraceOptions.made }

  var authorship: Authorship {
    Caller.authorship(reason: givenReason, correlation: trace.correlation)
  }

  func command(_ change: Change) -> Command { Command(change, by: authorship, request: request) }

  /// Prints what became of a change.
  func report(_ outcome: Outcome, _ options: StoreOptions, done: String, json: [String: JSONValue])
  {
    if options.json {
      var object = json
      object["changed"] = .flag(outcome.entries != nil && !outcome.isRepeated)
      object["repeated"] = .flag(outcome.isRepeated)
      object["position"] = .printed(outcome.position)
      object["entries"] =
        outcome.entries.map { .list([.number($0.lowerBound), .number($0.upperBound)]) } ?? .null
      object["request"] = .printed(request)
      return Console.print(JSONValue.object(object).line)
    }
    if outcome.isRepeated {
      Console.say("Done before: \(done) Nothing was done now. Position \(outcome.position).")
    } else if outcome.entries == nil {
      Console.print("Nothing to change. Position \(outcome.position).")
    } else {
      Console.say("\(done) Position \(outcome.position).")
    }
  }
}
