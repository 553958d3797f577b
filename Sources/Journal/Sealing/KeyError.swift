/// Why a key can't be had, or something can't be opened with it.
public enum KeyError: Error, Equatable, CustomStringConvertible {
  /// A key file isn't there: the store was restored without its keys.
  case missing(String)
  /// A key file, or something sealed, was changed or belongs elsewhere.
  case damaged(String)
  /// The data key of a sealed address is gone.
  case shredded(KeyID, cell: CellID)
  /// The key of a project is gone, and something of it is to be sealed.
  case ownerShredded(KeyID)
  /// Another process shreds the key now.
  case busy(KeyID)
  case file(FileError)

  public var description: String {
    switch self {
    case .missing(let path):
      "The key \(path) is missing. Put back the 'keys' folder that belongs to this store."
    case .damaged(let what):
      "\(what) does not open: it was changed, or belongs to another store. "
        + "Put back the 'keys' folder that belongs to this store."
    case .shredded(let key, let cell):
      "The address of cell \(cell) was sealed by key \(key), which is shredded or lost: it can't be "
        + "read any more. Give an address that is needed again, with 'cell address'."
    case .ownerShredded(let key):
      "The owner was sealed by key \(key), which is shredded or lost. Give project and user together."
    case .busy(let key): "Another process shreds key \(key) now. Give the command again."
    case .file(let error): error.description
    }
  }
}
