import ArgumentParser
import Cells
import Foundation
import Journal
import Projections
import Router

/// `cellmap route`: instance → (database, queue, host).
struct RouteCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "route", abstract: "Shows an instance's database, queue and host.",
    discussion: """
      The host is read from the cell in this call. If the cell can't be read, cell and addresses are \
      the map's, the host is null, and the last known host is named. With several instances, or '-' \
      for one UUID a line on standard input, each failing one carries its own error, and the exit \
      code is 5. With --at no cell is asked: cell and addresses are those of then, the host is null, and \
      the one that had been seen by then is named.
      """)
  @OptionGroup var store: StoreOptions
  @OptionGroup var base: BaseOptions
  @OptionGroup var past: PastOptions
  @Argument(help: "UUIDs of instances, or - to read them from standard input.")
  var instances: [String]
  @Flag(help: "Shows the whole addresses, secrets and all.") var reveal = false
  @Option(help: ArgumentHelp("How long a cell may take to answer.", valueName: "milliseconds"))
  var deadline = 2000
  /// Asked for together, so that each cell is asked once.
  private static let batch = 500

  func validate() throws {
    guard !instances.isEmpty else { throw ValidationError("Give at least one instance, or -.") }
    guard instances == ["-"] || !instances.contains("-") else {
      throw ValidationError("Give UUIDs, or - alone to read them from standard input.")
    }
    guard (1...600_000).contains(deadline) else {
      throw ValidationError("--deadline must be 1 to 600000 milliseconds.")
    }
  }

  func run() throws {
    let session = try StoreSession(store)
    if let moment = try past.moment() { return try answerPast(moment, session) }
    let asking = RouterAsking(session: session, base: try base.addressBase())
    let printer = RouteOutput(reveal: reveal, json: store.json)
    if instances == ["-"] {
      try stream(asking, printer)
    } else {
      try answer(instances, asking, printer)
    }
    printer.end()
    if let status = printer.status(isBatch: instances.count > 1 || instances == ["-"]) {
      throw ExitCode(status.rawValue)
    }
  }

  private func answerPast(_ moment: PastMoment, _ session: StoreSession) throws {
    let routes = try PastRoutes(
      session, at: session.point(at: moment), base, reveal: reveal, json: store.json)
    let isStream = instances == ["-"]
    if isStream {
      while let line = try StandardInput.line() {
        if let text = Self.question(line) { routes.answer(text) }
      }
    } else {
      for text in instances { routes.answer(text) }
    }
    routes.end()
    if let status = routes.status(isBatch: instances.count > 1 || isStream) {
      throw ExitCode(status.rawValue)
    }
  }

  private func stream(_ asking: RouterAsking, _ printer: RouteOutput) throws {
    while true {
      let lines = try StandardInput.lines(limit: RouteCommand.batch)
      if lines.isEmpty { return }
      let questions = lines.compactMap { Self.question($0) }
      if !questions.isEmpty { try answer(questions, asking, printer) }
    }
  }

  /// What a line of standard input asks for; nil for a blank one. What isn't UTF-8 is no UUID either.
  private static func question(_ line: [UInt8]) -> String? {
    let text = String(decoding: line, as: UTF8.self).trimmingCharacters(
      in: .whitespacesAndNewlines)
    return text.isEmpty ? nil : text
  }

  /// Answers in the order of the questions, malformed ones among them.
  private func answer(
    _ texts: [String], _ asking: RouterAsking, _ printer: RouteOutput
  ) throws {
    let ids = texts.map { InstanceID($0) }
    let deadline = Duration.milliseconds(deadline)
    let ((position, routes), router) = try asking.answer { router throws(RouterError) in
      let position = try router.position()
      return (position, try router.routes(for: ids.compactMap(\.self), until: .now + deadline))
    }
    var next = routes.makeIterator()
    for (text, id) in zip(texts, ids) {
      if id == nil {
        printer.refuse(text, at: position)
      } else if let route = next.next() {
        try printer.print(route, from: router)
      }
    }
  }
}
