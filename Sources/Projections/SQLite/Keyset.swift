/// An order of rows, and the conditions that select what comes after a row of before: paging by key,
/// which costs the same on every page and depends on no row that is still there.
///
/// NULL is less than every value, in both directions. Nothing here is one database's own: the caller
/// writes the terms, and places the values.
public struct KeysetOrder: Sendable {
  /// One expression that rows are ordered by.
  public struct Term: Sendable {
    public var expression: String
    public var isDescending: Bool
    public var isNullable: Bool
    /// An index of the table gives the rows in this order; only the first term's matters.
    public var isIndexed: Bool

    public init(
      _ expression: String, isDescending: Bool, isNullable: Bool = true, isIndexed: Bool = false
    ) {
      self.expression = expression
      self.isDescending = isDescending
      self.isNullable = isNullable
      self.isIndexed = isIndexed
    }
  }

  /// A part of the rows that one statement reads; the parts follow one another in the order.
  public enum Segment: Hashable, Sendable {
    /// All rows, those of which the first term is NULL too.
    case all
    /// Those of which the first term is NULL, or isn't.
    case nulls, values
    /// Those of which the first term has one value, the parameter of place 0: all of them, or those
    /// after the row of before, which has it too.
    case group(isBegun: Bool)
  }

  public let terms: [Term]

  /// - Parameter terms: The last is unique and never NULL, so that the order is total.
  public init(_ terms: [Term]) {
    precondition(terms.last?.isNullable == false, "the last term tells all rows apart")
    self.terms = terms
  }

  /// The statements that read the rows after one of before, or all rows; those after it are empty.
  ///
  /// An index serves a range, and NULLs are none: they get a statement of their own where that saves
  /// reading every row.
  ///
  /// - Parameter nulls: Of the row of before, which terms were NULL; nil for none.
  public func segments(after nulls: [Bool]?) -> [Segment] {
    guard terms[0].isNullable, terms[0].isIndexed else { return [.all] }
    let whole: [Segment] = terms[0].isDescending ? [.values, .nulls] : [.nulls, .values]
    guard let nulls else { return whole }
    return nulls[0] == (whole[0] == .nulls) ? whole : [whole[1]]
  }

  /// The condition of a segment; nil if it needs none.
  ///
  /// - Parameter parameter: The placeholder of the value of a term, which isn't NULL.
  public func condition(
    of segment: Segment, after nulls: [Bool]?, parameter: (Int) -> String
  ) -> String? {
    let first = terms[0].expression
    switch segment {
    case .all: return nulls.map { after($0, from: 0, parameter) }
    case .nulls:
      let part = "\(first) IS NULL"
      guard let nulls, nulls[0] else { return part }
      return "\(part) AND (\(after(nulls, from: 1, parameter)))"
    case .values:
      let part = "\(first) IS NOT NULL"
      guard let nulls, !nulls[0] else { return part }
      // The range for the index, and within it what is beyond the row.
      let bound = "\(first) \(terms[0].isDescending ? "<=" : ">=") \(parameter(0))"
      return "\(bound) AND (\(after(nulls, from: 0, parameter)))"
    case .group(let isBegun):
      let part = "\(first) = \(parameter(0))"
      guard isBegun, let nulls else { return part }
      return "\(part) AND (\(after(nulls, from: 1, parameter)))"
    }
  }

  /// The terms that a segment's rows still differ by.
  public func ordering(of segment: Segment) -> ArraySlice<Term> {
    switch segment {
    case .all, .values: terms[...]
    case .nulls, .group: terms.dropFirst()
    }
  }

  /// What is beyond the row in the terms from a place on: in the first of them, or equal in it and
  /// beyond in the next, and so on.
  private func after(_ nulls: [Bool], from first: Int, _ parameter: (Int) -> String) -> String {
    var choices: [String] = []
    var equal = ""
    for place in first..<terms.count {
      let term = terms[place]
      let value = nulls[place] ? nil : parameter(place)
      if let beyond = beyond(term, value) { choices.append(equal + beyond) }
      equal += value.map { "\(term.expression) = \($0) AND " } ?? "\(term.expression) IS NULL AND "
    }
    return choices.map { "(\($0))" }.joined(separator: " OR ")
  }

  private func beyond(_ term: Term, _ value: String?) -> String? {
    guard let value else { return term.isDescending ? nil : "\(term.expression) IS NOT NULL" }
    guard term.isDescending else { return "\(term.expression) > \(value)" }
    let less = "\(term.expression) < \(value)"
    return term.isNullable ? "(\(less) OR \(term.expression) IS NULL)" : less
  }
}
