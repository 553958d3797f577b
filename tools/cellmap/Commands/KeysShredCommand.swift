import ArgumentParser
import Journal
import Registry

struct KeysShredCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "shred", abstract: "Destroys data keys for good.",
    discussion: """
      What a key has sealed can't be read by anybody any more; entries, digests and proofs stay as they \
      are. One key by its UUID, or all of a cell that seal no present address of it but the newest, which \
      seals the next one; of a cell that was removed all. A key that seals a present address is refused: 'keys rotate' first. Copies of the \
      key in backups and on other disks are out of reach; those that the store knows of are named.

      A project's key is named by --project, or by its UUID, in a store that was made with \
      'init --seal-projects'. Nobody can read any more then whose its instances are, and who made them; \
      they stay in the map, and are routed. What Nova and the cells say of it stays there.
      """)
  @OptionGroup var store: StoreOptions
  @OptionGroup var change: PlannedChange
  @Argument(help: "The cell's name or UUID (also of one that was removed), or a key's UUID.")
  var what: String?
  @Option(help: "The project of which no instance is to be known any more.") var project: String?
  @Flag(help: "Shows which keys would be destroyed; nothing is changed.") var dryRun = false

  func validate() throws {
    guard (what == nil) != (project == nil) else {
      throw ValidationError("Give a cell or a key, or --project.")
    }
    if !dryRun { try change.requireReason() }
  }

  func run() throws {
    if let shredding = try projectShredding() { return try shredding.run() }
    guard let what else { return }
    let all = try StoreKeys(of: store)
    let target = try ShredTarget(what, among: all)
    if dryRun {
      if target.keys.isEmpty, let used = target.inUse { throw CommandFailure(used) }
      return ShredOutput(target: target, outcome: nil, options: store, position: all.position)
        .print(change)
    }
    let session = try StoreSession(store)
    guard !target.keys.isEmpty else {
      try repeatAnswer(target, session)
      return
    }
    let registry = try session.writer()
    let outcome: Outcome
    do throws(RegistryError) {
      outcome = try KeyRetirement.shred(
        target.keys.map(\.id), of: target.cell, named: target.named, in: session.journal,
        by: registry, command: change.command)
    } catch {
      session.close()
      throw CommandFailure(error, request: change.request)
    }
    session.close()
    print(target, outcome, session)
  }

  private func print(_ target: ShredTarget, _ outcome: Outcome, _ session: StoreSession) {
    ShredOutput(
      target: target, outcome: outcome, options: store, position: outcome.position,
      folder: session.files.keys
    ).print(change)
  }

  /// What is to be done if a project is meant; nil if not.
  private func projectShredding() throws -> ProjectShredding? {
    if let project {
      return ProjectShredding(asked: .project(project), store, change, isTrial: dryRun)
    }
    guard let key = what.flatMap({ KeyID($0) }), try StoreSession(store).isProjectKey(key) else {
      return nil
    }
    return ProjectShredding(asked: .key(key), store, change, isTrial: dryRun)
  }

  /// There is nothing left to shred: the answer of before, or that nothing is to be done.
  private func repeatAnswer(
    _ target: ShredTarget, _ session: StoreSession
  ) throws(CommandFailure) {
    let outcome = try session.submit(
      .shredKeys(target.cell, named: target.named, []), change)
    session.close()
    if !outcome.isRepeated, let used = target.inUse { throw CommandFailure(used) }
    print(target, outcome, session)
  }
}

/// The keys that a word means.
struct ShredTarget {
  let cell: CellID
  let label: String
  /// The key, if one was named.
  let named: KeyID?
  let keys: [StoreKeys.Key]
  /// Why a key of the cell stays, if its keys are meant and none can go.
  private(set) var inUse: Refusal?

  init(_ what: String, among all: StoreKeys) throws(CommandFailure) {
    let data = all.keys.filter { $0.use == "data" }
    if let key = all.keys.first(where: { $0.id == KeyID(what) }) {
      guard key.use == "data", let cell = key.cell else {
        throw CommandFailure(
          .refused,
          key.use == "master"
            ? "Key \(key.id) is the master; 'keys rotate --master' makes another."
            : "Key \(key.id) (\(key.use)) is no data key: only those can be shredded.")
      }
      self.init(
        cell: cell, label: key.cellText ?? cell.description, named: key.id,
        keys: key.state == "shredded" ? [] : [key])
      return
    }
    let cells = Set(
      data.compactMap { key in
        key.cell == CellID(what) || key.fields["cell_name"]?.string == what ? key.cell : nil
      })
    guard let cell = cells.first else {
      throw CommandFailure(
        .unknown,
        "There is no data key of a cell '\(what)', and no key of that UUID. 'keys list' "
          + "shows the keys.")
    }
    guard cells.count == 1 else {
      throw CommandFailure(
        .refused,
        "'\(what)' is the name of \(cells.count) cells, present or removed: "
          + cells.map(\.description).sorted().joined(separator: ", ") + ". Give the UUID.")
    }
    let own = data.filter { $0.cell == cell && $0.state != "shredded" }
    // The newest seals the next address, even where it seals none now, as after a revert: without it an
    // older one would.
    let free = own.filter {
      $0.fieldsText == nil && ($0.isCellRemoved || $0.state != "current")
    }
    self.init(cell: cell, label: what, named: nil, keys: free)
    if free.isEmpty, let used = own.first(where: { $0.fieldsText != nil }) {
      inUse = .keyInUse(used.id, cell: cell)
    }
  }

  private init(cell: CellID, label: String, named: KeyID?, keys: [StoreKeys.Key]) {
    self.cell = cell
    self.label = label
    self.named = named
    self.keys = keys
  }
}
