import Cells
import Journal
import Testing

let testCell = CellID(UUID128(high: 0x9000, low: 1 << 63 | 1))

/// A pool for an address, in the form in which an operator writes it.
func pool(
  _ address: String, options: [(name: String, value: ByteText)] = [], limit: Int = 4,
  idleTime: Duration = .seconds(60)
) throws -> QueuePool {
  let location = try QueueLocation(
    try QueueAddress(parsing: Secret(address)), options: try ConnectionOptions(options))
  var settings = QueuePoolSettings()
  settings.connections = limit
  settings.idleTime = idleTime
  return QueuePool(cell: testCell, location: location, settings: settings)
}

func soon(_ milliseconds: Int = 10_000) -> ContinuousClock.Instant {
  .now.advanced(by: .milliseconds(milliseconds))
}

/// Expects a fault within the deadline and a little, which is what a promise of a deadline means.
func expectFault(
  within milliseconds: Int, sourceLocation: SourceLocation = #_sourceLocation,
  _ body: (ContinuousClock.Instant) throws -> Void
) -> QueueFault? {
  let start = ContinuousClock.now
  var fault: QueueFault?
  do {
    try body(start + .milliseconds(milliseconds))
    Issue.record("there was no fault", sourceLocation: sourceLocation)
  } catch let error as QueueError {
    fault = error.fault
  } catch {
    Issue.record("another error: \(error)", sourceLocation: sourceLocation)
  }
  let time = start.duration(to: .now)
  // A busy machine may wake a thread late.
  #expect(time < .milliseconds(milliseconds + 400), "\(time)", sourceLocation: sourceLocation)
  return fault
}
