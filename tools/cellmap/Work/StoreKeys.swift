import Journal

/// The keys of a store, as the child process that reads its entries tells them.
struct StoreKeys {
  struct Key {
    let id: KeyID
    let fields: [String: JSONValue]

    var use: String { fields.shown("use") }
    var state: String { fields.shown("state") }
    var cell: CellID? { fields["cell"]?.string.flatMap { CellID($0) } }
    var isCellRemoved: Bool { fields["cell_removed"] == .flag(true) }

    /// The cell's name, or its UUID; nil for a key of no cell.
    var cellText: String? {
      guard let cell else { return nil }
      let name = fields["cell_name"]?.string ?? cell.description
      return isCellRemoved ? name + " (removed)" : name
    }

    /// The project of a project's key; nil for another key, and where it can't be read any more.
    var projectText: String? {
      guard use == "project", state == "current" else { return nil }
      return fields["project"]?.string ?? "(no project)"
    }

    /// The present addresses that it seals; nil if it seals none.
    var fieldsText: String? {
      guard case .list(let seals)? = fields["seals"], !seals.isEmpty else { return nil }
      return seals.compactMap(\.string).joined(separator: ", ")
    }

    var stateText: String {
      guard let entry = fields["shredded_at"]?.string else { return state }
      return "\(state) by \(entry)"
    }
  }

  let keys: [Key]
  /// The last entry that was read.
  let position: Position
  /// What is wrong with keys that can't be listed.
  private let faults: [String]
  private let isWithoutKeys: Bool

  init(of store: StoreOptions) throws(CommandFailure) {
    CellNames.options = store
    let answer = try ChildWork.answer(to: ["keys-worker", "--store", store.folder])
    guard case .list(let list)? = answer["keys"],
      let position = answer["position"]?.string.flatMap({ Position($0) })
    else {
      throw CommandFailure(.integrity, "The child process answered without keys.")
    }
    self.position = position
    keys = list.compactMap { value in
      guard case .object(let fields) = value, let id = fields["key"]?.string.flatMap({ KeyID($0) })
      else { return nil }
      return Key(id: id, fields: fields)
    }
    guard case .list(let faults)? = answer["faults"] else {
      preconditionFailure("the child has them")
    }
    self.faults = faults.compactMap(\.string)
    isWithoutKeys = answer["without_keys"] == .flag(true)
  }

  /// What a person has to know who looks whether the keys are whole; nil if they are.
  var failure: CommandFailure? {
    if isWithoutKeys {
      return CommandFailure(
        .storage,
        "The store has none of its keys, and nothing that they seal can be read here. Put back the 'keys' "
          + "folder that belongs to this store.")
    }
    let bad = keys.filter { ["lost", "damaged"].contains($0.state) }
    guard !bad.isEmpty || !faults.isEmpty else { return nil }
    var sentences = faults
    if !bad.isEmpty {
      let named = bad.prefix(10).map { "\($0.id) (\($0.use)) is \($0.state)" }
      let more = bad.count > 10 ? [counted(bad.count - 10, "further key")] : []
      sentences.append(
        "Key \((named + more).joined(separator: ", ")): what it sealed can't be read. Put back the 'keys' "
          + "folder that belongs to this store.")
    }
    return CommandFailure(.integrity, sentences.joined(separator: " "))
  }
}
