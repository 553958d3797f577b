import Journal

/// Names the position at which an answer is true on standard error, where standard output doesn't: a table has no
/// place for it that a pipe wouldn't take for a row, and a list in JSON without rows has none at all.
enum AnswerPosition {
  /// - Parameter last: The position of the last of several answers, where it is another one.
  static func say(_ first: Position, to last: Position? = nil) {
    let end = last.map { $0 == first ? "" : " to \($0)" } ?? ""
    Console.note("cellmap: True at \(first)\(end).")
  }
}

extension MapView {
  /// Names the position of an answer that is printed, where its first line or its rows have not.
  func conclude(rows: Int = 1, json: Bool) {
    guard json ? rows == 0 : past == nil else { return }
    AnswerPosition.say(head)
  }
}
