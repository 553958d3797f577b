import Foundation
import Journal
import Registry
import Yams

/// The cells of a cloud as an operator writes them down, or as `cell export --reveal` does.
struct CellsFile: Decodable {
  struct Entry: Decodable {
    var uuid: String?
    var name: String?
    var database: String?
    var queue: String?
    /// As `cell show --json` has them: how the servers are connected to (TLS, …), a JSON object.
    var options: String?
    var disabled: Bool?

    fileprivate var isEmptyCell0: Bool {
      database == nil && uuid.flatMap { CellID($0) } == .cell0
    }
  }

  var cells: [Entry]

  /// Reads a file.
  ///
  /// - Throws: What is wrong with it, and in which entry; no secret is shown.
  static func read(_ path: String) throws(CommandFailure) -> [GivenCell] {
    let text = try GivenFile.text(path, with: "the cells")
    let file: CellsFile
    do { file = try YAMLDecoder().decode(CellsFile.self, from: text) } catch {
      // The decoder's words may have a piece of an address in them.
      throw CommandFailure(
        .usage,
        "The file '\(path)' is not a list of cells in YAML. 'cell export --reveal' writes one: under "
          + "'cells:' an entry for each, with 'uuid', 'name', 'database', 'queue' and 'disabled'.")
    }
    guard !file.cells.isEmpty else {
      throw CommandFailure(.usage, "The file '\(path)' names no cell.")
    }
    var given: [GivenCell] = []
    // A cell0 that has no database yet stands in an export, and there is nothing to read of it.
    for (place, entry) in file.cells.enumerated() where !entry.isEmptyCell0 {
      given.append(try GivenCell(entry, "'\(path)', cell \(place + 1)"))
    }
    return given
  }
}

/// A cell as it is given for a rebuild.
struct GivenCell {
  /// nil where nobody knows it: the map's cell of that name is meant, or a new one.
  var id: CellID?
  var name: ByteText?
  var addresses: AddressDraft
  var disabled: Bool?
  /// The row of an old API database that the UUID, or all of it, is from.
  var old: OldCells.Cell?

  init(name: ByteText?, addresses: AddressDraft) {
    self.name = name
    self.addresses = addresses
  }

  init(_ entry: CellsFile.Entry, _ place: String) throws(CommandFailure) {
    if let text = entry.uuid {
      guard let id = CellID(text) else {
        throw CommandFailure(.usage, "\(place): '\(text.prefix(80))' is not a UUID.")
      }
      self.id = id
    }
    name = entry.name.map { ByteText($0) }
    if id == nil, entry.name == "cell0" { id = .cell0 }
    disabled = entry.disabled
    addresses = AddressDraft()
    addresses.database = try Self.address(entry.database, .database, place)
    addresses.queue = try Self.address(entry.queue, .queue, place)
    if let text = entry.options {
      do throws(AddressError) { _ = try ConnectionOptions(parsing: ByteText(text)) } catch {
        throw CommandFailure(.usage, "\(place), 'options': \(error)")
      }
      addresses.options = ByteText(text)
    }
    guard addresses.database != nil else {
      let called = (entry.name ?? entry.uuid).map { " ('\($0.prefix(80))')" } ?? ""
      throw CommandFailure(
        .usage,
        "\(place)\(called) has no 'database', from which it could be read. Give it one, or take the "
          + "entry out.")
    }
  }

  private static func address(
    _ text: String?, _ field: AddressField, _ place: String
  ) throws(CommandFailure) -> GivenAddress? {
    guard let text else { return nil }
    do throws(CommandFailure) { return try AddressArgument.given(Secret(text), of: field) } catch {
      throw CommandFailure(error.status, "\(place): \(error.message)")
    }
  }
}
