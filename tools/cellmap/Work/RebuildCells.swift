import Journal
import Recovery
import Registry

/// The cells that a rebuild was given, as the map is to hold them, and what that changes.
struct RebuildCells {
  /// In the order in which they were given.
  let observations: [Observation]
  /// The cells that nobody had a UUID for, with the new ones.
  let made: [CellID]
  /// What the map has otherwise, in the same order; addresses are masked.
  let changes: [(cell: CellID, event: CellEvent)]
  private let given: [CellID: ByteText]

  /// Looks what the map would make of the cells; nothing is written.
  ///
  /// - Throws: What the map's rules refuse, or names that several cells bear.
  init(
    _ cells: [GivenCell], _ session: StoreSession, _ change: some ChangeOptions
  ) throws(CommandFailure) {
    let known = try session.map()
    let (keys, basis) = (try session.keys(), session.journal.head.position)
    // A map of its own, so that no cell is taken for one that was given before it.
    let preview = ChangePreview(map: try session.map().map, head: known.head.index, keys: keys)
    var observations: [Observation] = []
    var made: [CellID] = []
    var changes: [(cell: CellID, event: CellEvent)] = []
    var names: [CellID: ByteText] = [:]
    for cell in cells {
      let (id, isNew) = try Self.id(of: cell, in: known)
      if isNew { made.append(id) }
      let before = try known.cell(id)?.record
      let draft = CellDraft(
        name: cell.name ?? before?.name, addresses: cell.addresses,
        disabled: cell.disabled ?? (before == nil ? false : before?.disabled),
        row: before?.row ?? cell.old?.novaRow ?? .unknown)
      names[id] = draft.name
      let observation = Observation(
        .cell(id, draft), evidence: cell.old?.evidence(keys: keys, basis: basis))
      observations.append(observation)
    }
    do throws(RegistryError) {
      for observation in observations {
        // Cells may exchange their databases.
        for case .cell(let id, let event) in try preview.events(observation, in: observations) ?? []
        {
          changes.append((id, event))
        }
      }
    } catch {
      throw CommandFailure(error, request: change.request)
    }
    self.observations = observations
    self.made = made
    self.changes = changes
    given = names
  }

  /// The UUID of a cell that was given, and whether it was made up for it.
  private static func id(
    of cell: GivenCell, in map: MapReading
  ) throws(CommandFailure) -> (CellID, isNew: Bool) {
    if let id = cell.id, cell.old == nil { return (id, false) }
    let named = try map.cells().filter { $0.row.record.name == cell.name }
    guard named.count <= 1 else {
      throw CommandFailure(
        .refused,
        "\(named.count) cells are named '\(cell.name?.string ?? "")': "
          + named.map { "\($0.id)" }.joined(separator: ", ") + ". Give the 'uuid' of each.")
    }
    if let id = named.first?.id ?? cell.id { return (id, false) }
    return (CellID(.random()), true)
  }

  /// The names that the cells were given with.
  func names(beside known: [CellID: String]) -> [CellID: String] {
    known.merging(given.mapValues(\.string)) { _, given in given }
  }

  /// Shows what is changed in the map's cells, before it is.
  func print(_ names: [CellID: String], isDryRun: Bool) {
    guard !changes.isEmpty else { return }
    Console.print(isDryRun ? "The map's cells would be changed:" : "The map's cells are changed:")
    for line in lines(names) { Console.say("  cell \(line.name): \(line.text)") }
  }

  /// The changes as the answer has them.
  func json(_ names: [CellID: String]) -> JSONValue {
    .list(
      zip(changes, lines(names)).map { change, line in
        .object([
          "cell": .printed(change.cell), "cell_name": .text(names[change.cell]),
          "change": .text(line.text),
        ])
      })
  }

  private func lines(_ names: [CellID: String]) -> [(name: String, text: String)] {
    changes.map { cell, event in
      (
        names[cell] ?? cell.description,
        // Their keys are made when they are written.
        EntryOutput.sentence(event) { _ in false }
      )
    }
  }

  /// Makes the map hold the cells; those that weren't given stay.
  func apply(
    _ session: StoreSession, _ change: some ChangeOptions, by authorship: Authorship,
    title: ByteText
  ) throws(CommandFailure) {
    let names = observations.map { $0.entity.description }.sorted()
    guard let first = names.first, let last = names.last else { return }
    var command = change.command(.take(observations))
    command.authorship = authorship
    command.bulk = BulkMark(
      title: title,
      chunk: KeyRange(kind: .cell, first: ByteText(first), last: ByteText(last)))
    let registry = try session.writer()
    do throws(RegistryError) { _ = try registry.submit(command) } catch {
      throw CommandFailure(error, request: change.request)
    }
  }
}
