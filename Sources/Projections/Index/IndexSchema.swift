/// The tables, indexes and views of `index-GENERATION.sqlite`; docs/index-format.md explains them.
enum IndexSchema {
  /// `PRAGMA user_version`: an index of another version is made again.
  static let version: Int64 = 3
  /// `PRAGMA application_id`: "cmap".
  static let applicationID: Int64 = 0x636d_6170
  /// The same of a file that holds some things alone: "cmpp".
  static let partialApplicationID: Int64 = 0x636d_7070

  /// Settings that a file keeps; they come before the first table.
  static let fileSettings = """
    PRAGMA page_size=4096;
    PRAGMA application_id=\(applicationID);
    """

  /// Settings of each connection that writes.
  ///
  /// `secure_delete=FAST` clears the bytes of rows that changed, without further writes, so that a
  /// damaged pointer can't lead to an older row whose checksum is right. The WAL keeps its length
  /// from one move to the next, since its pages are dear to make anew; the limit takes back what a
  /// long reader made of it.
  static let writerSettings = """
    PRAGMA journal_mode=WAL;
    PRAGMA synchronous=NORMAL;
    PRAGMA wal_autocheckpoint=0;
    PRAGMA journal_size_limit=134217728;
    PRAGMA secure_delete=FAST;
    PRAGMA cache_size=-65536;
    PRAGMA foreign_keys=OFF;
    """

  /// Settings of each connection that reads: 16 MiB hold the inner pages of 10 M instances.
  static let readerSettings = "PRAGMA cache_size=-16384;"

  /// Settings of a connection that loads a file which nothing refers to yet: it is synced once at
  /// its end, and thrown away if that isn't reached.
  static let loadSettings = """
    PRAGMA journal_mode=MEMORY;
    PRAGMA synchronous=OFF;
    PRAGMA cache_size=-65536;
    """

  /// The same for a file that is gone on with if its process is killed: what is committed stays then.
  static let keptLoadSettings = """
    PRAGMA journal_mode=DELETE;
    PRAGMA synchronous=OFF;
    PRAGMA cache_size=-65536;
    """

  static let tables = """
    CREATE TABLE meta (
      id INTEGER PRIMARY KEY CHECK (id = 0), store BLOB NOT NULL,
      checkpoint_epoch INTEGER NOT NULL, checkpoint_index INTEGER NOT NULL,
      checkpoint_root BLOB NOT NULL, checksum INTEGER NOT NULL) STRICT;
    CREATE TABLE bucket (
      number INTEGER PRIMARY KEY, count INTEGER NOT NULL, sum BLOB NOT NULL) STRICT;
    CREATE TABLE cell (
      id BLOB PRIMARY KEY, name TEXT, database_public TEXT, database_key BLOB,
      database_sealed BLOB, queue_public TEXT, queue_key BLOB, queue_sealed BLOB, options TEXT,
      disabled INTEGER, is_being_removed INTEGER NOT NULL, is_covered INTEGER NOT NULL,
      nova_number INTEGER, nova_created_at INTEGER, changed_at INTEGER NOT NULL,
      evidence_at INTEGER, checksum INTEGER NOT NULL) STRICT, WITHOUT ROWID;
    CREATE TABLE host (
      name TEXT PRIMARY KEY, cell BLOB NOT NULL, nova_number INTEGER, nova_created_at INTEGER,
      changed_at INTEGER NOT NULL, checksum INTEGER NOT NULL) STRICT, WITHOUT ROWID;
    CREATE TABLE instance (
      id BLOB PRIMARY KEY, cell BLOB, queued_for_delete INTEGER, changed_at INTEGER NOT NULL,
      route_checksum INTEGER NOT NULL, project ANY, user ANY, nova_number INTEGER,
      nova_created_at INTEGER, seen_host TEXT, seen_at INTEGER, seen_source TEXT,
      checksum INTEGER NOT NULL) STRICT, WITHOUT ROWID;
    CREATE TABLE identity (
      cell BLOB NOT NULL, kind INTEGER NOT NULL, uuid BLOB NOT NULL, server TEXT,
      recorded_at INTEGER NOT NULL, checksum INTEGER NOT NULL,
      PRIMARY KEY (cell, kind, uuid)) STRICT, WITHOUT ROWID;
    CREATE TABLE request (
      id BLOB PRIMARY KEY, content BLOB NOT NULL, first_index INTEGER NOT NULL,
      last_index INTEGER NOT NULL, is_bulk INTEGER NOT NULL, finished_cells INTEGER,
      finished_hosts INTEGER, finished_instances INTEGER, checksum INTEGER NOT NULL
      ) STRICT, WITHOUT ROWID;
    CREATE TABLE departed (
      kind INTEGER NOT NULL, key BLOB NOT NULL, last_index INTEGER NOT NULL,
      checksum INTEGER NOT NULL, PRIMARY KEY (kind, key)) STRICT, WITHOUT ROWID;
    CREATE TABLE conflict (
      kind INTEGER NOT NULL, key BLOB NOT NULL, rule TEXT NOT NULL, evidence TEXT NOT NULL,
      decision TEXT, found_at INTEGER NOT NULL, changed_at INTEGER NOT NULL,
      checksum INTEGER NOT NULL, PRIMARY KEY (kind, key)) STRICT, WITHOUT ROWID;
    CREATE TABLE epoch (
      epoch INTEGER PRIMARY KEY, id BLOB NOT NULL, cause INTEGER NOT NULL,
      first_index INTEGER NOT NULL, common_index INTEGER NOT NULL, checksum INTEGER NOT NULL
      ) STRICT;
    """

  /// For a connection that makes `indexes` of many rows: parts of a few megabytes are sorted on threads of their
  /// own while it reads on. It takes three quarters of the time that one thread takes for all.
  static let sortSettings = "PRAGMA cache_size=-4096; PRAGMA threads=2;"

  /// Made after a bulk load: sorting once is cheaper than inserting in random order.
  static let indexes = """
    CREATE INDEX instance_by_cell ON instance (cell);
    CREATE INDEX instance_by_owner ON instance (project, user, queued_for_delete);
    CREATE INDEX identity_by_uuid ON identity (uuid);
    """

  static let views = """
    CREATE VIEW epochs AS SELECT epoch, \(uuid("id")) AS id,
      CASE cause WHEN 1 THEN 'initialized' WHEN 2 THEN 'restored' WHEN 3 THEN 'rebuilt'
        WHEN 4 THEN 'imported' END AS cause, first_index, common_index FROM epoch;
    CREATE VIEW cells AS SELECT \(uuid("id")) AS cell, name, database_public AS database,
      queue_public AS queue, disabled, is_being_removed, is_covered,
      nova_number AS nova_id, \(time("nova_created_at")) AS created_at,
      \(position("changed_at")) AS position FROM cell;
    CREATE VIEW hosts AS SELECT host.name AS host, \(uuid("host.cell")) AS cell,
      cell.name AS cell_name, host.nova_number AS nova_id,
      \(time("host.nova_created_at")) AS created_at, \(position("host.changed_at")) AS position
      FROM host LEFT JOIN cell ON cell.id = host.cell;
    CREATE VIEW instances AS SELECT \(uuid("instance.id")) AS instance,
      \(uuid("instance.cell")) AS cell, cell.name AS cell_name,
      \(personal("project")) AS project, \(personal("user")) AS user, queued_for_delete,
      instance.nova_number AS nova_id, \(time("instance.nova_created_at")) AS created_at,
      seen_host AS last_known_host, \(time("seen_at")) AS last_known_host_at,
      \(position("instance.changed_at")) AS position
      FROM instance LEFT JOIN cell ON cell.id = instance.cell;
    CREATE VIEW conflicts AS SELECT
      CASE kind WHEN 2 THEN 'host' WHEN 3 THEN 'instance' END AS kind,
      CASE kind WHEN 2 THEN CAST(key AS TEXT) ELSE \(uuid("key")) END AS key, rule, decision,
      evidence, \(position("found_at")) AS found_position,
      \(position("changed_at")) AS position FROM conflict;
    CREATE VIEW requests AS SELECT \(uuid("id")) AS request,
      \(position("first_index")) AS first_position, \(position("last_index")) AS last_position,
      is_bulk, finished_cells, finished_hosts, finished_instances FROM request;
    CREATE VIEW checkpoint AS SELECT \(uuid("store")) AS store,
      checkpoint_epoch || ':' || checkpoint_index AS position,
      lower(hex(checkpoint_root)) AS root FROM meta;
    """

  /// The text form of a UUID column.
  private static func uuid(_ column: String) -> String {
    let parts = [(1, 8), (9, 4), (13, 4), (17, 4), (21, 12)]
      .map { "substr(hex(\(column)), \($0.0), \($0.1))" }
    return
      "CASE WHEN \(column) IS NOT NULL THEN lower(\(parts.joined(separator: " || '-' || "))) END"
  }

  /// RFC 3339 of a column of microseconds, with a fraction where there is one.
  private static func time(_ column: String) -> String {
    """
    strftime('%Y-%m-%dT%H:%M:%S', (\(column) - (\(column) % 1000000 + 1000000) % 1000000) \
    / 1000000, 'unixepoch') || CASE \(column) % 1000000 WHEN 0 THEN '' ELSE \
    printf('.%06d', (\(column) % 1000000 + 1000000) % 1000000) END || 'Z'
    """
  }

  /// `EPOCH:INDEX` of a column that holds an index.
  private static func position(_ column: String) -> String {
    "(SELECT max(epoch.epoch) FROM epoch WHERE epoch.first_index <= \(column)) || ':' || \(column)"
  }

  /// A project or user: the text if it is clear, else what has become of it.
  private static func personal(_ column: String) -> String {
    """
    CASE typeof(\(column)) WHEN 'blob' THEN \
    CASE hex(substr(\(column), 1, 1)) WHEN '01' THEN '(sealed)' ELSE '(shredded)' END \
    ELSE \(column) END
    """
  }
}
