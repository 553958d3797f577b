import CMariaDB
import CPostgreSQL
import Journal
import TestServers

/// A client library as its own manual has it: blocking calls, one round trip a query, rows streamed.
///
/// The SQL is complete text in both, as cellmap's own is on MariaDB.
enum RawServer {
  case mariadb(UnsafeMutablePointer<MYSQL>)
  case postgresql(OpaquePointer)

  init(_ database: NovaServerDatabase) throws {
    let server = database.server
    switch server.engine {
    case .mariadb:
      guard let handle = mysql_init(nil),
        mysql_real_connect(
          handle, "127.0.0.1", database.user, database.password, database.name,
          UInt32(server.port), nil, 0) != nil
      else { throw BenchError.unexpected("libmariadb doesn't connect") }
      self = .mariadb(handle)
    case .postgresql:
      let words =
        "host=127.0.0.1 port=\(server.port) dbname=\(database.name) user=\(database.user) "
        + "password=\(database.password)"
      guard let handle = PQconnectdb(words), PQstatus(handle) == CONNECTION_OK else {
        throw BenchError.unexpected("libpq doesn't connect")
      }
      self = .postgresql(handle)
    }
  }

  func close() {
    switch self {
    case .mariadb(let handle): mysql_close(handle)
    case .postgresql(let handle): PQfinish(handle)
    }
  }

  /// Runs a query, looks at every value, and returns how many rows there were.
  func countRows(_ sql: String) throws -> Int {
    var (rows, bytes) = (0, 0)
    switch self {
    case .mariadb(let handle):
      guard mysql_real_query(handle, sql, UInt(sql.utf8.count)) == 0,
        let result = mysql_use_result(handle)
      else { throw BenchError.library("libmariadb", Int32(mysql_errno(handle))) }
      let columns = Int(mysql_num_fields(result))
      while let row = mysql_fetch_row(result) {
        guard let lengths = mysql_fetch_lengths(result) else { break }
        for column in 0..<columns where row[column] != nil { bytes += Int(lengths[column]) }
        rows += 1
      }
      mysql_free_result(result)
    case .postgresql(let handle):
      guard PQsendQuery(handle, sql) == 1, PQsetSingleRowMode(handle) == 1 else {
        throw BenchError.unexpected("libpq doesn't send")
      }
      while let result = PQgetResult(handle) {
        if PQresultStatus(result) == PGRES_SINGLE_TUPLE {
          for column in 0..<PQnfields(result) where PQgetisnull(result, 0, column) == 0 {
            bytes += Int(PQgetlength(result, 0, column))
          }
          rows += 1
        }
        PQclear(result)
      }
    }
    guard rows == 0 || bytes > 0 else { throw BenchError.unexpected("rows without values") }
    return rows
  }
}
