import Journal
import Projections

/// How the owners of instances are printed: in clear, as far as anybody may still read them.
enum OwnerOutput {
  /// What opens them. Set ahead of any thread.
  nonisolated(unsafe) private(set) static var keys: OwnerKeys?
  /// Owners are sealed, and no key of the store is there. Set ahead of any thread.
  nonisolated(unsafe) private static var isWithoutKeys = false

  /// Takes the keys of the store that answers are about; without them owners stay sealed.
  static func use(_ journal: EventJournal) {
    do throws(KeyError) {
      let keys = try OwnerKeys.open(of: journal)
      self.keys = keys.seals ? keys : nil
      isWithoutKeys = !keys.seals && journal.sealsOwners
    } catch {
      Console.note("cellmap: \(error)")
    }
  }

  static func opened(_ owner: InstanceOwner) -> InstanceOwner { keys?.opened(owner) ?? owner }

  static func opened(_ row: InstanceRow) -> InstanceRow { row.opened(by: keys) }

  /// The members of a JSON object. What can't be read is null; `key_shredded` names it, and `sealed` where the key
  /// isn't here.
  static func fields(_ owner: InstanceOwner) -> [String: JSONValue] {
    let opened = opened(owner)
    var fields: [String: JSONValue] = [
      "project": .printed(opened.project?.clearText), "user": .printed(opened.user?.clearText),
    ]
    var (shredded, sealed): ([JSONValue], [JSONValue]) = ([], [])
    for (name, text) in [("project", opened.project), ("user", opened.user)] {
      switch text {
      case nil, .clear?: continue
      case .shredded?: shredded.append(.text(name))
      case .sealed?: sealed.append(.text(name))
      }
    }
    if !shredded.isEmpty { fields["key_shredded"] = .list(shredded) }
    if !sealed.isEmpty { fields["sealed"] = .list(sealed) }
    return fields
  }

  /// Of a project nothing can be found where its name is sealed and no key is there: that is no answer of nothing.
  static func checkCanTell() throws(CommandFailure) {
    guard isWithoutKeys else { return }
    throw CommandFailure(
      .storage,
      "This store seals projects and users, and its keys are not here: what belongs to whom can't be told. "
        + "Put its folder 'keys' back.")
  }

  /// What is asked of a map for owners that a person named.
  static func filter(
    project: String?, user: String?
  ) throws(CommandFailure) -> OwnerFilter {
    let (project, user) = (project.map { ByteText($0) }, user.map { ByteText($0) })
    if project != nil || user != nil { try checkCanTell() }
    guard let keys else { return OwnerFilter(project: project, user: user) }
    do throws(KeyError) { return try keys.filter(project: project, user: user) } catch {
      throw CommandFailure(reading: error)
    }
  }
}

/// What is said of instances whose owner was shredded.
enum OwnersLeft {
  static func say(_ count: UInt64) {
    guard count > 0 else { return }
    Console.remark(
      "\(counted(Int(count), "instance")) of a project whose key was shredded: the owner stays so, "
        + "whatever was read of it.")
  }
}
