import ArgumentParser
import Journal
import Registry

/// What every change takes: why, and under which request id.
struct ChangeOptions: ParsableArguments {
  @Option(name: .long, help: "Why the change is made; required, and kept for ever in clear.")
  var reason: String?

  @Option(
    name: .customLong("request-id"),
    help: ArgumentHelp(
      "A UUID of the caller's. Giving the same command again under it repeats the answer, not the "
        + "change.", valueName: "uuid"))
  var requestID: String?

  @Option(name: .long, help: "A name, such as a ticket's, that ties several changes together.")
  var correlation: String?

  private static let made = RequestID(.timeOrdered(at: .now))

  /// The request id that was given, or one made for this process.
  var request: RequestID { requestID.flatMap { RequestID($0) } ?? ChangeOptions.made }

  func validate() throws {
    if let requestID, RequestID(requestID) == nil {
      throw ValidationError("--request-id wants a UUID of 36 characters.")
    }
    try PlainText.checkSentence(reason, "--reason")
    try PlainText.checkSentence(correlation, "--correlation")
  }

  var authorship: Authorship { Caller.authorship(reason: reason, correlation: correlation) }

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
