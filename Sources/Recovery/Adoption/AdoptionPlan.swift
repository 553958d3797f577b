public import Journal
internal import Registry

/// What taking over a map does, counted while it is looked at and again while it is done.
public struct AdoptionPlan: Hashable, Sendable {
  /// Records added, changed and left as they were, of one kind.
  public struct Count: Hashable, Sendable {
    public var added: UInt64 = 0
    public var changed: UInt64 = 0
    public var same: UInt64 = 0
    /// In the map and not in the API database.
    public var surplus: UInt64 = 0

    /// Records of the API database.
    public var total: UInt64 { added + changed + same }
    /// Records that differ from the API database's.
    public var differing: UInt64 { added + changed }
  }

  /// The head of the journal at which the map was compared.
  public var position = Position.start
  public var cells = Count()
  public var hosts = Count()
  public var instances = Count()
  /// What the map was told after the adoption's basis and the API database has otherwise; it stays.
  public var overtaken: UInt64 = 0
  /// Instances whose owner was shredded in the map; it stays so, whatever Nova's row says.
  public var ownersLeft: UInt64 = 0
  /// Cells that the API database has no more, each with the one that has its database now.
  public var replacedCells: [CellID: CellID] = [:]
  /// The cells of the map that the API database has not, but cell0.
  var surplusCells: [CellID] = []
  /// The cells that would be added or changed.
  var differingCells: Set<CellID> = []
  /// The cells of which a row is passed over, and whether one is that may be of any cell.
  private var lackingCells: Set<CellID> = []
  private var anyCellLacks = false
  /// Cells whose coverage becomes complete, once the last instance is in, or incomplete, since a row
  /// of theirs is passed over.
  public internal(set) var coverage: [CellID: Bool] = [:]
  /// Nova's own marker rows, which map nothing and are passed over.
  public var markers: UInt64 = 0
  /// Rows whose time of creation can't be read as one, and the first of them: it is unknown to the map.
  public private(set) var unreadTimes: UInt64 = 0
  public private(set) var firstUnreadTime: String?
  /// Rows that the map can't hold; the first hundred, with why.
  public var problems: [String] = []
  public var problemCount = 0
  /// Cells whose database was read for evidence of its identity, and why others weren't.
  public var identified: [CellID] = []
  public var unidentified: [CellID: String] = [:]

  /// No row of the API database would change the map.
  public var changesNothing: Bool {
    cells.differing + hosts.differing + instances.differing == 0
  }

  /// What the map has and the API database has not.
  public var surplus: UInt64 { cells.surplus + hosts.surplus + instances.surplus }
  /// The first of them of each kind, in words.
  public private(set) var surplusNames: [EntityKey.Kind: [String]] = [:]

  /// Surplus records of one kind that are named.
  static let namedSurplus = 5

  mutating func countSurplus(_ kind: EntityKey.Kind, _ name: String) {
    switch kind {
    case .cell: cells.surplus += 1
    case .host: hosts.surplus += 1
    case .instance: instances.surplus += 1
    case .store: return
    }
    if surplusNames[kind, default: []].count < Self.namedSurplus {
      surplusNames[kind, default: []].append(name)
    }
  }

  /// What the map has and the API database has not, counted and named: `1 host: compute7`.
  public var surplusText: String {
    let kinds: [(EntityKey.Kind, String, UInt64)] = [
      (.cell, "cell", cells.surplus), (.host, "host", hosts.surplus),
      (.instance, "mapping", instances.surplus),
    ]
    return kinds.filter { $0.2 > 0 }.map { kind, word, count in
      let names = surplusNames[kind, default: []].joined(separator: ", ")
      let more = count > UInt64(Self.namedSurplus) ? " …" : ""
      return "\(count) \(word)\(count == 1 ? "" : "s"): \(names)\(more)"
    }.joined(separator: "; ")
  }

  mutating func noteUnreadTime(_ table: String, _ number: UInt64) {
    unreadTimes += 1
    if firstUnreadTime == nil { firstUnreadTime = "\(table) row \(number)" }
  }

  /// Why the plan would not be applied for what only the map has; nil if it would.
  public func refusal(pruning: Bool) -> AdoptionError? {
    guard surplus > 0 || !replacedCells.isEmpty, !pruning else { return nil }
    if let (old, new) = replacedCells.min(by: { $0.key < $1.key }) {
      return .wouldReplace(old, by: new, count: replacedCells.count)
    }
    return .wouldUnmap(surplusText)
  }

  /// Whose content the map doesn't hold whole without a row.
  enum Lacking {
    case nothing, anyCell
    case cell(CellID)
  }

  /// Whether every row of a cell is taken.
  func isWhole(_ cell: CellID) -> Bool { !anyCellLacks && !lackingCells.contains(cell) }

  mutating func note(_ problem: String, lacking: Lacking) {
    switch lacking {
    case .nothing: break
    case .anyCell: anyCellLacks = true
    case .cell(let id): lackingCells.insert(id)
    }
    problemCount += 1
    if problems.count < 100 { problems.append(problem) }
  }
}

extension AdoptionPlan {
  /// Counts what one row takes.
  mutating func count(_ state: Observation.State, _ events: [Event]?) {
    guard let events else {
      overtaken += 1
      return
    }
    let kind: WritableKeyPath<AdoptionPlan, Count> =
      switch state {
      case .cell: \.cells
      case .host: \.hosts
      case .instance: \.instances
      case .conflict: preconditionFailure("an API database has no conflicts")
      }
    if !events.isEmpty, case .cell(let id, _) = state { differingCells.insert(id) }
    switch events.first {
    case nil: self[keyPath: kind].same += 1
    case .cell(_, .added), .instance(_, .mapped): self[keyPath: kind].added += 1
    case .host(_, .mapped): self[keyPath: kind].added += 1
    default: self[keyPath: kind].changed += 1
    }
  }
}

extension Observation.State {
  /// The cell whose content isn't whole without what was observed.
  var lacking: AdoptionPlan.Lacking {
    let cell: CellID? =
      switch self {
      case .cell(let id, _): id
      case .host(_, let record): record?.cell
      case .instance(_, let record): record?.cell
      case .conflict: nil
      }
    return cell.map { .cell($0) } ?? .nothing
  }
}
