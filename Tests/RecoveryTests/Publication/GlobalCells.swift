import Foundation
import Journal
import TestServers
import TestSupport

/// Cells with what instances have of Nova's global tables, written as Nova writes it.
struct GlobalCells {
  /// The name of a column that is a word of the language, as INSERT wants it.
  var key = "\"key\""
  /// Runs SQL in the database of a cell: of cell0, or of 1 and 2.
  let execute: (Int, String) throws -> Void

  /// SQLite files where the map of `withPublishing` has its cells.
  static func files(in folder: String) throws -> GlobalCells {
    let names = ["cell0.sqlite", "1.sqlite", "2.sqlite"]
    let files = try names.map { try NovaCellFile.make(at: folder + "/" + $0) }
    // What a cell is known by; all of it deleted, until a test says otherwise.
    for number in 1...9 { try files[number % 3].add(instance(number), ["deleted": "\(number)"]) }
    return GlobalCells { number, sql in try files[number].execute(sql) }
  }

  static func flavor(
    _ number: Int, _ name: String, id: String? = nil, memory: Int = 512,
    extra: [String: String] = ["hw:cpu_policy": "shared"], _ more: [String: Any] = [:]
  ) -> String {
    var fields: [String: Any] = [
      "id": number, "name": name, "flavorid": id ?? "f\(number)", "memory_mb": memory, "vcpus": 2,
      "root_gb": 20, "ephemeral_gb": 0, "swap": 0, "rxtx_factor": 1.5, "vcpu_weight": 0,
      "disabled": false, "is_public": true, "extra_specs": extra, "description": NSNull(),
      "created_at": "2026-01-01T00:00:0\(number % 10)Z", "updated_at": NSNull(), "deleted": false,
    ]
    fields.merge(more) { $1 }
    let flavor = object("Flavor", "1.2", fields)
    return json(["cur": flavor, "old": NSNull(), "new": NSNull()])
  }

  static func keyPairs(_ pairs: [(user: String, name: String, key: String, made: String)]) -> String
  {
    let objects = pairs.enumerated().map { place, pair in
      object(
        "KeyPair", "1.4",
        [
          "id": place + 1, "user_id": pair.user, "name": pair.name, "public_key": pair.key,
          "fingerprint": "fi:ng", "type": "ssh", "created_at": pair.made,
        ])
    }
    return json(object("KeyPairList", "1.3", ["objects": objects]))
  }

  static func object(_ name: String, _ version: String, _ fields: [String: Any]) -> [String: Any] {
    [
      "nova_object.name": name, "nova_object.namespace": "nova", "nova_object.version": version,
      "nova_object.data": fields,
    ]
  }

  static func json(_ value: [String: Any]) -> String {
    guard let data = try? JSONSerialization.data(withJSONObject: value, options: [.sortedKeys])
    else { return "" }
    return String(decoding: data, as: UTF8.self)
  }

  /// Adds an instance; nil is NULL.
  func add(
    _ id: InstanceID, in cell: Int, flavor: String?, keyPairs: String? = nil, numa: String? = nil,
    pci: String? = "[]", image: String? = "2600a80d-4cc6-446f-bf38-062512d7708b",
    zone: String? = "zone-1", deleted: Int = 0, created: String = "2026-01-01 05:16:48",
    metadata: [String: String] = [:], bootsFrom: String? = nil
  ) throws {
    func text(_ value: String?) -> String { value.map { quoted($0) } ?? "NULL" }
    var sql =
      """
      DELETE FROM instances WHERE uuid = '\(id)';
      INSERT INTO instances (uuid, project_id, user_id, host, vm_state, deleted, image_ref,
        availability_zone, created_at) VALUES ('\(id)', 'project-1', 'user-1', 'host\(cell)',
        'active', \(deleted), \(text(image)), \(text(zone)), '\(created)');
      INSERT INTO instance_extra (instance_uuid, deleted, flavor, keypairs, numa_topology,
        pci_requests) VALUES ('\(id)', \(deleted), \(text(flavor)), \(text(keyPairs)), \(text(numa)),
        \(text(pci)));
      """
    for (name, value) in metadata.sorted(by: { $0.key < $1.key }) {
      sql += "INSERT INTO instance_system_metadata (instance_uuid, \(key), value, deleted) "
      sql += "VALUES ('\(id)', \(quoted(name)), \(quoted(value)), 0);"
    }
    if let bootsFrom {
      sql +=
        "INSERT INTO block_device_mapping (instance_uuid, deleted, boot_index, destination_type)"
      sql += " VALUES ('\(id)', 0, 0, '\(bootsFrom)'), ('\(id)', 0, 1, 'local');"
    }
    try execute(cell, sql)
  }

}
