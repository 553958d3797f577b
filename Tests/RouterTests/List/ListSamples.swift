import Cells
import Journal
import Router

extension ListWorld {
  /// Instances of the cells by turns, so that an order goes through all of them.
  func samples(_ count: Int, _ change: (Int, inout Sample) -> Void = { _, _ in }) -> [Sample] {
    (0..<count).map { number in
      var sample = Sample(id: listed(number), cell: cells[number % cells.count].id)
      sample.createdAt = moment(number)
      sample.mappedAt = moment(number)
      sample.host = "h\(number % 4)"
      sample.name = "vm-\(number)"
      sample.project = "p"
      change(number, &sample)
      return sample
    }
  }
}

/// The instance of a number; their order is the numbers'.
func listed(_ number: Int) -> InstanceID { InstanceID(uuid(3, 1_000 + number)) }

func listed(_ numbers: some Sequence<Int>) -> [InstanceID] { numbers.map { listed($0) } }

/// What is asked of a list, by these keys.
func request(
  _ keys: InstanceOrder.Key..., limit: Int = 1_000,
  _ change: (inout InstanceListRequest) -> Void = { _ in }
) -> InstanceListRequest {
  var request = InstanceListRequest(order: InstanceOrder(keys))
  request.limit = limit
  change(&request)
  return request
}

extension CellListing.Outcome {
  /// What became of the cell, in a word.
  var word: String {
    switch self {
    case .answered: "answered"
    case .timedOut: "timed out"
    case .failed: "failed"
    case .skipped: "skipped"
    case .missedEarlier: "missed earlier"
    }
  }
}

extension ListedInstance {
  var isUnknown: Bool { if case .unknown = source { true } else { false } }
}
