extension OwnerKeys {
  /// The key of an id; nil if it is gone or can't be read.
  func key(of id: KeyID) -> OwnerKey? {
    let isThere = FileIdentity(ofPath: OwnerKey.path(of: id, in: directory)) != nil
    guard isThere else {
      withKnown { $0.forget(id) }
      return nil
    }
    if let key = withKnown({ $0.keys[id] }) { return key }
    guard let key = try? read(id) else { return nil }
    withKnown { $0.add(key) }
    return key
  }

  /// The key of a project; nil if it has none.
  ///
  /// - Throws: `busy` if it is shredded now; `damaged` if a key can't be read, which may be the
  ///   project's; `missing`, `file`.
  func key(of project: ByteText?) throws(KeyError) -> OwnerKey? {
    if let id = withKnown({ $0.ids[project] }), let key = key(of: id) {
      return try checked(key)
    }
    try readFolder()
    let found = withKnown { known in known.ids[project].flatMap { known.keys[$0] } }
    return try found.map { (key) throws(KeyError) in try checked(key) }
  }

  /// The same; one that isn't there is made, and on disk once this returns.
  func madeKey(of project: ByteText?) throws(KeyError) -> OwnerKey {
    if let id = withKnown({ $0.ids[project] }), let key = key(of: id) { return try checked(key) }
    return try Self.alone(in: directory) { (count) throws(KeyError) in
      // Nobody else has made one since the folder was read: it isn't read for each new project.
      if withKnown({ $0.count != count.value }), let key = try key(of: project) {
        withKnown { $0.count = count.value }
        return key
      }
      try count.add()
      withKnown { $0.count = count.value }
      let made = OwnerKey.random(of: project)
      let masters = try MasterRotation.masters(in: directory, of: store)
      try made.write(to: directory, of: store, under: masters[0])
      withKnown { $0.add(made) }
      return made
    }
  }

  private func checked(_ key: OwnerKey) throws(KeyError) -> OwnerKey {
    let mark = KeyShredding.path(ofMarkOf: key.id, in: directory)
    guard FileIdentity(ofPath: mark) == nil else { throw .busy(key.id) }
    return key
  }

  /// The keys that can be read, oldest first.
  func readableKeys() throws(KeyError) -> [OwnerKey] {
    do throws(KeyError) { try readFolder() } catch .damaged {
      // What it seals is unknown to everybody who asks.
    }
    return withKnown { $0.keys.values.sorted { $0.id < $1.id } }
  }

  /// The project of a key that can be read, and whether it can: nil for the key of no project.
  public func project(of key: KeyID) -> (name: ByteText?, isReadable: Bool) {
    let key = self.key(of: key)
    return (key?.project, key != nil)
  }

  /// The key of a project, or of no project; nil if there is none.
  ///
  /// - Throws: As `sealed`.
  public func keyID(of project: ByteText?) throws(KeyError) -> KeyID? {
    try readFolder()
    return withKnown { $0.ids[project] }
  }

  /// Takes in the keys that have come since, and forgets those that have gone.
  private func readFolder() throws(KeyError) {
    guard KeyRing.holdsKeys(directory) else { return }
    let names: [String]
    do throws(FileError) { names = try SmallFile.names(in: directory) } catch { throw .file(error) }
    let there = Set(names.compactMap { OwnerKey.id(ofFile: $0) })
    let new = withKnown { known in
      for id in known.keys.keys where !there.contains(id) { known.forget(id) }
      return there.filter { known.keys[$0] == nil }
    }
    var damage: KeyError?
    for id in new.sorted() {
      do throws(KeyError) {
        let key = try read(id)
        withKnown { $0.add(key) }
      } catch .missing {
        // Shredded since the folder was read.
      } catch {
        damage = damage ?? error
      }
    }
    if let damage { throw damage }
  }

  /// A key may be rewrapped between the reading of its file and that of the masters.
  private static let readingsOfAKey = 3

  private func read(_ id: KeyID) throws(KeyError) -> OwnerKey {
    for _ in 1...Self.readingsOfAKey {
      let wrapped = try OwnerKey.Wrapped(id, in: directory)
      if let master = try master(wrapped.master) {
        return try wrapped.opened(by: master, of: store)
      }
    }
    throw .damaged("\(OwnerKey.path(of: id, in: directory)), under another master,")
  }

  private func master(_ id: KeyID) throws(KeyError) -> StoredKey? {
    if let master = withKnown({ $0.masters.first { $0.id == id } }) { return master }
    let masters = try MasterRotation.masters(in: directory, of: store)
    withKnown { $0.masters = masters }
    return masters.first { $0.id == id }
  }
}
