/// What a backup says of itself, in `backup.json`.
public struct BackupManifest: Equatable, Sendable {
  public let store: StoreID
  /// The last entry.
  public let position: Position
  /// The root of the tree of all entries.
  public let root: Digest
  /// The time of the last entry in the order of entries.
  public let orderedAt: Timestamp
  /// When the backup was made.
  public let madeAt: Timestamp
  /// The program that made it, and its version.
  public let program: String
  /// The files of the backup, by their names within it.
  public let files: [String: FileDigest]

  /// Whether the backup holds the store's keys.
  public var hasKeys: Bool { files["keys/master"] != nil }
  /// Bytes of all files together.
  public var bytes: UInt64 { files.values.reduce(0) { $0 + $1.bytes } }
}

extension BackupManifest {
  private static let kind = "cellmap backup"
  private static let format: UInt64 = 1
  static let maximumBytes = 16 << 20

  /// The content of `backup.json`.
  var line: [UInt8] { DigestedLine.bytes(of: members) }

  private var members: [String: JSONValue] {
    [
      "kind": .text(Self.kind), "format": .number(Self.format), "store": .printed(store),
      "epoch": .number(position.epoch), "position": .printed(position),
      "entries": .number(position.index), "root": .printed(root),
      "ordered_at": .printed(orderedAt), "made_at": .printed(madeAt), "program": .text(program),
      "keys": .flag(hasKeys),
      "files": .object(
        files.mapValues { file in
          .object(["bytes": .number(file.bytes), "sha256": .printed(file.sha256)])
        }),
    ]
  }

  /// Reads the manifest of a backup.
  ///
  /// - Throws: `notABackup` if there is none; `damaged` for a changed byte; `newerFormat`; `file`.
  init(readFrom path: String) throws(BackupError) {
    let bytes: [UInt8]
    do throws(FileError) { bytes = try SmallFile.read(path, limit: Self.maximumBytes) } catch {
      guard error.isMissing else { throw .file(error) }
      throw .notABackup(path: path, why: "there is no such file")
    }
    guard let members = DigestedLine.members(of: bytes) else {
      throw .damaged(path: path, what: "its digest is not that of what it says")
    }
    guard members["kind"]?.string == Self.kind else {
      throw .notABackup(path: path, why: "the manifest is of something else")
    }
    guard members["format"] == .number(Self.format) else {
      throw .newerFormat(path: path, version: members["format"]?.line ?? "?")
    }
    guard let manifest = BackupManifest(members) else {
      throw .damaged(path: path, what: "a field is missing")
    }
    self = manifest
  }

  private init?(_ members: [String: JSONValue]) {
    guard let store = members["store"]?.string.flatMap({ StoreID($0) }),
      let position = members["position"]?.string.flatMap({ Position($0) }),
      let root = members["root"]?.string.flatMap({ Digest(hexadecimal: $0) }),
      let orderedAt = members["ordered_at"]?.string.flatMap({ Timestamp($0) }),
      let madeAt = members["made_at"]?.string.flatMap({ Timestamp($0) }),
      let program = members["program"]?.string, case .object(let listed)? = members["files"]
    else { return nil }
    var files: [String: FileDigest] = [:]
    for (name, file) in listed {
      guard case .number(let count)? = file["bytes"], let bytes = UInt64(count.text),
        let sha256 = file["sha256"]?.string.flatMap({ Digest(hexadecimal: $0) })
      else { return nil }
      files[name] = FileDigest(bytes: bytes, sha256: sha256)
    }
    self.init(
      store: store, position: position, root: root, orderedAt: orderedAt, madeAt: madeAt,
      program: program, files: files)
  }
}
