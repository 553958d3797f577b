/// The number that stands for an event in entries; never used again for another meaning.
///
/// The high byte is the kind of entity: 1 cell, 2 host, 3 instance, 4 conflict, 5 store.
public enum EventKind: UInt16, CaseIterable, Sendable {
  case cellAdded = 0x0101
  case cellRenamed = 0x0102
  case cellAddressesChanged = 0x0103
  case cellAvailabilityChanged = 0x0104
  case cellRemoved = 0x0105
  case cellIdentityRecorded = 0x0106
  case cellProbed = 0x0107
  case cellCoverageChanged = 0x0108
  case cellRowRecorded = 0x0109
  case cellAddressResealed = 0x010A
  case cellKeyShredded = 0x010B

  case hostMapped = 0x0201
  case hostUnmapped = 0x0202
  case hostRowRecorded = 0x0203

  case instanceMapped = 0x0301
  case instanceMoved = 0x0302
  case instanceOwnerChanged = 0x0303
  case instanceDeletionMarkChanged = 0x0304
  case instanceUnmapped = 0x0305
  case instanceHostSeen = 0x0306
  case instanceRowRecorded = 0x0307

  case conflictFound = 0x0401
  case conflictResolved = 0x0402

  case epochOpened = 0x0501
  case adopted = 0x0502
  case published = 0x0503
  case scanStarted = 0x0504
  case scanFinished = 0x0505
  case requestFinished = 0x0506
  case archived = 0x0507
  case ownerKeyShredded = 0x0508

  /// The newest version of the event's fields that this program knows; it reads older ones too.
  public var schemaVersion: UInt8 { self == .epochOpened ? 2 : 1 }

  /// The name as people and JSON see it: `cell added`, `instance moved`.
  public var name: String {
    var words = ""
    for scalar in "\(self)".unicodeScalars {
      words +=
        scalar.properties.isUppercase ? " \(scalar.properties.lowercaseMapping)" : "\(scalar)"
    }
    return words
  }
}

extension Event {
  /// The number and the name of what happened.
  public var kind: EventKind {
    switch self {
    case .cell(_, let event): event.kind
    case .host(_, let event): event.kind
    case .instance(_, let event): event.kind
    case .conflict(_, .found): .conflictFound
    case .conflict(_, .resolved): .conflictResolved
    case .store(let event): event.kind
    }
  }
}

extension Event {
  /// The oldest version that holds the event: a program that doesn't know how a store is to be written
  /// stops at its first entry, and one that has nothing new reads as before.
  var schemaVersion: UInt8 {
    if case .store(.epochOpened(let opening)) = self, opening.sealsOwners { 2 } else { 1 }
  }
}

extension CellEvent {
  fileprivate var kind: EventKind {
    switch self {
    case .added: .cellAdded
    case .renamed: .cellRenamed
    case .addressesChanged: .cellAddressesChanged
    case .availabilityChanged: .cellAvailabilityChanged
    case .removed: .cellRemoved
    case .identityRecorded: .cellIdentityRecorded
    case .probed: .cellProbed
    case .coverageChanged: .cellCoverageChanged
    case .rowRecorded: .cellRowRecorded
    case .addressResealed: .cellAddressResealed
    case .keyShredded: .cellKeyShredded
    }
  }
}

extension HostEvent {
  fileprivate var kind: EventKind {
    switch self {
    case .mapped: .hostMapped
    case .unmapped: .hostUnmapped
    case .rowRecorded: .hostRowRecorded
    }
  }
}

extension InstanceEvent {
  fileprivate var kind: EventKind {
    switch self {
    case .mapped: .instanceMapped
    case .moved: .instanceMoved
    case .ownerChanged: .instanceOwnerChanged
    case .deletionMarkChanged: .instanceDeletionMarkChanged
    case .unmapped: .instanceUnmapped
    case .hostSeen: .instanceHostSeen
    case .rowRecorded: .instanceRowRecorded
    }
  }
}

extension StoreEvent {
  fileprivate var kind: EventKind {
    switch self {
    case .epochOpened: .epochOpened
    case .adopted: .adopted
    case .published: .published
    case .scanStarted: .scanStarted
    case .scanFinished: .scanFinished
    case .requestFinished: .requestFinished
    case .archived: .archived
    case .ownerKeyShredded: .ownerKeyShredded
    }
  }
}
