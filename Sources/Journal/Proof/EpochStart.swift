/// The first entry of an epoch.
public struct EpochStart: Hashable, Sendable {
  public let position: Position
  public let opening: EpochOpening
  /// Who opened it, and why.
  public let authorship: Authorship

  /// Whether the epoch left entries behind, and knew of the one at `index`.
  func hasLeft(_ index: UInt64) -> Bool {
    opening.commonIndex < index && index <= opening.leftIndex
  }
}

extension EventJournal {
  /// The epochs of the journal, oldest first; found by halving, some dozens of reads for each.
  ///
  /// - Throws: The errors of damage.
  public func epochs() throws(JournalError) -> [EpochStart] {
    var starts: [EpochStart] = []
    var first: UInt64? = 1
    while let index = first {
      guard let entry = try entry(at: index), case .store(.epochOpened(let opening)) = entry.event
      else { throw .damagedEntry(index: index, what: "it opens no epoch") }
      starts.append(
        EpochStart(
          position: entry.position, opening: opening, authorship: entry.draft.authorship))
      first = try firstIndex(after: entry.position.epoch, from: index)
    }
    return starts
  }

  /// The first entry of a later epoch; nil if there is none.
  private func firstIndex(
    after epoch: UInt32, from index: UInt64
  ) throws(JournalError) -> UInt64? {
    guard head.position.epoch > epoch else { return nil }
    var (low, high) = (index + 1, head.position.index)
    while low < high {
      let middle = (low + high) / 2
      guard let header = try header(at: middle) else { throw .missingEntry(index: middle) }
      if header.position.epoch > epoch { high = middle } else { low = middle + 1 }
    }
    return low
  }
}
