internal import Journal

/// How owners come into the journal: sealed, in a store that seals them.
///
/// Belongs to one thread at a time.
final class OwnerRules {
  private let keys: OwnerKeys
  private let makesKeys: Bool
  /// Observations of instances whose owner nobody can read any more, which stays as it is.
  private(set) var left: UInt64 = 0
  /// What was sealed last, and keys that were there: a group, or a preview, is too short for more looks at
  /// the folder. A key that goes meanwhile is noted by an entry behind those of the group.
  private var known: [InstanceOwner: InstanceOwner] = [:]
  private var readable: Set<KeyID> = []
  private static let maximumKnown = 10_000

  /// - Parameter makesKeys: False for a preview: a project without a key stays in clear there.
  init(keys: OwnerKeys, makesKeys: Bool) {
    self.keys = keys
    self.makesKeys = makesKeys
  }

  // Hot path: nothing in a store that doesn't seal owners.
  func sealed(
    _ owner: InstanceOwner, over before: InstanceOwner? = nil
  ) throws(RegistryError) -> InstanceOwner {
    guard keys.seals else { return owner }
    if let sealed = known[owner] { return sealed }
    do throws(KeyError) {
      let sealed = try keys.sealed(owner, over: before, makesKeys: makesKeys)
      if owner.isClear {
        if known.count == Self.maximumKnown { known.removeAll() }
        known[owner] = sealed
      }
      return sealed
    } catch {
      throw .keys(error)
    }
  }

  /// The owner that an instance is to have by an observation. One that was shredded is not written again
  /// under another key because a cell or a database still names it.
  func observed(
    _ owner: InstanceOwner, over before: InstanceOwner?
  ) throws(RegistryError) -> InstanceOwner {
    guard keys.seals else { return owner }
    if let before, isShredded(before) {
      left += 1
      return before
    }
    return try sealed(owner, over: before)
  }

  /// Whether an owner was shredded, so that it can't be compared with another.
  func isShredded(_ owner: InstanceOwner) -> Bool {
    guard keys.seals else { return false }
    let named = Set([owner.project?.key, owner.user?.key].compactMap(\.self))
    if named.isSubset(of: readable), !owner.isShredded { return false }
    guard !keys.isShredded(owner) else { return true }
    readable.formUnion(named)
    return false
  }
}

extension InstanceOwner {
  fileprivate var isClear: Bool {
    [project, user].allSatisfy { $0.map { $0.clearText != nil } ?? true }
  }
}
