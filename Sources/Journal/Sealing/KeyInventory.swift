/// The keys of a store: those in its folder, and those that its entries name.
public struct KeyInventory: Sendable {
  /// One key.
  public struct Item: Hashable, Sendable {
    public let id: KeyID
    public let use: Use
    public internal(set) var state: State
    /// Whose addresses a data key seals.
    public internal(set) var cell: CellID?
    /// The last name that the cell bore.
    public internal(set) var cellName: ByteText?
    /// Whether the map holds the cell.
    public internal(set) var isCellThere = false
    /// The project of a project's key; nil for instances of none, and where it can't be read any more.
    public internal(set) var project: ByteText?
    /// The present addresses of the cell that a data key seals.
    public internal(set) var fields: [AddressField] = []
    /// How many entries hold something that a data key seals, and the last of them.
    public internal(set) var entries: UInt64 = 0
    public internal(set) var lastEntry: Position?
    /// The entry that says that the key was shredded.
    public internal(set) var shreddedAt: Position?

    public var madeAt: Timestamp { id.madeAt }

    init(_ id: KeyID, _ use: Use, _ state: State, cell: CellID? = nil) {
      self.id = id
      self.use = use
      self.state = state
      self.cell = cell
    }
  }

  public enum Use: String, Sendable { case master, hmac, checkpoint, data, project }

  public enum State: String, Sendable {
    /// A master that wraps data keys, the HMAC key, the checkpoint key that signs, or the data key
    /// that seals the next address of its cell, or the owners of a project's instances.
    case current
    /// A data key that seals no new address, or a checkpoint key that signed before.
    case old
    /// A master that a rotation has not put in its place yet.
    case next
    case shredded
    /// Entries name it, its file isn't there, and no entry says that it was shredded.
    case lost
    /// Its file is there, and was changed.
    case damaged
  }

  public private(set) var items: [Item] = []
  /// What is wrong with files that no item tells of: nobody knows the ids of their keys any more.
  public private(set) var faults: [KeyError] = []
  /// The store has none of its keys, as one that was made of an export or of a backup without them.
  public private(set) var isWithoutKeys = false
}

extension KeyInventory {
  /// Reads the folder of keys, and what entries say of them.
  ///
  /// Needs no lease. What is missing or damaged is a state or a fault, not an error.
  ///
  /// - Parameters:
  ///   - changes: Every change of a cell or the store, in order, where they are known; nil reads the whole journal
  ///     for them, some microseconds an entry, since each is checked.
  ///   - ownerKeys: The keys that seal owners of the map, as its index knows them; what else is known of a key of
  ///     a project is its file, and the entry that it was shredded by.
  /// - Throws: `journal` with the errors of damage; `keys` if the folder can't be read.
  public init(
    of journal: EventJournal, changes: [EntryChange]? = nil, ownerKeys: Set<KeyID> = []
  ) throws(Failure) {
    do throws(KeyError) {
      try KeyShredding.finishAbandoned(of: journal)
      try addStoredKeys(of: journal)
    } catch {
      throw .keys(error)
    }
    do throws(JournalError) {
      _ = try journal.refresh()
      if let changes {
        addDataKeys(of: journal, changes, ownerKeys)
      } else {
        addDataKeys(of: journal, try journal.changes(of: .cell, .store, after: 0), ownerKeys)
      }
    } catch {
      throw .journal(error)
    }
  }

  public enum Failure: Error, Equatable, Sendable {
    case journal(JournalError)
    case keys(KeyError)
  }

  private mutating func addStoredKeys(of journal: EventJournal) throws(KeyError) {
    let (folder, store) = (journal.files.keys, journal.store)
    isWithoutKeys = try Self.isWithoutKeys(folder)
    if !isWithoutKeys {
      try noteFaults { (inventory) throws(KeyError) in
        for (place, master) in try MasterRotation.masters(in: folder, of: store).enumerated() {
          inventory.items.append(Item(master.id, .master, place == 0 ? .current : .next))
        }
      }
      try noteFaults { (inventory) throws(KeyError) in
        let key = try StoredKey(.hmac, in: folder, of: store)
        inventory.items.append(Item(key.id, .hmac, .current))
      }
      try noteFaults { (_) throws(KeyError) in
        try OwnerKeys(in: folder, store: store).check(against: journal)
      }
    }
    var signing: KeyID?
    if KeyRing.holdsKeys(folder) {
      try noteFaults { (_) throws(KeyError) in
        signing = try CheckpointSigner.open(in: folder, store: store)?.key.id
      }
    }
    try noteFaults { (inventory) throws(KeyError) in
      for key in try CheckpointKey.all(in: folder, store: store) {
        inventory.items.append(Item(key.id, .checkpoint, key.id == signing ? .current : .old))
      }
    }
  }

  /// Keeps what is missing or damaged as a fault.
  private mutating func noteFaults(
    _ body: (inout Self) throws(KeyError) -> Void
  ) throws(KeyError) {
    do throws(KeyError) { try body(&self) } catch {
      switch error {
      case .missing, .damaged: if !faults.contains(error) { faults.append(error) }
      default: throw error
      }
    }
  }

  private static func isWithoutKeys(_ folder: String) throws(KeyError) -> Bool {
    let names: [String]
    do throws(FileError) { names = try SmallFile.names(in: folder) } catch {
      if error.isMissing { return true }
      throw .file(error)
    }
    let single = ["master", "hmac", OwnerKeys.markName]
    return !names.contains { name in
      single.contains(name) || DataKey.id(ofFile: name) != nil || OwnerKey.id(ofFile: name) != nil
    }
  }

  private mutating func addDataKeys(
    of journal: EventJournal, _ changes: [EntryChange], _ ownerKeys: Set<KeyID>
  ) {
    var keys: [KeyID: Item] = [:]
    for id in ownerKeys { keys[id] = Item(id, .project, .lost) }
    var rows: [CellID: CellRow] = [:]
    var names: [CellID: ByteText] = [:]
    for change in changes {
      if case .store(.ownerKeyShredded(let id)) = change.event {
        keys[id, default: Item(id, .project, .shredded)].shreddedAt = change.position
      }
      guard case .cell(let cell, let event) = change.event else { continue }
      rows[cell] = CellRow.folded(event, at: change.position.index, into: rows[cell])
      if let name = rows[cell]?.record.name { names[cell] = name }
      for id in event.sealingKeys {
        keys[id, default: Item(id, .data, .lost, cell: cell)].entries += 1
        keys[id]?.lastEntry = change.position
      }
      guard case .keyShredded(let id) = event else { continue }
      keys[id, default: Item(id, .data, .lost, cell: cell)].shreddedAt = change.position
    }
    addFiles(of: journal, to: &keys)
    for (id, item) in keys {
      guard let cell = item.cell else { continue }
      keys[id]?.cellName = names[cell]
      keys[id]?.isCellThere = rows[cell] != nil
      guard let record = rows[cell]?.record else { continue }
      if record.database?.key == id { keys[id]?.fields.append(.database) }
      if record.queue?.key == id { keys[id]?.fields.append(.queue) }
    }
    items += keys.values.sorted { $0.id < $1.id }
  }

  private func addFiles(of journal: EventJournal, to keys: inout [KeyID: Item]) {
    let (folder, store) = (journal.files.keys, journal.store)
    let names = (try? SmallFile.names(in: folder)) ?? []
    let masters = (try? MasterRotation.masters(in: folder, of: store)) ?? []
    var newest: [CellID: KeyID] = [:]
    for id in names.compactMap({ DataKey.id(ofFile: $0) }).sorted() {
      let wrapped = try? DataKey.Wrapped(id, in: folder)
      let opened = masters.first { $0.id == wrapped?.master }.flatMap {
        try? wrapped?.opened(by: $0, of: store)
      }
      let cell = keys[id]?.cell ?? wrapped?.cell
      keys[id, default: Item(id, .data, .old, cell: cell)].state = opened == nil ? .damaged : .old
      if let opened { newest[opened.cell] = id }
    }
    for id in newest.values { keys[id]?.state = .current }
    let owners = OwnerKeys(in: folder, store: store)
    for id in names.compactMap({ OwnerKey.id(ofFile: $0) }) {
      let key = owners.key(of: id)
      keys[id, default: Item(id, .project, .current)].state = key == nil ? .damaged : .current
      keys[id]?.project = key?.project
    }
    for (id, item) in keys where item.state == .lost && item.shreddedAt != nil {
      keys[id]?.state = .shredded
    }
  }
}

extension CellEvent {
  /// The data keys that seal something in the event's entry.
  fileprivate var sealingKeys: Set<KeyID> {
    let addresses: [SealedAddress?] =
      switch self {
      case .added(let record), .removed(let record): [record.database, record.queue]
      case .addressesChanged(let from, let to):
        [from.database, from.queue, to.database, to.queue]
      case .addressResealed(_, let from, let to): [from, to]
      default: []
      }
    return Set(addresses.compactMap { $0?.key })
  }
}
