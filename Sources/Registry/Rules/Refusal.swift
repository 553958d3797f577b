public import Journal

/// Why a command was refused; nothing of it was done.
public enum Refusal: Error, Hashable, Sendable, CustomStringConvertible {
  case unknownCell(CellID)
  case unknownHost(ByteText)
  case unknownInstance(InstanceID)

  case cellExists(CellID)
  case cellNameTaken(ByteText, by: CellID)
  case databaseTaken(ByteText, by: CellID)
  /// cell0 can't be disabled, removed, or hold hosts.
  case cell0(String)
  case cellDisabled(CellID)
  /// The last entry about the cell is no probe that it passed.
  case cellNotProbed(CellID)
  case cellBeingRemoved(CellID)
  case cellNotEmpty(CellID, hosts: UInt64, instances: UInt64)
  case cellNotBeingRemoved(CellID)

  /// A present address of the cell is sealed by the key.
  case keyInUse(KeyID, cell: CellID)
  /// An address that is to come back was sealed by the key, which is shredded or lost.
  case addressGone(KeyID, cell: CellID)

  case hostElsewhere(ByteText, cell: CellID)
  case noConflict(EntityKey)
  case instanceElsewhere(InstanceID, cell: CellID)
  case ownerDiffers(InstanceID)
  /// The owner of the instance was shredded, so it can't be compared with the one that is given.
  case ownerShredded(InstanceID)

  case badName(what: String, why: String)
  case reasonMissing
  /// A guard did not hold: the entry came first. Position 0 says that there never was any.
  case guardFailed(Guard, entry: UInt64)
  /// What an entry made of a thing can't be undone: a later one changed it.
  case changedSince(EntityKey, entry: UInt64, undone: Position)
  /// A rule stands against making a thing what it was.
  case cantRevert(EntityKey, why: String)
  /// A guard names a position that this store's journal has not; the entry of that index has another
  /// epoch, or there is none up to the head.
  case notAPosition(Position, entry: Position?, head: Position)
  /// The request id was used for another command.
  case requestReused(RequestID)
  /// The command would need an entry longer than the journal takes.
  case tooLarge(String)

  public var description: String {
    switch self {
    case .unknownCell(let id): "There is no cell \(id). 'cell list' shows the cells."
    case .unknownHost(let name):
      "There is no host \(NameRules.visible(name)). 'host list' shows the hosts."
    case .unknownInstance(let id):
      "There is no mapping of instance \(id). If a cell has it, 'reconcile \(id)' finds it there."
    case .cellExists(let id): "Cell \(id) exists already. Choose another UUID or change the cell."
    case .cellNameTaken(let name, let id):
      "The name \(NameRules.visible(name)) is that of cell \(id). Choose another, or rename that cell first."
    case .databaseTaken(let database, let id):
      "The database \(NameRules.visible(database)) is that of cell \(id). "
        + "Two cells can't share a database: give that one another with 'cell address' first, or leave this "
        + "one without."
    case .cell0(let what): "cell0 \(what)."
    case .cellDisabled(let id):
      "Cell \(id) is disabled and takes no first mappings. Enable it with 'cell enable'; "
        + "'instance map --test' maps a test."
    case .cellNotProbed(let id):
      "Cell \(id) has not passed a probe since it was last changed. Give 'cell probe \(id)', or "
        + "--force."
    case .cellBeingRemoved(let id):
      "Cell \(id) is being removed. Finish with 'cell remove \(id) --force'."
    case .cellNotEmpty(let id, let hosts, let instances):
      "Cell \(id) still has \(hosts) hosts and \(instances) instance mappings. Move them first, or "
        + "give --force, which unmaps the hosts and sets the mappings to no cell."
    case .cellNotBeingRemoved(let id):
      "Cell \(id) is not being removed; its hosts and mappings stay."
    case .noConflict(let entity):
      "There is no conflict about \(NameRules.visible(entity)). 'conflicts list' shows them."
    case .keyInUse(let key, let id):
      "Key \(key) seals a present address of cell \(id). Give 'keys rotate \(id)' first."
    case .addressGone(let key, let id):
      "Its address of then was sealed by key \(key), which is shredded or lost: nobody can read it any "
        + "more. Give the address that is wanted with 'cell address \(id)'."
    case .hostElsewhere(let host, let cell):
      "Host \(NameRules.visible(host)) is mapped to cell \(cell), and host names are unique in the "
        + "cloud. If it moved, give 'host remove' first."
    case .instanceElsewhere(let instance, let cell):
      "Instance \(instance) is mapped to cell \(cell). To move it, give 'instance remap'."
    case .ownerDiffers(let instance):
      "Instance \(instance) is mapped with another project or user. 'instance show \(instance)' has "
        + "them; nothing was changed."
    case .ownerShredded(let instance):
      "The owner of instance \(instance) was shredded, so it can't be compared with this one. To give it "
        + "an owner again, 'instance unmap \(instance)' first."
    case .badName(let what, let why): "\(what) \(why)."
    case .reasonMissing: "A change wants a reason. Give --reason TEXT."
    case .guardFailed(let condition, let entry):
      entry == 0
        ? "\(NameRules.visible(condition.entity)) was expected to exist, and never did."
        : "\(NameRules.visible(condition.entity)) was changed by entry \(entry) first. "
          + "Look at it and decide again."
    case .changedSince(let entity, let entry, let undone):
      "\(NameRules.visible(entity)) was changed by entry \(entry), after \(undone). Undo that first, or "
        + "take fewer entries."
    case .cantRevert(let entity, let why):
      "\(NameRules.visible(entity)) can't become again what it was. \(why)"
    case .notAPosition(let given, nil, let head):
      "The position \(given) is not one of this store, whose journal ends at \(head). "
        + "Read again, and decide on what you find."
    case .notAPosition(let given, let entry?, _):
      "The position \(given) is of a history that this store has left: its entry \(given.index) is "
        + "\(entry). Read again, and decide on what you find."
    case .requestReused(let id):
      "Request \(id) was used for another command. Give another --request-id."
    case .tooLarge(let what): "The command is too large: \(what)."
    }
  }
}
