/// Who did something, with what, why, and when it was observed.
public struct Authorship: Hashable, Sendable {
  /// Set by the process from whom it authenticated, never by the request.
  public var actor: ByteText
  /// The program and its version.
  public var program: ByteText
  /// Required for an operator's change.
  public var reason: ByteText?
  /// A name under which a caller ties several commands together.
  public var correlation: ByteText?
  /// The time that the program saw on its clock.
  public var observedAt: Timestamp
  /// The change was found, not made: its author is not known.
  public var isObserved: Bool

  public init(
    actor: ByteText, program: ByteText, reason: ByteText? = nil, correlation: ByteText? = nil,
    observedAt: Timestamp, isObserved: Bool = false
  ) {
    self.actor = actor
    self.program = program
    self.reason = reason
    self.correlation = correlation
    self.observedAt = observedAt
    self.isObserved = isObserved
  }
}

/// Which command an entry belongs to.
public struct RequestMark: Hashable, Sendable {
  public var id: RequestID
  /// The HMAC of the command with its clear secrets; on the first entry of each commit of the
  /// command, nil on the others.
  public var content: Digest?
  /// The keys that this commit of a bulk command covers; on its first entry.
  public var chunk: KeyRange?

  public init(id: RequestID, content: Digest? = nil, chunk: KeyRange? = nil) {
    self.id = id
    self.content = content
    self.chunk = chunk
  }
}

/// A range of keys of one kind, both ends included.
public struct KeyRange: Hashable, Sendable {
  public var kind: EntityKey.Kind
  public var first: ByteText
  public var last: ByteText

  public init(kind: EntityKey.Kind, first: ByteText, last: ByteText) {
    self.kind = kind
    self.first = first
    self.last = last
  }

  /// From one thing to another of its kind.
  public init(_ first: EntityKey, through last: EntityKey) {
    precondition(first.kind == last.kind, "a range has keys of one kind")
    self.init(kind: first.kind, first: first.text, last: last.text)
  }
}

/// The row of a database from which an event was born.
public struct Evidence: Hashable, Sendable {
  /// The public form of the database's address.
  public var source: ByteText
  /// The cell whose database it is; nil for Nova's API database.
  public var cell: CellID?
  public var table: ByteText
  /// The value of the row's primary key.
  public var rowKey: ByteText
  /// The HMAC of the row under the store's key.
  public var rowDigest: Digest
  public var readAt: Timestamp

  public init(
    source: ByteText, cell: CellID?, table: ByteText, rowKey: ByteText, rowDigest: Digest,
    readAt: Timestamp
  ) {
    self.source = source
    self.cell = cell
    self.table = table
    self.rowKey = rowKey
    self.rowDigest = rowDigest
    self.readAt = readAt
  }
}

/// An event on its way into the journal, which gives it its place.
///
/// A reference to its parts, which are never changed: together they have 500 bytes, and a draft is
/// handed on more often than it is looked into.
public struct EntryDraft: Hashable, Sendable {
  private final class Parts: Sendable {
    let event: Event
    let authorship: Authorship
    let request: RequestMark
    let evidence: Evidence?

    init(
      event: Event, authorship: Authorship, request: RequestMark, evidence: Evidence?
    ) {
      self.event = event
      self.authorship = authorship
      self.request = request
      self.evidence = evidence
    }
  }

  private let parts: Parts

  public var event: Event { parts.event }
  public var authorship: Authorship { parts.authorship }
  public var request: RequestMark { parts.request }
  public var evidence: Evidence? { parts.evidence }

  public init(
    event: Event, authorship: Authorship, request: RequestMark, evidence: Evidence? = nil
  ) {
    parts = Parts(event: event, authorship: authorship, request: request, evidence: evidence)
  }

  public static func == (left: Self, right: Self) -> Bool {
    left.event == right.event && left.authorship == right.authorship
      && left.request == right.request && left.evidence == right.evidence
  }

  public func hash(into hasher: inout Hasher) {
    hasher.combine(event)
    hasher.combine(request)
  }
}

/// An event with its place, time and author: what the journal holds.
public struct Entry: Hashable, Sendable {
  public let position: Position
  /// Never earlier than that of the entry before.
  public let orderedAt: Timestamp
  public let draft: EntryDraft

  public init(position: Position, orderedAt: Timestamp, draft: EntryDraft) {
    self.position = position
    self.orderedAt = orderedAt
    self.draft = draft
  }

  public var event: Event { draft.event }
}
