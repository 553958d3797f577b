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
    let path: String
    let entries: UInt64
    let digest: String
    let seconds: Double
    /// Whether the index that served before has the same content; nil if it could not be read.
    let agreesWithServing: Bool?
  }

  /// Replays into a new generation and makes it the one that serves, or into another file.
  ///
  /// - Parameters:
  ///   - file: Another file; then nothing of the store is changed.
  ///   - last: The last entry to replay, for another file only.
  func run(into file: String? = nil, through last: UInt64? = nil) throws(CommandFailure) -> Result {
    let began = ContinuousClock.now
    var number: UInt64 = 0
    if file == nil {
      number = try projections { () throws(ProjectionError) in try session.index.nextNumber() }
    }
    let path = file ?? session.index.path(of: number)
    var arguments = ["replay-worker", "--store", session.files.directory, "--into", path]
    if let last { arguments += ["--through", "\(last)"] }
    let answer: [String: Any]
    do throws(CommandFailure) {
      answer = try ChildWork.run(arguments)
    } catch {
      if file == nil { try? session.index.remove(number) }
      throw error
    }
    let entries = (answer["entries"] as? NSNumber)?.uint64Value ?? 0
    var digest = answer["digest"] as? String ?? ""
    var agrees: Bool?
    if file == nil { (digest, agrees) = try serve(number) }
    let seconds = (ContinuousClock.now - began) / .seconds(1)
    return Result(
      path: path, entries: entries, digest: digest, seconds: seconds, agreesWithServing: agrees)
  }

  /// Under the lease: takes in what was appended meanwhile, compares, switches.
  private func serve(_ number: UInt64) throws(CommandFailure) -> (String, Bool?) {
    try session.withLease("replay") { () throws(CommandFailure) in
      let path = session.index.path(of: number)
      let head = try projections { () throws(ProjectionError) in
        try session.index.catchUp(number, with: session.journal)
      }
      let digest = try projections { () throws(ProjectionError) in
        try IndexReader(path: path).contentDigest()
      }
      let serving = servingDigest(at: head)
      try projections { () throws(ProjectionError) in
        _ = try session.index.switchCurrent(to: number)
      }
      return (digest.description, serving.map { $0 == digest })
    }
  }

  /// The content of the index that serves, if it can be read and has reached the head.
  private func servingDigest(at head: IndexCheckpoint) -> Journal.Digest? {
    guard let (_, reader) = try? session.index.open(store: session.journal.store),
      let checkpoint = try? reader.checkpoint(), checkpoint.position == head.position
    else { return nil }
    return try? reader.checkIndex()
  }

  private func projections<Value>(
    _ body: () throws(ProjectionError) -> Value
  ) throws(CommandFailure) -> Value {
    do throws(ProjectionError) { return try body() } catch { throw CommandFailure(error) }
  }
}
