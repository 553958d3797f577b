/// A number with its noun: `1 entry`, `2 entries`.
func counted(_ number: some BinaryInteger, _ noun: String) -> String {
  guard number != 1 else { return "1 \(noun)" }
  let stem = noun.dropLast()
  return "\(number) " + (noun.hasSuffix("y") ? stem + "ies" : noun + "s")
}

/// The same of a number that a child process printed.
func counted(_ number: String, _ noun: String) -> String {
  guard let value = UInt64(number) else { return "\(number) \(noun)" }
  return counted(value, noun)
}

/// A table for people: aligned columns under their names.
struct Table {
  private let header: [String]
  private var rows: [[String]] = []

  init(_ header: String...) { self.init(header) }
  init(_ header: [String]) { self.header = header }

  mutating func add(_ cells: String?...) { add(cells) }

  mutating func add(_ cells: [String?]) {
    precondition(cells.count == header.count, "a cell for each column")
    rows.append(cells.map { Console.safe($0 ?? "-") })
  }

  /// Prints the table; without rows, what `empty` says.
  func print(empty: String) {
    guard !rows.isEmpty else { return Console.print(empty) }
    var widths = header.map(\.count)
    for row in rows {
      for (column, cell) in row.enumerated() { widths[column] = max(widths[column], cell.count) }
    }
    for row in [header] + rows {
      var line = ""
      for (column, cell) in row.enumerated() {
        let isLast = column == row.count - 1
        line += cell
        if !isLast { line += String(repeating: " ", count: widths[column] - cell.count + 2) }
      }
      Console.print(line)
    }
  }
}
