internal import Cells
public import Journal
internal import Projections
public import Router

/// The cells, read for what they have of Nova's global tables; never written.
///
/// Nothing is kept of it in the store: the cells have it, and whoever needs it reads it again.
/// Belongs to one thread at a time.
public final class GlobalSource {
  /// How long a cell may take for a page.
  public static let pageTime = Duration.seconds(60)
  /// Instances of one page, and of one question about some.
  static let pageRows = 1_000
  static let questionRows = 250

  private let targets: [CellID: CellTarget]
  private let router: CellRouter
  private let folder: String
  /// Why cells weren't read, or not to their end.
  public private(set) var unread: [CellID: String] = [:]
  private var gathered: GlobalCopies?
  /// The first of the texts that say nothing.
  private(set) var unreadable: [GlobalCopies.Unreadable] = []
  private static let unreadableKept = 1_000

  /// - Parameters:
  ///   - router: Whose cells are read, each only if it is itself.
  ///   - folder: Where what doesn't fit into memory is put; nothing of it stays.
  /// - Throws: `cells` if the map's cells can't be read.
  public init(_ router: CellRouter, stagingIn folder: String) throws(PublicationError) {
    self.router = router
    self.folder = folder
    do throws(RouterError) {
      targets = Dictionary(
        try router.cells().filter { !$0.row.record.isBeingRemoved }.map { ($0.id, $0) },
        uniquingKeysWith: { first, _ in first })
    } catch {
      throw .cells(error.description)
    }
  }

  /// What a cell says of some instances; nil if it can't be read now, which is noted.
  func facts(
    of instances: [InstanceID], in cell: CellID
  ) -> [InstanceID: RequestFacts]? {
    var found: [InstanceID: RequestFacts] = [:]
    for start in stride(from: 0, to: instances.count, by: Self.questionRows) {
      let part = Array(instances[start...].prefix(Self.questionRows))
      guard
        let facts = ask(
          cell,
          { (connection) throws(CellError) in try connection.requestFacts(of: part) })
      else { return nil }
      found.merge(facts) { first, _ in first }
    }
    return found
  }

  /// Calls `body` with a connection to a cell; a cell that failed once isn't asked again.
  func ask<Value>(
    _ cell: CellID, _ body: (CellConnection) throws(CellError) -> Value
  ) -> Value? {
    guard unread[cell] == nil else { return nil }
    do throws(CellUnavailable) {
      guard let target = targets[cell] else { throw .withoutDatabase(cell) }
      return try target.ask(until: .now + Self.pageTime) { (lent) throws(CellError) in
        try body(lent.connection)
      }
    } catch {
      unread[cell] = error.description
      return nil
    }
  }

  private func note(_ what: GlobalCopies.Unreadable) {
    if unreadable.count < Self.unreadableKept { unreadable.append(what) }
  }

  /// The flavors and key pairs of all cells, read once, one cell after the other.
  ///
  /// - Parameter progress: Called after each page with the number of instances so far.
  func copies(progress: (UInt64) -> Void) throws(PublicationError) -> GlobalCopies {
    if let gathered { return gathered }
    do throws(ProjectionError) {
      let copies = try GlobalCopies(in: folder)
      var count: UInt64 = 0
      for cell in targets.keys.sorted() {
        var last: Int64?
        repeat {
          let page = ask(
            cell,
            { (connection) throws(CellError) in
              try connection.embeddedGlobals(afterRow: last, limit: Self.pageRows)
            })
          guard let page else { break }
          for row in page.unreadable {
            note(
              GlobalCopies.Unreadable(
                table: .flavors, key: "\(row.table) row \(row.rowID) of cell \(cell)", why: row.why)
            )
          }
          try copies.add(page.rows) { note($0) }
          count += UInt64(page.rows.count)
          progress(count)
          last = page.next
        } while last != nil
      }
      gathered = copies
      return copies
    } catch {
      throw .map(error)
    }
  }
}
