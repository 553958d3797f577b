import TestSupport

extension CommandBed {
  /// Gives a cell another queue address; it holds a password, and so comes by standard input.
  func setQueue(of cell: String = "alpha", to address: String) throws {
    try done("cell", "address", cell, "--queue", "-", "--reason", "t", input: address)
  }
}
