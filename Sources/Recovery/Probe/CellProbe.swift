internal import Cells
internal import Journal
public import Router

/// Looks at a cell as an operator would before letting instances into it, and changes nothing.
public struct CellProbe: Sendable {
  private let target: CellTarget
  private let router: CellRouter
  /// How long each step may take.
  private let limit: Duration
  /// The operator says that the database is the cell's, whatever was recorded.
  private let isAccepted: Bool

  public init(
    of target: CellTarget, through router: CellRouter, limit: Duration, isAccepted: Bool
  ) {
    self.target = target
    self.router = router
    self.limit = limit
    self.isAccepted = isAccepted
  }

  /// Takes every step that can be taken; what rests on a step that failed is left out.
  ///
  /// Blocks the calling thread for the limit of each step at most.
  public func run() -> ProbeReport {
    var report = ProbeReport(of: target, at: .now)
    guard let pools = look(at: .addresses, in: &report, findPools) else { return report }
    look(at: .names, in: &report) { () throws(Failure) in try resolve(pools) }
    let isItself = readDatabase(pools, into: &report)
    guard let given = pools.queue else { return report }
    let queue = look(at: .broker, in: &report) { () throws(Failure) in
      let queue = try orFail { () throws(CellUnavailable) in try given.get() }
      let server = try orFail { () throws(QueueError) in
        try queue.connect(until: .now + limit)
      }
      return (queue, "\(server) took the user and the virtual host")
    }
    if let queue, isItself, !report.hosts.isEmpty { ping(queue, into: &report) }
    return report
  }

  // MARK: Steps

  /// The cell's connections. cell0 has no queue; why another's address is of no use is told of the
  /// broker, since the database can be looked at all the same.
  private typealias Pools = (
    database: CellConnectionPool, queue: Result<QueuePool, CellUnavailable>?
  )

  private func findPools() throws(Failure) -> Found<Pools> {
    let database = try orFail { () throws(CellUnavailable) in try target.pool() }
    if target.id == .cell0 { return ((database, nil), "the database's address can be read") }
    do throws(CellUnavailable) {
      return ((database, .success(try target.queue())), "both can be read")
    } catch {
      return ((database, .failure(error)), "the database's can be read, the queue's can't be used")
    }
  }

  private func resolve(_ pools: Pools) throws(Failure) -> Found<Void> {
    let queue = try? pools.queue?.get()
    let servers = pools.database.location.servers + (queue?.location.servers ?? [])
    let deadline = ContinuousClock.now + limit
    let missing = Set(servers).filter { !$0.resolves(until: deadline) }
    guard missing.isEmpty else {
      let names = missing.map(\.description).sorted().joined(separator: ", ")
      throw Failure("These names don't resolve: \(names). Correct them with 'cell address'.")
    }
    return ((), servers.isEmpty ? "there are none" : "all of \(Set(servers).count) resolve")
  }

  /// Looks at the database, whose it is, and what hosts it has.
  ///
  /// - Returns: Whether it is the cell's own.
  private func readDatabase(_ pools: Pools, into report: inout ProbeReport) -> Bool {
    let read = look(at: .database, in: &report) { () throws(Failure) in
      let census = try orFail { () throws(CellError) in
        try pools.database.examine(until: .now + limit) { connection, verdict throws(CellError) in
          var unreadable = 0
          let identity = try connection.identity { _, _ in unreadable += 1 }
          return (
            verdict: verdict, hosts: try connection.computeHosts(), identity: identity,
            unreadable: unreadable
          )
        }
      }
      return (census, "it can be read, and has Nova's tables")
    }
    guard let read else { return false }
    report.verdict = read.verdict
    report.identity = read.identity
    let isItself =
      look(at: .identity, in: &report) { () throws(Failure) in
        ((), try judge(read.verdict, read.identity, unreadable: read.unreadable))
      } != nil
    // Another cell's hosts say nothing of this one.
    guard isItself else { return false }
    report.hosts = read.hosts.map { ProbeReport.Host(host: $0, ping: nil) }
    report.services = [ProbeReport.Services(read.hosts, of: target)] + others()
    if target.id != .cell0 {
      look(at: .hosts, in: &report) { () throws(Failure) in
        guard !read.hosts.isEmpty else {
          throw Failure("There is no compute host. Start nova-compute on one.")
        }
        return ((), "\(read.hosts.count) in compute nodes and nova-compute services")
      }
    }
    return true
  }

  private func judge(
    _ verdict: IdentityVerdict, _ identity: CellIdentity, unreadable: Int
  ) throws(Failure) -> String {
    let evidence =
      "\(identity.services.count) services and \(identity.computeNodes.count) compute nodes"
      + (unreadable == 0
        ? ""
        : "; \(unreadable) more have no UUID that is one. Correct services.uuid and "
          + "compute_nodes.uuid; 'cellmap doctor' names the values")
    switch verdict {
    case .accepted: return "as recorded; it has \(evidence)"
    case .unproven: return "new: nothing is recorded of the cell; it has \(evidence)"
    case .unknown(let looked):
      guard !isAccepted else { return "unknown, and accepted by the operator; it has \(evidence)" }
      throw Failure(
        "Unknown: of \(looked) recorded services, nodes and instances the database has none, or too "
          + "few instances. If it is the cell all the same, give --accept and --reason.")
    case .wrongCell(let other):
      throw Failure("It is the database of cell \(other). Correct it with 'cell address'.")
    }
  }

  private func ping(_ queue: QueuePool, into report: inout ProbeReport) {
    let hosts = report.hosts.map(\.host)
    let answers = look(at: .ping, in: &report) { () throws(Failure) in
      let answers = try orFail { () throws(QueueError) in
        try queue.call(.ping(), onComputeHosts: hosts.map(\.name), until: .now + limit)
      }
      return (answers, "")
    }
    guard let answers else { return }
    report.hosts = zip(hosts, answers).map { ProbeReport.Host(host: $0, ping: $1) }
    let silent = report.hosts.filter { !$0.answers }
    let names = silent.prefix(5).map(\.host.name.string).joined(separator: ", ")
    let text =
      silent.isEmpty
      ? "all of \(hosts.count) hosts answer"
      : "\(silent.count) of \(hosts.count) hosts don't answer: \(names)"
        + (silent.count > 5 ? " …" : "") + ". Look at nova-compute there."
    let time = report.findings.removeLast().time
    report.findings.append(
      ProbeReport.Finding(step: .ping, passed: silent.isEmpty, text: text, time: time))
  }

  /// The services of the other cells, to compare with.
  private func others() -> [ProbeReport.Services] {
    guard let cells = try? router.computeHosts(until: .now + limit) else { return [] }
    return cells.filter { $0.target.id != target.id }.map { cell in
      switch cell.answer {
      case .success(let census): ProbeReport.Services(census.hosts, of: cell.target)
      case .failure(let why): ProbeReport.Services([], of: cell.target, unavailable: why)
      }
    }
  }

  // MARK: Looking

  /// What a step found: a value for further steps, and words about it.
  private typealias Found<Value> = (value: Value, text: String)

  /// What is wrong, and the next step.
  private struct Failure: Error {
    let text: String
    init(_ text: String) { self.text = text }
  }

  /// Takes a step and its time, and notes what was found.
  @discardableResult
  private func look<Value>(
    at step: ProbeReport.Step, in report: inout ProbeReport,
    _ work: () throws(Failure) -> Found<Value>
  ) -> Value? {
    let start = ContinuousClock.now
    let found: Result<Found<Value>, Failure>
    do throws(Failure) { found = .success(try work()) } catch { found = .failure(error) }
    let time = start.duration(to: .now)
    switch found {
    case .success(let found):
      report.findings.append(
        ProbeReport.Finding(step: step, passed: true, text: found.text, time: time))
      return found.value
    case .failure(let failure):
      report.findings.append(
        ProbeReport.Finding(step: step, passed: false, text: failure.text, time: time))
      return nil
    }
  }

  private func orFail<Value, Fault: Error & CustomStringConvertible>(
    _ work: () throws(Fault) -> Value
  ) throws(Failure) -> Value {
    do throws(Fault) { return try work() } catch { throw Failure(error.description) }
  }
}
