internal import Glibc
internal import Journal

/// The history file of a store, as it is found.
public struct FoundHistory: Sendable {
  public let path: String
  /// How far it has come.
  public let checkpoint: IndexCheckpoint
}

/// The history files of a store: the newest whole one serves.
///
/// Whoever writes holds the mark `history.making`, and not the write lease: the write path never looks
/// at the history, so an audit holds up no change.
struct HistoryGenerations: Sendable {
  let folder: String

  func path(of number: UInt64) -> String { "\(folder)/history-\(number).sqlite" }

  /// The right to write; nil while another process has it.
  ///
  /// - Throws: `journal` with the file error of a folder that can't be written.
  func takeMark() throws(ProjectionError) -> WorkMark? {
    try reading { () throws(JournalError) in try WorkMark.take("\(folder)/history.making") }
  }

  /// The numbers of the files in the folder, ascending.
  func numbers() throws(ProjectionError) -> [UInt64] {
    do throws(FileError) {
      return try SmallFile.names(in: folder).compactMap(Self.number).sorted()
    } catch {
      throw .file(error)
    }
  }

  private static func number(inFileName name: String) -> UInt64? {
    guard name.hasPrefix("history-"), name.hasSuffix(".sqlite") else { return nil }
    return UInt64(name.dropFirst("history-".count).dropLast(".sqlite".count))
  }

  /// The newest whole file of a store; nil if there is none. What can't be read is passed over: it is
  /// made again by whoever writes next.
  func newest(of store: StoreID) throws(ProjectionError) -> (number: UInt64, file: HistoryFile)? {
    for number in try numbers().reversed() {
      guard let file = try? HistoryFile(path: path(of: number)), file.store == store,
        (try? file.checkpoint()) != nil
      else { continue }
      return (number, file)
    }
    return nil
  }

  /// Removes a file with its WAL; the caller has the mark.
  func remove(_ number: UInt64) throws(ProjectionError) {
    for suffix in ["-wal", "-shm", "-journal", ""] {
      let path = path(of: number) + suffix
      if unsafe unlink(path) != 0, errno != ENOENT {
        throw .file(FileError("unlink", path, code: errno))
      }
    }
  }
}
