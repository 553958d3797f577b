import Foundation
import Journal
import Projections
import Registry

/// `keys shred` of a project's key.
struct ProjectShredding {
  /// What was named.
  enum Asked {
    case project(String)
    case key(KeyID)

    /// What a retry under the same request id has to ask for again.
    var words: ByteText {
      switch self {
      case .project(let name): ByteText("project \(name)")
      case .key(let key): ByteText("key \(key)")
      }
    }
  }

  let asked: Asked
  private let store: StoreOptions
  private let change: PlannedChange
  private let isTrial: Bool

  init(asked: Asked, _ store: StoreOptions, _ change: PlannedChange, isTrial: Bool) {
    self.asked = asked
    self.store = store
    self.change = change
    self.isTrial = isTrial
  }

  func run() throws {
    let session = try StoreSession(store)
    try OwnerOutput.checkCanTell()
    guard let keys = OwnerOutput.keys else {
      throw CommandFailure(
        .refused,
        "This store doesn't seal projects: they stand in its entries in clear, and can't be shredded. "
          + "Only a store that was made with 'init --seal-projects' seals them.")
    }
    guard let key = try key(among: keys) else { return try repeatAnswer(session) }
    let instances = try instances(of: key, session)
    if isTrial { return print(key, nil, instances, session) }
    let registry = try session.writer()
    let outcome: Outcome
    do throws(RegistryError) {
      outcome = try KeyRetirement.shred(
        ownerKeys: [key], asked: asked.words, in: session.journal, by: registry,
        command: change.command)
    } catch {
      session.close()
      throw CommandFailure(error, request: change.request)
    }
    session.close()
    print(key, outcome, instances, session)
  }

  /// The key that is to go; nil if there is none.
  private func key(among keys: OwnerKeys) throws(CommandFailure) -> KeyID? {
    do throws(KeyError) {
      switch asked {
      case .project(let name): return try keys.keyID(of: ByteText(name))
      case .key(let key): return keys.project(of: key).isReadable ? key : nil
      }
    } catch {
      throw CommandFailure(reading: error)
    }
  }

  /// How many instances of the map the key has sealed.
  private func instances(of key: KeyID, _ session: StoreSession) throws(CommandFailure) -> Int {
    let map = try session.map().map
    return try projections { () throws(ProjectionError) in
      var count = try map.index.countInstances(sealedBy: key)
      for (id, row) in map.overlay.changedInstances {
        if try map.index.instance(id)?.isSealed(by: key) == true { count -= 1 }
        if row?.isSealed(by: key) == true { count += 1 }
      }
      return count
    }
  }

  /// There is nothing left to shred: the answer of before, or that the store knows of no such key.
  private func repeatAnswer(_ session: StoreSession) throws {
    if !isTrial {
      let outcome = try session.submit(.shredOwnerKeys(asked: asked.words, []), change)
      session.close()
      if outcome.isRepeated { return print(nil, outcome, 0, session) }
    }
    switch asked {
    case .key: print(nil, nil, 0, session)
    case .project(let name):
      throw CommandFailure(
        .unknown,
        "There is no key of a project '\(name.prefix(80))': the map never held an instance of it, or its key "
          + "is shredded already. 'keys list' shows the keys.")
    }
  }

  private func print(
    _ key: KeyID?, _ outcome: Outcome?, _ instances: Int, _ session: StoreSession
  ) {
    var json: [String: JSONValue] = [
      "cell": .null, "keys": .list(key.map { [.printed($0)] } ?? []),
      "instances": .number(instances), "dry_run": .flag(isTrial),
    ]
    let found = counted(instances, "instance")
    guard let outcome else {
      if store.json {
        json["changed"] = .flag(false)
        json["position"] = .printed(session.journal.head.position)
        return Console.print(JSONValue.object(json).line)
      }
      Console.say(
        key.map {
          "A dry run: would destroy \($0); whose \(found) of the map are could not be read any more."
        }
          ?? "Nothing to shred: the key is shredded already.")
      return AnswerPosition.say(session.journal.head.position)
    }
    let copies = key.map { KeptCopies(of: [$0], in: session.files.keys) }
    json["copies"] = copies?.json ?? .list([])
    let readings = Self.readings(in: session.files.directory)
    json["readings"] = .list(readings.map { .text($0) })
    change.report(
      outcome, store,
      done: key.map { "Destroyed \($0); whose \(found) of the map are can't be read any more." }
        ?? "Destroyed the key.", json: json)
    guard !store.json, outcome.entries != nil else { return }
    for name in readings {
      Console.say(
        "\(name) in the store's folder is what a rebuild or a comparison has read of the cells, in clear, until "
          + "it ends: end it, or give it again if it was broken off.")
    }
    copies?.say()
  }

  /// Files in which what was read of cells lies in clear while a rebuild or a comparison is underway, or
  /// since one was killed.
  private static func readings(in folder: String) -> [String] {
    let names = Set((try? FileManager.default.contentsOfDirectory(atPath: folder)) ?? [])
    return names.filter { name in
      guard ProjectionError.readingPrefixes.contains(where: name.hasPrefix) else { return false }
      // A WAL alone is of a file that was removed by hand.
      return name.hasSuffix(".sqlite")
        || (name.hasSuffix(".sqlite-wal") && !names.contains(String(name.dropLast(4))))
    }.sorted()
  }
}

extension InstanceRow {
  fileprivate func isSealed(by key: KeyID) -> Bool {
    (record.owner.project ?? record.owner.user)?.key == key
  }
}
