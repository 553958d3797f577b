public import Journal

/// What a probe has found, as the journal keeps it: the steps, without the hosts.
public struct RecordedProbe: Sendable {
  public let passed: Bool
  public let findings: [ProbeReport.Finding]

  /// Reads an outcome; of a report that isn't in the form of `ProbeReport.outcome`, as much as is.
  public init(_ outcome: ProbeOutcome) {
    passed = outcome.passed
    let report = try? JSONValue(parsing: outcome.report.string)
    guard case .list(let findings)? = report?["findings"] else {
      self.findings = []
      return
    }
    self.findings = findings.compactMap { finding in
      guard let step = finding["step"]?.string.flatMap({ ProbeReport.Step(rawValue: $0) }),
        case .flag(let passed)? = finding["passed"], let text = finding["text"]?.string,
        case .number(let number)? = finding["milliseconds"], let time = Int64(number.text)
      else { return nil }
      return ProbeReport.Finding(
        step: step, passed: passed, text: text, time: .milliseconds(time))
    }
  }
}
