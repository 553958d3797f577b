extension OwnerKeys {
  // MARK: From clear to sealed

  /// An owner as the journal holds it: in clear in a store that doesn't seal owners, else each part under
  /// the key of the project. What is sealed or shredded already stays, but for a user that goes to
  /// another project.
  ///
  /// - Parameters:
  ///   - before: What the journal holds of the instance: a part that comes back as shredded is put back as
  ///     it was sealed.
  ///   - makesKeys: Whether a project that has no key gets one; else it stays in clear, for what is
  ///     written nowhere.
  /// - Throws: `busy` if the project's key is shredded now; `ownerShredded` for a user of a project whose
  ///   key is gone; `damaged`, `missing`, `file`.
  public func sealed(
    _ owner: InstanceOwner, over before: InstanceOwner?, makesKeys: Bool = true
  ) throws(KeyError) -> InstanceOwner {
    guard seals, owner != .nobody else { return owner }
    var owner = owner
    owner.project = Self.restored(owner.project, before?.project)
    owner.user = Self.restored(owner.user, before?.user)
    if let project = owner.project, project.clearText == nil {
      guard let user = owner.user?.clearText else { return owner }
      guard let key = project.key.flatMap({ key(of: $0) }) else {
        throw .ownerShredded(project.key ?? KeyID(.zero))
      }
      owner.user = key.seal(user, .user, of: store)
      return owner
    }
    let found =
      try makesKeys ? madeKey(of: owner.project?.clearText) : key(of: owner.project?.clearText)
    guard let key = found else { return owner }
    if let user = owner.user, user.key != key.id, let clear = opened(user, .user).clearText {
      owner.user = key.seal(clear, .user, of: store)
    }
    if let project = owner.project?.clearText {
      owner.project = key.seal(project, .project, of: store)
    }
    return owner
  }

  private static func restored(_ text: PersonalText?, _ before: PersonalText?) -> PersonalText? {
    guard case .shredded(let key)? = text, before?.key == key else { return text }
    return before
  }

  // MARK: From sealed to clear

  /// An owner as people and other systems may see it: each part in clear, or as shredded where its key is
  /// gone. Sealed parts stay where the store's keys are elsewhere, or damaged.
  public func opened(_ owner: InstanceOwner) -> InstanceOwner {
    InstanceOwner(
      project: owner.project.map { opened($0, .project) },
      user: owner.user.map { opened($0, .user) })
  }

  /// Whether a part of an owner can't be read any more by anybody who has the store and its keys.
  public func isShredded(_ owner: InstanceOwner) -> Bool {
    [owner.project, owner.user].contains { text in
      guard let key = text?.key else { return false }
      if case .shredded? = text { return true }
      return isGone(key)
    }
  }

  func opened(_ text: PersonalText, _ field: OwnerField) -> PersonalText {
    guard case .sealed(let id, let bytes) = text else { return text }
    if let key = key(of: id) {
      guard let clear = try? key.open(bytes, field, of: store) else { return text }
      return .clear(clear)
    }
    return isGone(id) ? .shredded(key: id) : text
  }

  /// Whether a project's key was shredded or lost: its file isn't in a folder that holds keys.
  func isGone(_ id: KeyID) -> Bool {
    FileIdentity(ofPath: OwnerKey.path(of: id, in: directory)) == nil
      && KeyRing.holdsKeys(directory)
  }
}

extension InstanceOwner {
  /// Neither a project nor a user is known.
  static let nobody = InstanceOwner(project: nil as PersonalText?, user: nil)

  /// A part of it can't be read any more; only of an owner that was opened.
  public var isShredded: Bool {
    [project, user].contains { if case .shredded? = $0 { true } else { false } }
  }
}

extension PersonalText {
  /// The key that it is sealed by, or was.
  public var key: KeyID? {
    switch self {
    case .clear: nil
    case .sealed(let key, _), .shredded(let key): key
    }
  }
}

extension InstanceRow {
  /// The row with its owner opened.
  public func opened(by keys: OwnerKeys?) -> InstanceRow {
    guard let keys, record.owner != .nobody else { return self }
    var row = self
    row.record.owner = keys.opened(record.owner)
    return row
  }
}

extension EntityRow {
  /// The row, of an instance with its owner opened.
  public func opened(by keys: OwnerKeys?) -> EntityRow {
    if case .instance(let row) = self { .instance(row.opened(by: keys)) } else { self }
  }
}

extension Event {
  /// The event, with the owners that it names opened.
  public func opened(by keys: OwnerKeys?) -> Event {
    guard let keys, case .instance(let id, let event) = self else { return self }
    func opened(_ record: InstanceRecord) -> InstanceRecord {
      var record = record
      record.owner = keys.opened(record.owner)
      return record
    }
    switch event {
    case .mapped(let record): return .instance(id, .mapped(opened(record)))
    case .unmapped(let record): return .instance(id, .unmapped(opened(record)))
    case .ownerChanged(let from, let to):
      return .instance(id, .ownerChanged(from: keys.opened(from), to: keys.opened(to)))
    default: return self
    }
  }
}

extension Entry {
  /// The entry, with the owners that it names opened; its bytes are others then.
  public func opened(by keys: OwnerKeys?) -> Entry {
    guard let keys, case .instance = event else { return self }
    return Entry(
      position: position, orderedAt: orderedAt,
      draft: EntryDraft(
        event: event.opened(by: keys), authorship: draft.authorship, request: draft.request,
        evidence: draft.evidence))
  }
}
