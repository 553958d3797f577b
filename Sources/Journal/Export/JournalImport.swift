/// Makes a store of an export: the same entries at the same positions, the same tree.
public enum JournalImport {
  /// What was made.
  public struct Result: Hashable, Sendable {
    public let store: StoreID
    public let position: Position
    public let root: Digest
  }

  /// Makes a store of a complete export; it keeps the export's store UUID and has no keys.
  ///
  /// The export is read twice: once to check all of it, before anything is made, and once to make the
  /// journal, which is verified again before it appears, last, as with `StoreBeginning`. The first
  /// entry that is written into the store later opens an epoch, so that two stores of one UUID are told
  /// apart. The index is made by any process.
  ///
  /// - Parameters:
  ///   - directory: A folder that isn't there, or an empty one.
  ///   - command: What this process does, for those who find the store locked.
  /// - Throws: `notAnExport`, `newerFormat`, `notComplete`, `line` and `newerEntry`: nothing was made.
  ///   `journal` for a folder that can't take a store, and a full disk; `file`. There is no store then.
  public static func run(
    _ path: String, into directory: String, command: String
  ) throws(ExportError) -> Result {
    var checked = try ExportReader(path)
    var batch = AppendBatch()
    while try checked.read(into: &batch) {}
    let beginning = try reading { () throws(JournalError) in
      try StoreBeginning(directory, store: checked.header.store, command: command)
    }
    let made = StoreFiles(beginning.files.restoring)
    do throws(ExportError) {
      try exporting { () throws(FileError) in try WorkFolder.renew(made.directory) }
      let head = try makeJournal(of: ExportReader(path), in: made)
      try exporting { () throws(FileError) in
        try ImportMark(position: head.position).write(beginning.files)
      }
      try reading { () throws(JournalError) in try beginning.finish(with: made) }
      try? WorkFolder.remove(made.directory)
      return Result(store: checked.header.store, position: head.position, root: head.root)
    } catch {
      try? WorkFolder.remove(made.directory)
      throw error
    }
  }

  private static func makeJournal(
    of export: ExportReader, in made: StoreFiles
  ) throws(ExportError) -> EventJournal.Head {
    var export = export
    let copy = try reading { () throws(JournalError) in
      try NewJournalFile(
        made.journal, store: export.header.store, mapSizeBytes: LMDBEnvironment.defaultMapSizeBytes)
    }
    var batch = AppendBatch()
    while try export.read(into: &batch) {
      try reading { () throws(JournalError) in try copy.append(batch) }
    }
    return try reading { () throws(JournalError) in
      try JournalCopy.finish(copy, of: export.header.store, at: export.tip, in: made).head
    }
  }
}
