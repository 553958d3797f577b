public import Journal

/// Something of Nova's own map that isn't as Nova needs it, and what mends it.
public struct DoctorFinding: Hashable, Sendable {
  /// What is wrong; raw values are the names in JSON.
  public enum Kind: String, Hashable, Sendable, CaseIterable {
    case unmappedInstance = "unmapped_instance"
    case wrongCell = "wrong_cell"
    case mappingWithoutCell = "mapping_without_cell"
    case mappingWithoutBuildRequest = "mapping_without_build_request"
    case rowMissing = "row_missing"
    case rowArchived = "row_archived"
    case unknownCell = "unknown_cell"
    case twoVisibleCopies = "two_visible_copies"
    case loneHiddenCopy = "lone_hidden_copy"
    case malformedUUID = "malformed_uuid"
    case markerRow = "marker_row"
    case nullQueuedForDelete = "null_queued_for_delete"
    case nullUser = "null_user_id"
    case nullDisabled = "null_disabled"
    case twinHost = "twin_host"
    case ghostHost = "ghost_host"
    case hostInWrongCell = "host_in_wrong_cell"
    case unmappedHost = "unmapped_host"
    case hostInCell0 = "host_in_cell0"
    case addressUnusable = "address_unusable"
    case nameUnresolved = "name_unresolved"
    case sharedDatabase = "shared_database"
    case cellWithoutQueue = "cell_without_queue"
    case cell0Queue = "cell0_queue"
    case cell0Missing = "cell0_missing"
  }

  /// What the finding is about, as Nova's database has it.
  public enum Subject: Hashable, Sendable {
    case instance(String)
    case host(ByteText)
    case cell(String)
    /// Rows of a table that have it all alike, and are counted only.
    case rows(table: String)
  }

  /// One thing to do, and where.
  public struct Step: Hashable, Sendable {
    public enum Place: Hashable, Sendable {
      /// A command on a controller.
      case shell
      /// SQL in Nova's API database.
      case api
      /// SQL in the database of a cell, as it is shown: by name and UUID.
      case cell(String)
    }

    public let place: Place
    public let text: String
  }

  public let kind: Kind
  public let subject: Subject
  /// The cells that it is about, by UUID.
  public let cells: [CellID]
  /// What was found, in words.
  public let detail: String
  /// What mends it, in this order.
  public internal(set) var fix: [Step]
  /// What its fix takes for granted of the cells.
  var reliance = Reliance.nothing
  /// How many rows it stands for.
  public internal(set) var count: UInt64 = 1

  init(
    _ kind: Kind, _ subject: Subject, cells: [CellID] = [], _ detail: String, fix: [Step],
    count: UInt64 = 1, relyingOn reliance: Reliance = .nothing
  ) {
    self.kind = kind
    self.subject = subject
    self.cells = cells
    self.detail = detail
    self.fix = fix
    self.count = count
    self.reliance = reliance
  }
}

extension DoctorFinding.Kind {
  /// What it means for whoever uses the cloud, in one sentence.
  public var meaning: String {
    switch self {
    case .unmappedInstance: "Nova's API doesn't find these instances, though their cells have them."
    case .wrongCell:
      "Nova looks for these instances in a cell that doesn't have them, and archive_deleted_rows or "
        + "delete_cell --force there may take their mappings away."
    case .mappingWithoutCell: "These instances are in a cell, and their mappings name none."
    case .mappingWithoutBuildRequest:
      "These mappings name no cell, nothing is being built for them, and no cell has them."
    case .rowMissing: "The cell that these mappings name has no such row, and no other has one."
    case .rowArchived:
      "The rows of these instances were archived, and their mappings are left over."
    case .unknownCell: "These mappings name a cell that cell_mappings doesn't have."
    case .twoVisibleCopies: "Two cells have a live row of the same instance, and both are listed."
    case .loneHiddenCopy:
      "The only row of these instances is the hidden copy of a move that was never finished."
    case .malformedUUID:
      "What stands for the UUID of these rows isn't one: nothing finds them by it."
    case .markerRow: "Rows that Nova's upgrade commands left; they map nothing."
    case .nullQueuedForDelete, .nullUser:
      "Rows of before these columns: quotas that count mappings count without them."
    case .nullDisabled: "A cell that is neither enabled nor disabled counts as enabled."
    case .twinHost: "Nova maps a host name once: the other cell's host never gets an instance."
    case .ghostHost: "These hosts are mapped, and their cell has neither node nor service of them."
    case .hostInWrongCell: "Builds for these hosts go to a cell that doesn't have them."
    case .unmappedHost:
      "The scheduler's choice of these hosts ends in an error: they aren't mapped."
    case .hostInCell0: "cell0 has no hosts: this nova-compute reports to the wrong database."
    case .addressUnusable:
      "These addresses can't be followed from this controller as they are written."
    case .nameUnresolved: "This controller doesn't find these servers by their names."
    case .sharedDatabase: "Two cells lead to one database, and everything in it is found twice."
    case .cellWithoutQueue: "Nothing can be sent to the hosts of these cells."
    case .cell0Queue: "cell0 has a queue of its own, which Nova doesn't let another cell use."
    case .cell0Missing: "Instances that get no host are lost without cell0."
    }
  }
}

/// What one examination found, counted; the findings themselves were handed out one by one.
public struct DoctorReport: Sendable {
  /// How a cell's database was read.
  public struct Cell: Sendable {
    public let id: CellID
    public let name: ByteText?
    /// Rows of its `instances` that were read.
    public internal(set) var instances: UInt64 = 0
    /// Why it wasn't read, or not to its end; nil if it was.
    public internal(set) var failure: String?
    /// The cell whose database it shares, and with which it was read.
    public internal(set) var sharedWith: CellID?
    /// Why nothing is told to be taken away that it doesn't have: it looks restored or empty, or has rows
    /// that can't be read; nil if it can be relied on.
    public internal(set) var doubt: String?
  }

  /// The public form of the API database's address.
  public let database: ByteText
  public let snapshotAt: Timestamp
  public internal(set) var counts: [DoctorFinding.Kind: UInt64] = [:]
  public internal(set) var cells: [Cell] = []
  public internal(set) var mappings: UInt64 = 0
  public internal(set) var hosts: UInt64 = 0
  /// Instances of which nothing can be said before all cells are read.
  public internal(set) var undecided: UInt64 = 0
  /// Instances and hosts that looked wrong, and were right when they were looked at again.
  public internal(set) var settled: UInt64 = 0

  /// Every cell was read to its end.
  public var isComplete: Bool { cells.allSatisfy { $0.failure == nil } }
}
