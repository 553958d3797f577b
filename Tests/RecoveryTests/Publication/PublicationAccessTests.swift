import Foundation
import Journal
import Projections
import TestServers
import TestSupport
import Testing

@testable import Recovery

/// Accounts, files and servers that take no writes, or none any more.
@Suite struct PublicationAccessTests {
  private func target(_ api: PublishedAPI, isReadOnly: Bool = false) throws -> PublicationTarget {
    try PublicationTarget(
      api.address, relativeTo: "/", globals: [.requestSpecs, .flavors, .keyPairs],
      isReadOnly: isReadOnly)
  }

  @Test(arguments: APIEngine.available)
  func `the documented grants are enough, and looking writes nothing`(_ engine: APIEngine) throws {
    try withPublishing(engine) { bed, api in
      try bed.publish(into: api)
      let content = try api.content()
      try target(api).requireWritable()
      #expect(try api.content() == content)
    }
  }

  @Test(
    arguments: APIEngine.available.filter { $0 != .sqlite },
    [
      ("INSERT", "cell_mappings"), ("UPDATE", "instance_mappings"), ("INSERT", "request_specs"),
    ])
  func `an account that lacks a right is refused, which is named, and may look`(
    _ engine: APIEngine, _ lack: (right: String, table: String)
  ) throws {
    try withPublishing(engine) { bed, api in
      let name = api.address.database.string
      let user = engine == .mariadb ? "'\(name)_writer'@'%'" : "\(name)_writer"
      let table = engine == .mariadb ? "\(name).\(lack.table)" : lack.table
      _ = try api.run("REVOKE \(lack.right) ON \(table) FROM \(user);")
      let error = #expect(throws: PublicationError.self) { try target(api).requireWritable() }
      let text = try #require(error).description
      #expect(text.contains("this user may not write \(lack.table); docs/grants.md"), "\(text)")
      #expect(text.contains("Nothing was written; --dry-run and --emit-sql FILE only read."))
    }
  }

  @Test(arguments: APIEngine.available)
  func `an account that may only read sees what differs, and has it as statements`(
    _ engine: APIEngine
  ) throws {
    try withPublishing(engine) { bed, api in
      let name = api.address.database.string
      if engine == .mariadb {
        _ = try api.run(
          ["cell_mappings", "host_mappings", "instance_mappings"].map {
            "REVOKE INSERT, UPDATE ON \(name).\($0) FROM '\(name)_writer'@'%';"
          }.joined(separator: "\n"))
      } else if engine == .postgresql {
        _ = try api.run(
          """
          REVOKE INSERT, UPDATE ON cell_mappings, host_mappings, instance_mappings FROM \(name)_writer;
          REVOKE ALL ON SEQUENCE cell_mappings_id_seq, host_mappings_id_seq, instance_mappings_id_seq
            FROM \(name)_writer;
          """)
      }
      let run = AdoptionBed.Publishing(isReadOnly: true)
      try bed.withPublication(into: api, run) { publication, _ in
        let plan = try publication.plan { _ in }
        #expect(plan.instances.added == 10)
        let written = try publication.writeScript(
          plan, to: bed.folder + "/p.sql", revealing: true
        ) { _ in }
        #expect(written.instances.added == 10)
      }
      let error = #expect(throws: PublicationError.self) {
        try target(api, isReadOnly: true).requireWritable()
      }
      #expect(try #require(error).description.contains("can't be written: "))
    }
  }

  @Test func `a file that another process holds is waited for once`() throws {
    try withPublishing { bed, api in
      let path = try #require(api.address.filePath(baseDirectory: "/")).string
      let other = try SQLiteConnection(path: path, mode: .readWrite)
      var run = AdoptionBed.Publishing(patience: .seconds(3))
      run.meanwhile = { #expect(throws: Never.self) { try other.execute("BEGIN IMMEDIATE") } }
      let begin = ContinuousClock.now
      let error = #expect(throws: PublicationError.self) { try bed.publish(into: api, run) }
      guard case .unwritable? = error else {
        Issue.record("\(String(describing: error))")
        return
      }
      // Twenty times the deadline would be a minute; the margin is for a slow machine.
      #expect(begin.duration(to: .now) < .seconds(30))
      try other.execute("ROLLBACK")
      #expect(try bed.publish(into: api).done.instances.added == 10)
    }
  }
}
