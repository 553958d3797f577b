/// `IMPORTED` in a store's folder: it was made of an export, up to a position, and nobody has written into
/// it since.
struct ImportMark: Hashable {
  /// nil where the file can't be understood: then an epoch is rather opened once too often.
  let position: Position?

  private static let maximumBytes = 64

  init(position: Position) { self.position = position }

  /// The mark of a store; nil if there is none.
  ///
  /// - Throws: `FileError` for one that can't be read.
  init?(_ files: StoreFiles) throws(FileError) {
    let bytes: [UInt8]
    do throws(FileError) {
      bytes = try SmallFile.read(files.imported, limit: Self.maximumBytes)
    } catch {
      if error.isMissing { return nil }
      throw error
    }
    let line = String(validating: bytes, as: UTF8.self) ?? ""
    position = line.hasSuffix("\n") ? Position(String(line.dropLast())) : nil
  }

  func write(_ files: StoreFiles) throws(FileError) {
    let text = position.map { "\($0)\n" } ?? ""
    try SmallFile.replace(files.imported, with: Array(text.utf8))
  }
}

extension EventJournal {
  /// The epoch that the next entry has to open: the first one of one's own in a store that was made of
  /// an export. nil where nothing is due.
  ///
  /// Another store may go on from the same entries under the same UUID; their epochs tell them apart.
  ///
  /// - Throws: `file`; the errors of damage.
  public func dueOpening() throws(JournalError) -> EpochOpening? {
    let mark: ImportMark?
    do throws(FileError) { mark = try ImportMark(files) } catch { throw .file(error) }
    guard let mark else { return nil }
    let head = head
    guard mark.position == nil || head.position == mark.position else {
      // It was opened, and the mark's removal broken off.
      try? WorkFolder.remove(files.imported)
      return nil
    }
    return EpochOpening(
      store: store, epoch: head.position.epoch + 1, id: EpochID(.random()), cause: .imported,
      commonIndex: head.position.index, commonRoot: head.root, leftIndex: head.position.index,
      leftRoot: head.root)
  }

  /// Takes the mark away once that epoch is opened; one that stays is taken away by the next writer.
  public func noteOpening() { try? WorkFolder.remove(files.imported) }
}
