/// What a field of an entry means; documented with its bytes in docs/journal-format.md.
///
/// 0x01 to 0x0F say who and why, 0x10 names the entity, from 0x20 on they belong to the event.
/// Within a nested field the tags of its own list apply.
struct FieldTag: RawRepresentable, Hashable, Sendable {
  let rawValue: UInt8
  init(rawValue: UInt8) { self.rawValue = rawValue }
  private init(_ value: UInt8) { rawValue = value }

  // Who, why, and from what.
  static let actor = FieldTag(0x01)
  static let program = FieldTag(0x02)
  static let reason = FieldTag(0x03)
  static let correlation = FieldTag(0x04)
  static let observed = FieldTag(0x05)
  static let requestContent = FieldTag(0x06)
  static let chunk = FieldTag(0x07)
  static let evidence = FieldTag(0x08)
  static let entityName = FieldTag(0x10)

  // What changed: the touched fields of the record, before and after.
  static let before = FieldTag(0x20)
  static let after = FieldTag(0x21)
  static let identity = FieldTag(0x22)
  static let probe = FieldTag(0x23)
  static let key = FieldTag(0x24)
  static let sighting = FieldTag(0x25)
  static let conflict = FieldTag(0x26)
  static let epoch = FieldTag(0x27)
  static let transfer = FieldTag(0x28)
  static let scan = FieldTag(0x29)
  static let counts = FieldTag(0x2A)
  static let archive = FieldTag(0x2B)

  // Within a chunk.
  static let chunkKind = FieldTag(0x01)
  static let chunkFirst = FieldTag(0x02)
  static let chunkLast = FieldTag(0x03)

  // Within evidence.
  static let evidenceSource = FieldTag(0x01)
  static let evidenceCell = FieldTag(0x02)
  static let evidenceTable = FieldTag(0x03)
  static let evidenceRowKey = FieldTag(0x04)
  static let evidenceRowDigest = FieldTag(0x05)
  static let evidenceReadAt = FieldTag(0x06)

  // Within the record of a cell.
  static let name = FieldTag(0x01)
  static let database = FieldTag(0x02)
  static let queue = FieldTag(0x03)
  static let options = FieldTag(0x04)
  static let disabled = FieldTag(0x05)
  static let removing = FieldTag(0x06)
  static let covered = FieldTag(0x07)

  // Within the record of a host or an instance.
  static let cell = FieldTag(0x01)
  static let project = FieldTag(0x02)
  static let user = FieldTag(0x03)
  static let queuedForDelete = FieldTag(0x04)
  static let lastSeen = FieldTag(0x05)

  // Within any record: the row of Nova's API database.
  static let rowNumber = FieldTag(0x0E)
  static let rowCreatedAt = FieldTag(0x0F)

  // Within an address.
  static let publicForm = FieldTag(0x01)
  static let sealKey = FieldTag(0x02)
  static let sealed = FieldTag(0x03)

  // Within a text that a key can be thrown away for: exactly one of clear, sealed, key alone.
  static let personalClear = FieldTag(0x01)
  static let personalKey = FieldTag(0x02)
  static let personalSealed = FieldTag(0x03)

  // Within evidence of identity.
  static let services = FieldTag(0x01)
  static let computeNodes = FieldTag(0x02)
  static let server = FieldTag(0x03)
  static let replacesEarlier = FieldTag(0x04)

  // Within the outcome of a probe.
  static let passed = FieldTag(0x01)
  static let report = FieldTag(0x02)

  // Within a sighting.
  static let seenHost = FieldTag(0x01)
  static let seenAt = FieldTag(0x02)
  static let seenBy = FieldTag(0x03)

  // Within a conflict.
  static let conflictKind = FieldTag(0x01)
  static let conflictEvidence = FieldTag(0x02)
  static let conflictDecision = FieldTag(0x03)

  // Within the opening of an epoch.
  static let epochStore = FieldTag(0x01)
  static let epochNumber = FieldTag(0x02)
  static let epochID = FieldTag(0x03)
  static let epochCause = FieldTag(0x04)
  static let commonIndex = FieldTag(0x05)
  static let commonRoot = FieldTag(0x06)
  static let leftIndex = FieldTag(0x07)
  static let leftRoot = FieldTag(0x08)
  static let sealsOwners = FieldTag(0x09)

  // Within a transfer from or into Nova's API database.
  static let transferDatabase = FieldTag(0x01)
  static let transferSnapshotAt = FieldTag(0x02)
  // Within a transfer and within counts.
  static let countCells = FieldTag(0x03)
  static let countHosts = FieldTag(0x04)
  static let countInstances = FieldTag(0x05)

  // Within a scan.
  static let scanID = FieldTag(0x01)
  static let scanCell = FieldTag(0x02)
  static let scanRows = FieldTag(0x03)
  static let scanDigest = FieldTag(0x04)

  // Within an archive point.
  static let archiveIndex = FieldTag(0x01)
  static let archiveRoot = FieldTag(0x02)
  static let archiveFile = FieldTag(0x03)
  static let archiveFileDigest = FieldTag(0x04)
}
