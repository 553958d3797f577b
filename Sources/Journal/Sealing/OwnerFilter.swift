/// Which owners are in question, by project, user or both, in clear and as the map holds them.
public struct OwnerFilter: Hashable, Sendable {
  public let project: ByteText?
  public let user: ByteText?
  /// What stands for the project in the map; none if the map can't have it.
  public let projects: Set<PersonalText>
  /// What stands for the user: one for each project that is in question.
  public let users: Set<PersonalText>
  /// The keys of projects that can be read; nil where owners are in clear.
  public let readable: Set<KeyID>?

  /// Of owners in clear.
  public init(project: ByteText? = nil, user: ByteText? = nil) {
    self.init(
      project: project, user: user, projects: project.map { [.clear($0)] } ?? [],
      users: user.map { [.clear($0)] } ?? [], readable: nil)
  }

  fileprivate init(
    project: ByteText?, user: ByteText?, projects: Set<PersonalText>, users: Set<PersonalText>,
    readable: Set<KeyID>?
  ) {
    self.project = project
    self.user = user
    self.projects = projects
    self.users = users
    self.readable = readable
  }

  public var isEmpty: Bool { project == nil && user == nil }

  /// The same for any user of the project.
  public var withoutUser: OwnerFilter {
    OwnerFilter(project: project, user: nil, projects: projects, users: [], readable: readable)
  }

  /// Whether an owner is in question.
  public enum Verdict: Sendable {
    case yes, no
    /// It may be: a part isn't known, or can't be read.
    case unknown
  }

  /// - Parameter owner: As the map holds it, or opened.
  public func verdict(_ owner: InstanceOwner) -> Verdict {
    var verdict = Verdict.yes
    let parts = [(project, projects, owner.project), (user, users, owner.user)]
    for (wanted, values, found) in parts where wanted != nil {
      guard let found, !isUnreadable(found) else {
        verdict = .unknown
        continue
      }
      let isIt = found.clearText.map { $0 == wanted } ?? values.contains(found)
      if !isIt { return .no }
    }
    return verdict
  }

  private func isUnreadable(_ text: PersonalText) -> Bool {
    switch text {
    case .clear: false
    case .sealed(let key, _): readable.map { !$0.contains(key) } ?? true
    case .shredded: true
    }
  }
}

extension OwnerKeys {
  /// The filter as the map of this store is asked.
  ///
  /// - Throws: `file`, `missing`; a key that is damaged is passed over.
  public func filter(project: ByteText?, user: ByteText?) throws(KeyError) -> OwnerFilter {
    guard seals, project != nil || user != nil else {
      return OwnerFilter(project: project, user: user)
    }
    let all = try readableKeys()
    let own = all.filter { $0.project == project }
    let ofUser = project == nil ? all : own
    return OwnerFilter(
      project: project, user: user,
      projects: Set(project.map { name in own.map { $0.seal(name, .project, of: store) } } ?? []),
      users: Set(user.map { name in ofUser.map { $0.seal(name, .user, of: store) } } ?? []),
      readable: Set(all.map(\.id)))
  }
}
