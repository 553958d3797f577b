/// The tables of `history-GENERATION.sqlite`; docs/history-format.md explains them.
enum HistorySchema {
  /// `PRAGMA user_version`: 0 while the file is being made; a file of another version is made again.
  static let version: Int64 = 1
  /// `PRAGMA application_id`: "cmah".
  static let applicationID: Int64 = 0x636d_6168

  /// Settings that a file keeps; they come before the first table.
  static let fileSettings = """
    PRAGMA page_size=4096;
    PRAGMA application_id=\(applicationID);
    """

  /// Settings of a connection that makes a file which nobody reads yet: it is synced once at its end,
  /// and thrown away if that isn't reached, so that nothing has to be rolled back.
  static let loadSettings = """
    PRAGMA journal_mode=OFF;
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
    CREATE TABLE touch (
      entity INTEGER NOT NULL, entry INTEGER NOT NULL,
      PRIMARY KEY (entity, entry)) STRICT, WITHOUT ROWID;
    """
}
