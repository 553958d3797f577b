/// Why the bytes of an entry can't be read.
public enum EntryError: Error, Equatable, CustomStringConvertible {
  /// The bytes break the format; what broke is named.
  case malformed(String)
  /// The entry was written by a newer program.
  case newerFormat(UInt8)
  /// The event was written by a newer program; its entry can be verified, not understood.
  case unknownEvent(kind: UInt16, schemaVersion: UInt8, index: UInt64)

  public var description: String {
    switch self {
    case .malformed(let what): "The entry is malformed: \(what)."
    case .newerFormat(let format):
      "The entry has format \(format); this program reads 1. Use a newer cellmap."
    case .unknownEvent(let kind, let version, let index):
      "Entry \(index) holds an event of kind \(kind), version \(version), which this program does "
        + "not know. Use a newer cellmap; nothing was skipped."
    }
  }
}
