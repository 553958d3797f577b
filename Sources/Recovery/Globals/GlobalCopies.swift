internal import Cells
internal import Glibc
internal import Journal
internal import Projections

/// The flavors and key pairs that were found in the cells, each once, in a file that nobody else sees:
/// memory doesn't grow with the cloud, and nothing of it is left once the process ends, however it does.
///
/// Where copies of one thing differ, the latest counts: of a flavor the one of the youngest instance,
/// since extra specs change without a trace; of a key pair the one that was made last.
final class GlobalCopies {
  /// What says nothing, and whose it is.
  struct Unreadable {
    let table: PublishedTable
    let key: String
    let why: String
  }

  private let connection: SQLiteConnection
  private let addFlavor: SQLiteStatement
  private let addKeyPair: SQLiteStatement
  /// Flavors that were seen lately, by their text, and the youngest instance of each: most instances
  /// have one of a few, in the same words. nil for a text that says nothing.
  private var flavors: [ByteText: (copy: FlavorCopy, seen: Int64)?] = [:]
  private var keyPairs: Set<ByteText> = []
  private static let textsKept = 4_096

  /// - Parameter folder: Where the file is made; it has no name any more once this returns.
  init(in folder: String) throws(ProjectionError) {
    let path = "\(folder)/globals-\(UUID128.random()).sqlite"
    connection = try SQLiteConnection(path: path, mode: .readWriteNew)
    defer { unsafe unlink(path) }
    try connection.execute(
      """
      PRAGMA locking_mode=EXCLUSIVE; PRAGMA journal_mode=OFF; PRAGMA synchronous=OFF;
      CREATE TABLE flavor (
        flavorid TEXT NOT NULL PRIMARY KEY, name TEXT NOT NULL, number INTEGER NOT NULL,
        seen INTEGER NOT NULL, fields TEXT NOT NULL) WITHOUT ROWID;
      CREATE INDEX flavor_name ON flavor (name);
      CREATE TABLE keypair (
        user TEXT NOT NULL, name TEXT NOT NULL, made TEXT NOT NULL, number INTEGER NOT NULL,
        fields TEXT NOT NULL, PRIMARY KEY (user, name)) WITHOUT ROWID;
      BEGIN IMMEDIATE;
      """)
    addFlavor = try connection.prepare(
      """
      INSERT INTO flavor VALUES (?1, ?2, ?3, ?4, ?5) ON CONFLICT (flavorid) DO UPDATE SET
        name = excluded.name, number = excluded.number, seen = excluded.seen,
        fields = excluded.fields
        WHERE (excluded.number, excluded.seen, excluded.fields) > (number, seen, fields)
      """)
    addKeyPair = try connection.prepare(
      """
      INSERT INTO keypair VALUES (?1, ?2, ?3, ?4, ?5) ON CONFLICT (user, name) DO UPDATE SET
        made = excluded.made, number = excluded.number, fields = excluded.fields
        WHERE (excluded.made, excluded.number, excluded.fields) > (made, number, fields)
      """)
  }

  // MARK: Adding

  /// Takes what the instances of a page have.
  func add(
    _ page: [EmbeddedGlobals], unreadable: (Unreadable) -> Void
  ) throws(ProjectionError) {
    for item in page {
      if let text = item.flavor {
        do throws(NovaObjectText.Problem) { try see(text, of: item) } catch {
          unreadable(Unreadable(table: .flavors, key: "\(item.instance)", why: error.text))
        }
        if flavors.count >= Self.textsKept { try keepFlavors() }
      }
      guard let text = item.keyPairs, keyPairs.insert(text).inserted else { continue }
      if keyPairs.count >= Self.textsKept { keyPairs.removeAll(keepingCapacity: true) }
      var copies: [KeyPairCopy] = []
      do throws(NovaObjectText.Problem) { copies = try KeyPairCopy.all(in: text) } catch {
        unreadable(Unreadable(table: .keyPairs, key: "\(item.instance)", why: error.text))
      }
      for copy in copies { try keep(copy) }
    }
  }

  private func see(
    _ text: ByteText, of item: EmbeddedGlobals
  ) throws(NovaObjectText.Problem) {
    let seen = item.instanceCreatedAt?.microseconds ?? .min
    if let known = flavors[text] {
      if let known { flavors[text] = (known.copy, max(known.seen, seen)) }
      return
    }
    flavors[text] = .some(nil)
    flavors[text] = (try FlavorCopy(text), seen)
  }

  private func keepFlavors() throws(ProjectionError) {
    for case (let copy, let seen)? in flavors.values {
      defer { addFlavor.reset() }
      try addFlavor.bind(copy.flavorID, at: 1)
      try addFlavor.bind(copy.name, at: 2)
      try addFlavor.bind(Int64(bitPattern: copy.number), at: 3)
      try addFlavor.bind(seen, at: 4)
      try addFlavor.bind(JSONValue.object(copy.fields).line, at: 5)
      try addFlavor.run()
    }
    flavors.removeAll(keepingCapacity: true)
  }

  private func keep(_ copy: KeyPairCopy) throws(ProjectionError) {
    defer { addKeyPair.reset() }
    try addKeyPair.bind(copy.user, at: 1)
    try addKeyPair.bind(copy.name, at: 2)
    try addKeyPair.bind(copy.made, at: 3)
    try addKeyPair.bind(copy.number, at: 4)
    try addKeyPair.bind(JSONValue.object(copy.fields).line, at: 5)
    try addKeyPair.run()
  }

  // MARK: Reading

  /// How many there are of each, those that a later one of the same name replaces left out.
  func counts() throws(ProjectionError) -> (flavors: UInt64, keyPairs: UInt64) {
    try keepFlavors()
    return (
      UInt64(try connection.integer("SELECT count(DISTINCT name) FROM flavor") ?? 0),
      UInt64(try connection.integer("SELECT count(*) FROM keypair") ?? 0)
    )
  }

  /// The greatest number of a flavor; 0 without one.
  func largestFlavorNumber() throws(ProjectionError) -> UInt64 {
    try keepFlavors()
    return UInt64(try connection.integer("SELECT max(number) FROM flavor") ?? 0)
  }

  /// The next flavors in the order of their flavor ids, and whether a later one has the name of each.
  func flavors(
    after last: ByteText?, limit: Int
  ) throws(ProjectionError) -> [(copy: FlavorCopy, isReplaced: Bool)] {
    try keepFlavors()
    let statement = try connection.prepare(
      """
      SELECT fields, EXISTS (SELECT 1 FROM flavor AS other WHERE other.name = flavor.name
        AND (other.number, other.seen, other.flavorid) > (flavor.number, flavor.seen,
        flavor.flavorid)) FROM flavor WHERE ?1 IS NULL OR flavorid > ?1
        ORDER BY flavorid LIMIT \(limit)
      """)
    try statement.bind(last, at: 1)
    var found: [(copy: FlavorCopy, isReplaced: Bool)] = []
    while try statement.step() {
      let isReplaced = try statement.integer(1) != 0
      guard let fields = Self.fields(try statement.text(0)),
        let copy = try? FlavorCopy(fields: fields)
      else { preconditionFailure("a flavor that was read") }
      found.append((copy, isReplaced))
    }
    return found
  }

  /// The next key pairs in the order of users and names.
  func keyPairs(
    after last: KeyPairCopy?, limit: Int
  ) throws(ProjectionError) -> [KeyPairCopy] {
    let statement = try connection.prepare(
      "SELECT fields FROM keypair WHERE ?1 IS NULL OR (user, name) > (?1, ?2) "
        + "ORDER BY user, name LIMIT \(limit)")
    try statement.bind(last?.user, at: 1)
    try statement.bind(last?.name, at: 2)
    var found: [KeyPairCopy] = []
    while try statement.step() {
      guard let fields = Self.fields(try statement.text(0)),
        let copy = try? KeyPairCopy(fields: fields)
      else { preconditionFailure("a key pair that was read") }
      found.append(copy)
    }
    return found
  }

  private static func fields(_ text: ByteText) -> [String: JSONValue]? {
    guard case .object(let fields)? = try? JSONValue(parsing: text.string) else { return nil }
    return fields
  }
}
