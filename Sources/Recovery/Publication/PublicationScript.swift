internal import Cells
internal import Journal

/// The statements of a publication in one file, and their inverse in another beside it: `PATH` and
/// `PATH.undo`, of mode 0600.
///
/// Rows are written as they come; only the inverse of cells, hosts and flavors waits in memory, since
/// that of cells and hosts has to follow that of the instances.
final class PublicationScript {
  private let statements: RowStatements
  private let forward: NewFile
  private let inverse: NewFile
  private let revealing: Bool
  private var laterInverse: [[String]] = []

  /// - Throws: `script` if a file can't be made.
  init(
    path: String, dialect: SQLDialect, title: String, revealing: Bool
  ) throws(PublicationError) {
    statements = RowStatements(dialect, at: .now)
    self.revealing = revealing
    do throws(FileError) {
      forward = try NewFile(path, replaces: true)
      inverse = try NewFile(path + ".undo", replaces: true)
      // Texts from outside stay in their comment.
      let line = title.filter { !$0.isNewline }
      for (file, what) in [(forward, "writes"), (inverse, "takes back")] {
        try file.write("-- \(line)\n".utf8)
        try file.write(
          "-- Each statement \(what) one row, and only if it is as it was seen.\n".utf8)
        try file.write(Self.session(dialect).utf8)
      }
    } catch {
      throw .script(error)
    }
  }

  /// What the statements rest on.
  private static func session(_ dialect: SQLDialect) -> String {
    switch dialect {
    case .sqlite: ""
    case .mariadb:
      "SET NAMES utf8mb4;\nSET time_zone = '+00:00';\n"
        + "SET SESSION sql_mode = 'STRICT_ALL_TABLES,NO_AUTO_VALUE_ON_ZERO';\n"
    case .postgresql:
      "SET client_encoding = 'UTF8';\nSET TIME ZONE 'UTC';\n"
        + "SET standard_conforming_strings = on;\n"
    }
  }

  /// Adds the statements of at most a page of rows as one transaction.
  ///
  /// - Throws: `secretsHidden` for an address with a secret that isn't to be revealed.
  func append(_ changes: [RowChange]) throws(PublicationError) {
    guard let table = changes.first?.table else { return }
    if !revealing, changes.contains(where: \.holdsSecret) { throw .secretsHidden }
    let backwards = changes.reversed().map { statements.inverse($0).script }
    do throws(FileError) {
      try write(changes.map { statements.forward($0).script }, to: forward)
      switch table {
      case .instances, .requestSpecs, .keyPairs: try write(backwards, to: inverse)
      case .cells, .hosts, .flavors, .flavorExtraSpecs: laterInverse.append(backwards)
      }
    } catch {
      throw .script(error)
    }
  }

  /// Adds what keeps the database's own numbers away from those that are written.
  func reserve(_ table: PublishedTable, upTo number: UInt64) throws(PublicationError) {
    let texts = statements.reservation(of: table, upTo: number).map(\.script)
    guard !texts.isEmpty else { return }
    do throws(FileError) { try write(texts, to: forward) } catch { throw .script(error) }
  }

  /// Gives both files their names, once they are on disk.
  func finish() throws(PublicationError) {
    do throws(FileError) {
      for texts in laterInverse.reversed() { try write(texts, to: inverse) }
      try forward.finish()
      try inverse.finish()
    } catch {
      throw .script(error)
    }
  }

  private func write(_ statements: [String], to file: NewFile) throws(FileError) {
    try file.write(("BEGIN;\n" + statements.joined(separator: "\n") + "\nCOMMIT;\n").utf8)
  }
}
