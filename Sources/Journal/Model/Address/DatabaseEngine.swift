/// What kind of server or file holds a database; MariaDB is spoken to as MySQL.
public enum DatabaseEngine: String, Hashable, Sendable, CaseIterable, CustomStringConvertible {
  case sqlite, mysql, postgresql

  public var description: String { rawValue }

  /// The port where an address names none; 0 for a file.
  public var defaultPort: UInt16 {
    switch self {
    case .sqlite: 0
    case .mysql: 3306
    case .postgresql: 5432
    }
  }

  /// SQLAlchemy's drivers; cellmap has its own client and takes the name only to know it.
  var drivers: [String] {
    switch self {
    case .sqlite: ["aiosqlite", "pysqlite"]
    case .mysql:
      [
        "aiomysql", "asyncmy", "cymysql", "mariadbconnector", "mysqlconnector", "mysqldb",
        "pymysql", "pyodbc",
      ]
    case .postgresql: ["asyncpg", "pg8000", "psycopg", "psycopg2", "psycopg2cffi"]
    }
  }

  /// The engine of a dialect as SQLAlchemy names it.
  init?(dialect: some StringProtocol) {
    switch dialect {
    case "sqlite": self = .sqlite
    case "mysql", "mariadb": self = .mysql
    case "postgresql": self = .postgresql
    default: return nil
    }
  }

  /// The allow-list of this engine's options; docs/addresses.md has it as a table.
  var rules: OptionRules {
    switch self {
    case .sqlite: Self.sqliteRules
    case .mysql: Self.mysqlRules
    case .postgresql: Self.postgresqlRules
    }
  }

  private static let sqliteRules = OptionRules([
    .wholeNumber(upTo: 2_147_483_647): "cached_statements",
    .number(upTo: 2_147_483): "timeout",
    .flag: "check_same_thread",
    .text: "isolation_level mode",
  ])
  private static let mysqlRules = OptionRules([
    .path: """
    read_default_file ssl_ca ssl_capath ssl_cert ssl_key unix_socket
    """,
    .text: """
    auth_plugin binary_prefix charset collation read_default_group sql_mode ssl_cipher ssl_mode \
    tls_version user
    """,
    // A year, as PyMySQL has it.
    .number(upTo: 31_536_000): "connect_timeout read_timeout write_timeout",
    .wholeNumber(upTo: 4_294_967_295): "client_flag max_allowed_packet",
    .wholeNumber(upTo: 65_535): "port",
    .flag: """
    autocommit compress local_infile ssl ssl_check_hostname ssl_disabled ssl_verify_cert \
    ssl_verify_identity use_unicode
    """,
    .secret: "passwd password ssl_key_password",
  ])
  private static let postgresqlRules = OptionRules([
    .path: "host sslcert sslcrl sslcrldir sslkey sslrootcert service",
    .text: """
    application_name channel_binding client_encoding fallback_application_name gssencmode \
    krbsrvname load_balance_hosts port ssl_max_protocol_version ssl_min_protocol_version \
    sslcertmode sslmode sslnegotiation target_session_attrs user
    """,
    .wholeNumber(upTo: 2_147_483_647): "connect_timeout tcp_user_timeout",
    // Linux takes no more, and libpq gives up then.
    .wholeNumber(upTo: 32_767): "keepalives_idle keepalives_interval",
    .wholeNumber(upTo: 127): "keepalives_count",
    .flag: "keepalives sslcompression sslsni",
    .secret: "passfile password sslpassword",
  ])
}
