public import Cells
public import Journal
internal import Synchronization

/// What templates are expanded from and relative paths resolve against; the caller gives it.
public struct AddressBase: Sendable {
  /// The base of templates of database addresses.
  public var database: Secret?
  /// The base of templates of queue addresses.
  public var queue: Secret?
  /// The folder from which relative paths of SQLite databases are taken.
  public var folder: String

  public init(database: Secret? = nil, queue: Secret? = nil, folder: String) {
    precondition(folder.utf8.first == UInt8(ascii: "/"), "an absolute folder")
    self.database = database
    self.queue = queue
    self.folder = folder
  }
}

/// A cell's addresses in clear: for connecting, and for output that was asked to reveal.
public struct RevealedAddresses: Sendable {
  /// The whole address, a template expanded.
  public let database: Secret?
  public let queue: Secret?
}

/// A cell as the map holds it, with its addresses and its connections.
///
/// One for each cell and each state of its record; an event of the cell brings a new one. Routes
/// hold a reference. Addresses are opened when first needed; their memory is wiped with the last
/// reference.
public final class CellTarget: Sendable {
  public let id: CellID
  public let row: CellRow
  /// The cell's place in the directory.
  let number: Int
  private let context: TargetContext
  /// The address of the database to be tried, instead of the map's.
  private let tried: Secret?
  private let opened = Mutex<Opened>(Opened())

  private struct Opened {
    var addresses: Result<RevealedAddresses, CellUnavailable>?
    var pool: CellConnectionPool?
    var queue: QueuePool?
  }

  init(id: CellID, row: CellRow, number: Int, context: TargetContext, trying tried: Secret? = nil) {
    self.id = id
    self.row = row
    self.number = number
    self.context = context
    self.tried = tried
  }

  /// Nova's name of the cell; nil where Nova has NULL.
  public var name: ByteText? { row.record.name }
  /// The database's address with its secrets masked; a template as it was given.
  public var publicDatabase: ByteText? { row.record.database?.publicForm }
  /// The queue's address with its secrets masked; a template as it was given.
  public var publicQueue: ByteText? { row.record.queue?.publicForm }

  /// The addresses in clear, templates expanded.
  ///
  /// - Throws: `key`, `withoutKeys` or `address`; the same at each call until the cell's record
  ///   changes or, for a key, until it is there.
  public func addresses() throws(CellUnavailable) -> RevealedAddresses {
    try opened.withLock { (opened) throws(CellUnavailable) in
      if let known = opened.addresses { return try known.get() }
      do throws(CellUnavailable) {
        let revealed = RevealedAddresses(
          database: try reveal(row.record.database, .database, base: context.base.database),
          queue: try reveal(row.record.queue, .queue, base: context.base.queue))
        opened.addresses = .success(revealed)
        return revealed
      } catch {
        if case .address = error { opened.addresses = .failure(error) }
        throw error
      }
    }
  }

  /// The connections to the cell's database; nothing is opened yet.
  ///
  /// - Throws: as `addresses`, `withoutDatabase`, and `database` for one that can't be read live.
  public func pool() throws(CellUnavailable) -> CellConnectionPool {
    if let pool = opened.withLock({ $0.pool }) { return pool }
    // Only the database's address is needed: a queue's that can't be opened hinders no reading.
    guard let text = try databaseText() else { throw .withoutDatabase(id) }
    let made = try makePool(text)
    return opened.withLock { opened in
      if let pool = opened.pool { return pool }
      opened.pool = made
      return made
    }
  }

  /// Works on a connection to the cell; one that went stale meanwhile is opened once more.
  ///
  /// - Throws: As `pool`; `database` for what the cell's database says.
  @inline(__always)
  public func ask<Answer>(
    until deadline: ContinuousClock.Instant,
    _ body: (LentConnection) throws(CellError) -> Answer
  ) throws(CellUnavailable) -> Answer {
    let pool = try pool()
    do throws(CellError) {
      do throws(CellError) { return try pool.withConnection(until: deadline, body) } catch {
        guard error.isStaleConnection else { throw error }
      }
      return try pool.withConnection(until: deadline, body)
    } catch {
      throw .database(error)
    }
  }

  /// Runs `body` on a thread of the cell's own; the caller doesn't wait.
  ///
  /// - Throws: What hinders it at once: no address that can be opened, a breaker that is open, or
  ///   too much work that waits.
  func run(
    until deadline: ContinuousClock.Instant, _ body: @escaping @Sendable () -> Void
  ) throws(CellUnavailable) {
    let pool = try pool()
    do throws(CellError) { try pool.run(until: deadline, body) } catch { throw .database(error) }
  }

  private func databaseText() throws(CellUnavailable) -> Secret? {
    guard let tried else {
      return try reveal(row.record.database, .database, base: context.base.database)
    }
    do throws(AddressError) {
      return try AddressField.database.resolved(tried, base: context.base.database)
    } catch {
      throw .address(error, of: id)
    }
  }

  private func makePool(_ text: Secret) throws(CellUnavailable) -> CellConnectionPool {
    let address: DatabaseAddress
    do throws(AddressError) { address = try DatabaseAddress(parsing: text) } catch {
      throw .address(error, of: id)
    }
    do throws(CellError) {
      let location = try CellDatabaseLocation(address, of: id, relativeTo: context.base.folder)
      return CellConnectionPool(
        cell: id, location: location, identity: context.knowledge(id),
        settings: context.pool)
    } catch {
      throw .database(error)
    }
  }

  /// The connections to the cell's brokers; nothing is opened yet.
  ///
  /// - Throws: as `addresses`; `queue` where the address leads to no broker.
  public func queue() throws(CellUnavailable) -> QueuePool {
    if let queue = opened.withLock({ $0.queue }) { return queue }
    let text = try reveal(row.record.queue, .queue, base: context.base.queue)
    guard let text else { throw .queue(QueueError(cell: id, .noQueue)) }
    let made = try makeQueue(text)
    return opened.withLock { opened in
      if let queue = opened.queue { return queue }
      opened.queue = made
      return made
    }
  }

  private func makeQueue(_ text: Secret) throws(CellUnavailable) -> QueuePool {
    let address: QueueAddress
    let options: ConnectionOptions
    do throws(AddressError) {
      address = try QueueAddress(parsing: text)
      options =
        try row.record.options.map { text throws(AddressError) in
          try ConnectionOptions(parsing: text)
        } ?? .none
    } catch {
      throw .address(error, of: id)
    }
    do throws(QueueFault) {
      return QueuePool(
        cell: id, location: try QueueLocation(address, options: options),
        settings: context.queue)
    } catch {
      throw .queue(QueueError(cell: id, error))
    }
  }

  /// Closes the connections to the brokers that nobody uses, and waits for their goodbye.
  func closeIdleQueue() { opened.withLock(\.queue)?.closeIdle() }

  private func reveal(
    _ address: SealedAddress?, _ field: AddressField, base: Secret?
  ) throws(CellUnavailable) -> Secret? {
    guard let address else { return nil }
    guard let keys = context.keys else { throw .withoutKeys(id) }
    var clear: [UInt8]
    do throws(KeyError) { clear = try keys.open(address, of: id, field) } catch {
      throw .key(error)
    }
    let text = Secret(clear)
    for index in clear.indices { clear[index] = 0 }
    do throws(AddressError) { return try field.resolved(text, base: base) } catch {
      throw .address(error, of: id)
    }
  }
}

/// What the targets of a router share.
struct TargetContext: Sendable {
  let keys: AddressKeys?
  let base: AddressBase
  let pool: CellPoolSettings
  let queue: QueuePoolSettings
  /// What the map knows of a cell's identity.
  let knowledge: @Sendable (CellID) -> IdentityKnowledge
}

/// The cells of the map, each at a number that it keeps: the cache names cells by it.
struct CellDirectory: Sendable {
  /// nil for a cell that is gone.
  private(set) var targets: [CellTarget?] = []
  /// By UUID: a cell is found by halving, in less time than its UUID is hashed.
  private var numbers: [(id: CellID, number: Int)] = []
  private let context: TargetContext

  init(context: TargetContext) { self.context = context }

  /// The cell; nil if the map doesn't hold it.
  func target(_ id: CellID) -> CellTarget? {
    let place = place(of: id)
    guard place < numbers.count, numbers[place].id == id else { return nil }
    return targets[numbers[place].number]
  }

  /// Where a cell is in `numbers`, or belongs.
  private func place(of id: CellID) -> Int {
    var (low, high) = (0, numbers.count)
    while low < high {
      let middle = (low + high) / 2
      if numbers[middle].id < id { low = middle + 1 } else { high = middle }
    }
    return low
  }

  /// The cell at a number; nil if it is gone, or came later than this directory.
  func target(at number: Int) -> CellTarget? { number < targets.count ? targets[number] : nil }

  /// No cell is known, not even cell0: nothing was read yet.
  var isEmpty: Bool { targets.allSatisfy { $0 == nil } }

  /// All cells, by UUID.
  var all: [CellTarget] { numbers.compactMap { targets[$0.number] } }

  /// Sets what the map holds of a cell; one that didn't change keeps its connections.
  mutating func set(_ id: CellID, to row: CellRow?) {
    let place = place(of: id)
    if place == numbers.count || numbers[place].id != id {
      numbers.insert((id, targets.count), at: place)
      targets.append(nil)
    }
    let number = numbers[place].number
    if targets[number]?.row == row { return }
    targets[number] = row.map {
      CellTarget(id: id, row: $0, number: number, context: context)
    }
  }

  /// Sets all cells; those that aren't named are gone.
  mutating func set(_ rows: [CellID: CellRow]) {
    for id in numbers.map(\.id) where rows[id] == nil { set(id, to: nil) }
    for (id, row) in rows { set(id, to: row) }
  }
}
