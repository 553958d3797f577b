public import Cells
public import Journal
public import Router

/// What a probe of a cell found, step by step.
public struct ProbeReport: Sendable {
  /// A thing that is looked at, in this order.
  public enum Step: String, Sendable, CaseIterable {
    case addresses, names, database, identity, hosts, broker, ping

    /// Whether a failure of it is the queue's and not the database's.
    public var isOfQueue: Bool { self == .broker || self == .ping }
  }

  public struct Finding: Sendable {
    public let step: Step
    public let passed: Bool
    /// What was found, or what is wrong and the next step.
    public let text: String
    public let time: Duration
  }

  /// A compute host, and its answer to the ping; nil where it wasn't called.
  public struct Host: Sendable {
    public let host: CellHost
    public let ping: RemoteAnswer?

    public var answers: Bool {
      if case .success(.result)? = ping?.outcome { true } else { false }
    }
  }

  /// The nova-computes of a cell, to be put beside those of others.
  public struct Services: Sendable {
    public let cell: CellID
    public let name: ByteText?
    public let hostCount: Int
    /// From the oldest to the newest; nil where none is known.
    public let versions: ClosedRange<Int64>?
    /// The latest report of any of them, by the clock of whoever wrote it.
    public let lastSeenAt: Timestamp?
    /// Why nothing of it is known.
    public let unavailable: CellUnavailable?
  }

  public let cell: CellID
  public let name: ByteText?
  public internal(set) var findings: [Finding] = []
  public internal(set) var hosts: [Host] = []
  /// This cell first, then the others by UUID.
  public internal(set) var services: [Services] = []
  public internal(set) var verdict: IdentityVerdict?
  /// All evidence that the database has; nil if it wasn't read.
  public internal(set) var identity: CellIdentity?
  public internal(set) var probedAt: Timestamp

  init(of target: CellTarget, at time: Timestamp) {
    cell = target.id
    name = target.name
    probedAt = time
  }

  /// Every step was reached and is in order.
  public var passed: Bool { findings.allSatisfy(\.passed) }

  /// The first thing that is wrong.
  public var firstFailure: Finding? { findings.first { !$0.passed } }
}

extension ProbeReport.Services {
  init(
    _ hosts: [CellHost], of target: CellTarget, unavailable: CellUnavailable? = nil
  ) {
    cell = target.id
    name = target.name
    hostCount = hosts.count
    let versions = hosts.compactMap { $0.service?.version }
    self.versions = versions.min().flatMap { low in versions.max().map { low...$0 } }
    lastSeenAt = hosts.compactMap { $0.service?.lastSeenAt }.max()
    self.unavailable = unavailable
  }
}

extension ProbeReport {
  /// The report as the journal keeps it: one JSON object, of which hosts that don't answer are named,
  /// at most `namedHosts` of them.
  public var outcome: ProbeOutcome {
    let silent = hosts.filter { !$0.answers }.map(\.host.name.string)
    let report = JSONValue.object([
      "findings": .list(
        findings.map { finding in
          .object([
            "step": .text(finding.step.rawValue), "passed": .flag(finding.passed),
            "text": .text(finding.text),
            "milliseconds": .number(Int(finding.time / .milliseconds(1))),
          ])
        }),
      "hosts": .number(hosts.count),
      "hosts_without_answer": .list(silent.prefix(Self.namedHosts).map { .text($0) }),
      "hosts_without_answer_count": .number(silent.count),
    ])
    return ProbeOutcome(passed: passed, report: ByteText(report.line))
  }

  /// More than that would make an entry long, and a list of a whole broken cell says no more.
  private static let namedHosts = 100

  /// The evidence that goes into the journal with the outcome: what isn't recorded yet, of a cell that
  /// is itself; or all of it in place of what was, if an operator says that it is the cell.
  ///
  /// Nothing is recorded of a cell that failed the probe: a mistyped address would be believed for
  /// ever.
  public func evidence(known: Set<UUID128>, isAccepted: Bool) -> [CellIdentity] {
    guard let identity, let verdict else { return [] }
    switch verdict {
    case .wrongCell: return []
    case .unknown:
      guard isAccepted else { return [] }
      var parts = identity.parts(of: HostDiscovery.chunkRows, without: [])
      if parts.isEmpty { parts = [CellIdentity(services: [], computeNodes: [])] }
      parts[0].replacesEarlier = true
      return parts
    case .accepted, .unproven:
      return passed ? identity.parts(of: HostDiscovery.chunkRows, without: known) : []
    }
  }
}
