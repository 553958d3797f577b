import Foundation
import Journal
import Projections
import Registry

/// Makes an index from the journal: in a child process, into a new generation, which then serves.
struct IndexReplacement {
  let session: StoreSession

  init(_ session: StoreSession) { self.session = session }

  /// What was made.
  struct Result {
    var path: String
    var entries: UInt64
    var digest: String
    var seconds: Double
    /// Whether the index that served before has the same content; nil if that was not asked, or it
    /// could not be read.
    var agreesWithServing: Bool?
    /// The entry to which a killed replay had come, which this one went on with.
    var wentOnAfter: String?
    /// Why it didn't go on with one.
    var beganAnew: String?

    /// Entries that this replay read; all that it made may be more.
    var entriesNow: UInt64 {
      entries - min(entries, wentOnAfter.flatMap { Position($0)?.index } ?? 0)
    }
  }

  /// Replays into a file outside the generations; nothing of the store is changed.
  ///
  /// - Parameters:
  ///   - last: The last entry to replay; nil for all.
  ///   - isKept: The work isn't lost if it is killed; of a file that goes with this process it is.
  func run(
    into file: String, through last: UInt64?, isKept: Bool = true
  ) throws(CommandFailure) -> Result {
    var arguments = ["--into", file]
    if !isKept { arguments.append("--scratch") }
    if let last { arguments += ["--through", "\(last)"] }
    return try work(arguments, entries: last)
  }

  /// Replays into a new generation, compares it with the one that serves, and lets it serve.
  func replace() throws(CommandFailure) -> Result {
    let new = try reserve()
    var result = try work(["--generation", "\(new.number)"])
    result.agreesWithServing = agreesWithServing(result)
    try serve(new, if: { true })
    return result
  }

  /// The same for an index that can't serve, without a comparison; whoever of several processes is
  /// first does it for all.
  func mend(_ fault: IndexFault) throws(CommandFailure) {
    Console.note("cellmap: \(fault) Making it again now.")
    let before = try? session.index.current()
    let new = try reserve()
    _ = try work(["--generation", "\(new.number)"])
    try serve(
      new, if: { before == nil ? !isServed : (try? session.index.current()) == before })
  }

  /// The number of the new generation; its file is this process's until it serves.
  private func reserve() throws(CommandFailure) -> HeldGeneration {
    do throws(ProjectionError) { return try session.index.reserve() } catch {
      throw CommandFailure(error)
    }
  }

  /// Runs the child process.
  ///
  /// - Parameter last: The last entry that it replays; nil for the head.
  private func work(
    _ arguments: [String], entries last: UInt64? = nil
  ) throws(CommandFailure) -> Result {
    let journal = session.journal
    let began = ContinuousClock.now
    let progress = WorkProgress("Replaying", of: last ?? journal.head.position.index)
    defer { Console.endProgress() }
    let answer = try ChildWork.run(
      ["replay-worker", "--store", journal.files.directory] + arguments
    ) { progress.show($0) }
    return Result(
      path: answer["index"] as? String ?? "",
      entries: (answer["entries"] as? NSNumber)?.uint64Value ?? 0,
      digest: answer["digest"] as? String ?? "",
      seconds: (ContinuousClock.now - began) / .seconds(1), agreesWithServing: nil,
      wentOnAfter: answer["went_on_after"] as? String,
      beganAnew: answer["began_anew"] as? String)
  }

  /// Another process has made an index meanwhile.
  private var isServed: Bool { (try? session.index.open(store: session.journal.store)) != nil }

  private func serve(
    _ new: HeldGeneration, if isNeeded: () -> Bool
  ) throws(CommandFailure) {
    try projections { () throws(ProjectionError) in
      try session.index.serve(
        new, with: session.journal, under: session.journal.lock, command: Cellmap.words,
        if: isNeeded)
    }
  }

  /// Whether the index that serves has the content of the new one; told only if both have come to
  /// the same entry.
  private func agreesWithServing(_ result: Result) -> Bool? {
    guard let (_, reader) = try? session.index.open(store: session.journal.store),
      let checkpoint = try? reader.beginSnapshot(),
      checkpoint.position.index == result.entries
    else { return nil }
    return (try? reader.checkIndex()).map { $0.description == result.digest }
  }
}
