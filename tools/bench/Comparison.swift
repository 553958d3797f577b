/// One line of the table: this code beside the raw C library.
struct Comparison {
  /// What must hold; the budgets are those of the design.
  enum Budget {
    /// Operations a second, as a part of what is compared with.
    case ratio(atLeast: Double)
    case nanoseconds(atMost: Double)
    /// Of the slowest operation in a hundred.
    case nanosecondsOfWorst(atMost: Double)
    case none
  }

  let name: String
  /// The median, as a rate or a time, and the percentiles are of one of these.
  let operation: String
  let ours: Measurement
  let raw: Measurement?
  /// What `raw` did.
  let rawName: String
  /// When something is on disk.
  let sync: String
  let budget: Budget
  /// The most allocations of one operation beyond those of the raw side; nil without a promise.
  var allocationBudget: Double?

  /// How fast this code is, as a part of what it is compared with.
  var ratio: Double? { raw.map { $0.nanoseconds / ours.nanoseconds } }

  /// Whether the budget holds; nil without one.
  var holds: Bool? {
    // What SQLite itself allocates is the raw side's too.
    if let most = allocationBudget, ours.allocations - (raw?.allocations ?? 0) > most + 0.001 {
      return false
    }
    switch budget {
    case .ratio(let least): return ratio.map { $0 >= least }
    case .nanoseconds(let most): return ours.percentile(0.5) <= most
    case .nanosecondsOfWorst(let most): return ours.percentile(0.99) <= most
    case .none: return nil
    }
  }
}

/// A size that is no time: bytes of an entry, or of an instance.
struct SizeReading {
  let name: String
  let bytes: Double
  let explanation: String
}
