import Cells
import Journal
import TestSupport
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

/// Expects a fault within the deadline and a little, which is what a promise of a deadline means.
func expectFault(
  within milliseconds: Int, slack: Duration = busyMachine,
  sourceLocation: SourceLocation = #_sourceLocation,
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
  #expect(time < .milliseconds(milliseconds) + slack, "\(time)", sourceLocation: sourceLocation)
  return fault
}
