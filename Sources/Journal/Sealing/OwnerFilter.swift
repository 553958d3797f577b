/// Which owners are in question, by project, user or both, in clear and as the map holds them.
public struct OwnerFilter: Hashable, Sendable {
  public let project: ByteText?
  public let user: ByteText?
  /// What stands for the project in the map; none if the map can't have it.
  public let projects: Set<PersonalText>
  /// What stands for the user: one for each project that is in question.
  public let users: Set<PersonalText>
  /// What stands for the user of an instance whose project the map doesn't know, where a project is in
  /// question too.
  public let usersOfNoProject: Set<PersonalText>
  /// The keys of projects that can be read; nil where owners are in clear.
  public let readable: Set<KeyID>?

  /// Of owners in clear.
  public init(project: ByteText? = nil, user: ByteText? = nil) {
    self.init(
      project: project, user: user, projects: project.map { [.clear($0)] } ?? [],
      users: user.map { [.clear($0)] } ?? [],
      usersOfNoProject: project == nil ? [] : user.map { [.clear($0)] } ?? [], readable: nil)
  }

  fileprivate init(
    project: ByteText?, user: ByteText?, projects: Set<PersonalText>, users: Set<PersonalText>,
    usersOfNoProject: Set<PersonalText>, readable: Set<KeyID>?
  ) {
    self.project = project
    self.user = user
    self.projects = projects
    self.users = users
    self.usersOfNoProject = usersOfNoProject
    self.readable = readable
  }

  public var isEmpty: Bool { project == nil && user == nil }

  /// The same for any user of the project.
  public var withoutUser: OwnerFilter {
    OwnerFilter(
      project: project, user: nil, projects: projects, users: [], usersOfNoProject: [],
      readable: readable)
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
    // A user is sealed under the key of its instance's project.
    let users = owner.project == nil ? users.union(usersOfNoProject) : users
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
    func stands(_ name: ByteText?, _ field: OwnerField, by keys: [OwnerKey]) -> Set<PersonalText> {
      Set(name.map { name in keys.map { $0.seal(name, field, of: store) } } ?? [])
    }
    return OwnerFilter(
      project: project, user: user, projects: stands(project, .project, by: own),
      users: stands(user, .user, by: project == nil ? all : own),
      usersOfNoProject: project == nil
        ? [] : stands(user, .user, by: all.filter { $0.project == nil }),
      readable: Set(all.map(\.id)))
  }
}
