internal import Journal

/// What a fix takes for granted of the cells: it would do harm if one of them has, or once had, what it
/// doesn't show.
enum Reliance: Hashable, Sendable {
  /// It rests on rows that were seen.
  case nothing
  /// These cells have all that they ever had, by number.
  case whole(Set<UInt64>)
  /// Every cell has.
  case allWhole
  /// Every cell was read.
  case allRead
}

/// The cells that can't be relied on, and what must be done about each before what they lack is told to
/// be taken away.
struct CellTrust {
  /// By number: why the cell's database was not read, or not to its end.
  let unread: [UInt64: String]
  /// By number: why it is not believed to be whole.
  let doubts: [UInt64: String]
  let cells: DoctorCells

  /// What must be done before a fix that relies on cells; empty where it can be told.
  func obstacles(to reliance: Reliance) -> [DoctorFinding.Step] {
    let numbers = Set(unread.keys).union(doubts.keys).sorted()
    let some: [UInt64]
    switch reliance {
    case .nothing: return []
    case .allRead: some = numbers.filter { unread[$0] != nil }
    case .allWhole: some = numbers
    case .whole(let named): some = numbers.filter(named.contains)
    }
    let shown = some.prefix(Self.shown).map { number in
      let label = cells.label(number)
      return DoctorFinding.Step.shell(
        unread[number] != nil
          ? "# first: cell \(label) must be read; run doctor again then"
          : "# first: cell \(label): \(doubts[number] ?? "")")
    }
    let rest = some.count - shown.count
    return shown + (rest > 0 ? [.shell("# and \(rest) cells more: see the list of cells")] : [])
  }

  /// So many cells are named at a finding.
  private static let shown = 3
}

/// Findings whose fix relies on cells; they are told once every cell was read.
final class HeldFindings {
  private var held: [DoctorFinding] = []

  /// So many are held; more in one run are told without their fix.
  static let most = 20_000

  /// Keeps a finding until `tell`.
  ///
  /// - Returns: What is to be told now instead.
  func hold(_ finding: DoctorFinding) -> DoctorFinding? {
    if finding.reliance == .nothing { return finding }
    guard held.count >= Self.most else {
      held.append(finding)
      return nil
    }
    var finding = finding
    finding.fix = [
      .shell("# first: mend the \(Self.most) that have their SQL, and run doctor again")
    ]
    return finding
  }

  /// Hands out what was held: each with its fix, or with what must be done first.
  func tell(_ trust: CellTrust, _ found: (DoctorFinding) -> Void) {
    for var finding in held {
      let obstacles = trust.obstacles(to: finding.reliance)
      if !obstacles.isEmpty { finding.fix = obstacles }
      found(finding)
    }
    held = []
  }
}
