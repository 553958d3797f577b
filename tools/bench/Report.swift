import Foundation

/// Comparisons as a table for people and as JSON.
struct Report {
  private(set) var comparisons: [Comparison] = []
  private(set) var sizes: [SizeReading] = []
  let instances: Int

  init(instances: Int) { self.instances = instances }

  mutating func add(_ comparison: Comparison) { comparisons.append(comparison) }
  mutating func add(_ size: SizeReading) { sizes.append(size) }

  static let heading =
    "| operation | ours, per s | raw, per s | ratio | p50 | p95 | p99 | raw p50 | alloc | "
    + "raw alloc | sync | budget | |\n"
    + "|---|--:|--:|--:|--:|--:|--:|--:|--:|--:|---|---|---|"

  static let sizeHeading = "\n| size | bytes | |\n|---|--:|---|"

  /// One line of the table, as Markdown.
  static func line(_ row: Comparison) -> String {
    let cells = [
      row.name, count(row.ours.rate), row.raw.map { count($0.rate) } ?? "–",
      row.ratio.map { String(format: "%.2f", $0) } ?? "–", time(row.ours.percentile(0.5)),
      time(row.ours.percentile(0.95)), time(row.ours.percentile(0.99)),
      row.raw.map { time($0.percentile(0.5)) } ?? "–", decimal(row.ours.allocations),
      row.raw.map { decimal($0.allocations) } ?? "–", row.sync, budget(row),
      row.holds.map { $0 ? "holds" : "**short**" } ?? "",
    ]
    return "| " + cells.joined(separator: " | ") + " |"
  }

  static func line(_ size: SizeReading) -> String {
    "| \(size.name) | \(Int(size.bytes.rounded())) | \(size.explanation) |"
  }

  private static func budget(_ row: Comparison) -> String {
    let time =
      switch row.budget {
      case .ratio(let least): "≥ \(decimal(least)) × \(row.rawName)"
      case .nanoseconds(let most): "≤ \(self.time(most))"
      case .nanosecondsOfWorst(let most): "p99 ≤ \(self.time(most))"
      case .none: row.raw == nil ? "" : "beside \(row.rawName)"
      }
    guard let most = row.allocationBudget else { return time }
    return time + "; ≤ \(decimal(most)) alloc"
  }

  /// Nanoseconds in a unit that suits them.
  private static func time(_ nanoseconds: Double) -> String {
    switch nanoseconds {
    case ..<10_000: String(format: "%.0f ns", nanoseconds)
    case ..<1_000_000: String(format: "%.1f µs", nanoseconds / 1e3)
    case ..<1_000_000_000: String(format: "%.1f ms", nanoseconds / 1e6)
    default: String(format: "%.2f s", nanoseconds / 1e9)
    }
  }

  private static func count(_ number: Double) -> String {
    switch number {
    case ..<100: String(format: "%.1f", number)
    case ..<100_000: String(format: "%.0f", number)
    case ..<10_000_000: String(format: "%.0f k", number / 1e3)
    default: String(format: "%.1f M", number / 1e6)
    }
  }

  private static func decimal(_ number: Double) -> String {
    number == number.rounded() || number >= 100
      ? String(format: "%.0f", number) : String(format: number < 1 ? "%.2f" : "%.1f", number)
  }

  /// The report as one JSON object.
  func json(date: Date) throws -> Data {
    let encoder = JSONEncoder()
    encoder.outputFormatting = [.prettyPrinted, .sortedKeys]
    let content = Content(
      date: ISO8601DateFormatter().string(from: date), instances: instances,
      comparisons: comparisons.map(Content.Row.init),
      sizes: sizes.map { Content.Size(name: $0.name, bytes: $0.bytes) })
    return try encoder.encode(content)
  }

  private struct Content: Encodable {
    struct Side: Encodable {
      let perSecond: Double
      let p50: Double
      let p95: Double
      let p99: Double
      let allocations: Double

      init(_ measurement: Measurement) {
        perSecond = measurement.rate
        p50 = measurement.percentile(0.5)
        p95 = measurement.percentile(0.95)
        p99 = measurement.percentile(0.99)
        allocations = measurement.allocations
      }
    }

    struct Row: Encodable {
      let name: String
      let ours: Side
      let raw: Side?
      let rawName: String
      let ratio: Double?
      let sync: String
      let holds: Bool?

      init(_ row: Comparison) {
        (name, rawName, sync) = (row.name, row.rawName, row.sync)
        ours = Side(row.ours)
        raw = row.raw.map(Side.init)
        ratio = row.ratio
        holds = row.holds
      }
    }

    struct Size: Encodable {
      let name: String
      let bytes: Double
    }

    let date: String
    let instances: Int
    let comparisons: [Row]
    let sizes: [Size]
  }
}
