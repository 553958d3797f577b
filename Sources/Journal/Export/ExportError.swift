/// Why an export was not made or not imported; each message says what to do next.
public enum ExportError: Error, Equatable, Sendable {
  /// Something is at the path where the export should be made.
  case targetExists(path: String)
  /// Another process makes that export now.
  case beingMade(path: String)
  case notAnExport(path: String, why: String)
  case newerFormat(path: String, version: String)
  /// A line is not what an export has there.
  case line(path: String, number: UInt64, what: String)
  /// An entry was written by a newer program.
  case newerEntry(path: String, number: UInt64, EntryError)
  /// It holds some entries only.
  case notComplete(path: String)
  case journal(JournalError)
  case file(FileError)
}

extension ExportError: CustomStringConvertible {
  public var description: String {
    switch self {
    case .targetExists(let path):
      "\(path) is there already. An export is never written over: give another name."
    case .beingMade(let path): "Another process makes the export \(path) now."
    case .notAnExport(let path, let why):
      "\(path) is no export of cellmap: \(why). Give a file that 'cellmap audit export' made."
    case .newerFormat(let path, let version):
      "\(path) has format \(version); this program reads 1. Use a newer cellmap."
    case .line(let path, let number, let what):
      "Line \(number) of \(path) is damaged: \(what). Nothing was made. Export it again."
    case .newerEntry(let path, let number, let error): "Line \(number) of \(path): \(error)"
    case .notComplete(let path):
      "\(path) holds some entries only. A store is made of a complete export: one without --from and "
        + "entities, up to the end of a commit."
    case .journal(let error): error.description
    case .file(let error): error.description
    }
  }
}

/// Works on files, and gives the errors as an export's.
func exporting<Result>(
  _ body: () throws(FileError) -> Result
) throws(ExportError) -> Result {
  do throws(FileError) { return try body() } catch { throw .file(error) }
}

/// Calls the journal, and gives its errors as an export's.
func reading<Result>(
  _ body: () throws(JournalError) -> Result
) throws(ExportError) -> Result {
  do throws(JournalError) { return try body() } catch { throw .journal(error) }
}
