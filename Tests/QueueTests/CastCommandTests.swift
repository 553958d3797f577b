import Foundation
import Journal
import TestSupport
import Testing

extension WithBroker {
  @Suite(.waiting) struct CastCommand {
    let broker: TestBroker
    init() throws { broker = try TestBroker.shared() }

    /// An adopted cloud whose cell `alpha` has the broker's virtual host for its queue.
    private func withCloud(_ body: (CommandBed) throws -> Void) throws {
      try withCommand { bed in
        try bed.makeAdoptedStore()
        try bed.setQueue(to: broker.address())
        try body(bed)
      }
    }

    /// Something of an instance's row in its cell.
    private func set(_ values: String, of id: InstanceID, in bed: CommandBed) throws {
      try NovaCellFile(path: bed.path("alpha.sqlite"))
        .execute("UPDATE instances SET \(values) WHERE uuid = '\(id)'")
    }

    @Test func `sends a ping to the host that the cell has now`() throws {
      try withCloud { bed in
        let listener = try ComputeListener(host: "moved-here", on: broker)
        defer { listener.end() }
        try set("host = 'moved-here'", of: instance(0), in: bed)
        let request = UUID128.random()
        let ran = try bed.done(
          "cast", "\(instance(0))", "ping", "--request-id", "\(request)", "--json")
        let object = try ran.object
        #expect(object["host"] as? String == "moved-here")
        #expect(object["message_queue"] as? String == "compute.moved-here")
        #expect(object["delivered"] as? Bool == true)
        #expect(object["cell_name"] as? String == "alpha")
        #expect(object["request"] as? String == "\(request)")
        let body = try #require(listener.wait(for: 1).first)
        let inner = try ComputeListener.inner(of: body)
        #expect(inner["method"] == "ping")
        #expect(inner["namespace"] == "baseapi")
        #expect(inner["_unique_id"] == .text(request.hexadecimal))
        #expect(!(ran.out + ran.err).contains(broker.encodedPassword))
      }
    }

    @Test func `sends any method with its arguments and context where that is asked for`() throws {
      try withCloud { bed in
        let listener = try ComputeListener(host: "alpha-host", on: broker)
        defer { listener.end() }
        try bed.write(#"{"user_id": "u", "is_admin": true}"#, to: "context.json")
        try bed.write(#"{"instance": {"é": 1.50}, "block": null}"#, to: "args.json")
        try bed.done(
          "cast", "\(instance(0))", "stop_instance", "@" + bed.path("args.json"), "--version",
          "6.0", "--context", bed.path("context.json"), "--unsafe-method", "--reason", "a test")
        let inner = try ComputeListener.inner(of: try #require(listener.wait(for: 1).first))
        #expect(inner["method"] == "stop_instance")
        #expect(inner["version"] == "6.0")
        #expect(inner["namespace"] == nil)
        #expect(inner["args"] == (try JSONValue(parsing: #"{"block":null,"instance":{"é":1.50}}"#)))
        #expect(inner["_context_user_id"] == "u")
        #expect(inner["_context_is_admin"] == .flag(true))
      }
    }

    @Test(arguments: [
      ("host = NULL, vm_state = 'building'", "is being built"),
      ("host = NULL, vm_state = 'shelved_offloaded'", "shelved and offloaded"),
      ("host = NULL, vm_state = 'error'", "in the state error"),
      ("deleted = id", "is deleted"),
      ("hidden = 1", "hidden copy"),
    ])
    func `refuses an instance without a host that may be reached`(
      values: String, why: String
    ) throws {
      try withCloud { bed in
        let listener = try ComputeListener(host: "alpha-host", on: broker)
        defer { listener.end() }
        try set(values, of: instance(0), in: bed)
        let ran = try bed.run("cast", "\(instance(0))", "ping", "--json")
        #expect(ran.status == 9, "\(ran.err)")
        #expect(ran.err.contains(why), "\(ran.err)")
        #expect(ran.out.isEmpty)
        #expect(listener.bodies.isEmpty)
      }
    }

    @Test func `refuses an instance that the map knows in no cell that can say its host`() throws {
      try withCloud { bed in
        let waiting = instance(100)
        try bed.done("instance", "map", "\(waiting)", "--project", "p", "--reason", "t")
        let buried = instance(101)
        try bed.done(
          "instance", "map", "\(buried)", "--cell", "cell0", "--project", "p", "--reason", "t")
        try NovaCellFile(path: bed.path("cell0.sqlite"))
          .add(buried, ["host": "NULL", "vm_state": "'error'"])
        for (id, status, why) in [
          (waiting, 9, "no cell yet"), (buried, 9, "cell0"), (instance(999), 2, "isn't in the map"),
        ] as [(InstanceID, Int32, String)] {
          let ran = try bed.run("cast", "\(id)", "ping")
          #expect(ran.status == status, "\(ran.err)")
          #expect(ran.err.contains(why), "\(ran.err)")
        }
      }
    }

    @Test func `sends nothing to the last known host while the cell is down`() throws {
      try withCloud { bed in
        let listener = try ComputeListener(host: "alpha-host", on: broker)
        defer { listener.end() }
        try FileManager.default.removeItem(atPath: bed.path("alpha.sqlite"))
        let ran = try bed.run("cast", "\(instance(0))", "ping")
        #expect(ran.status == 9, "\(ran.err)")
        #expect(ran.err.contains("no such file"), "\(ran.err)")
        #expect(listener.bodies.isEmpty)
      }
    }

    @Test func `sends nothing where another cell's database stands at the address`() throws {
      try withCloud { bed in
        let listener = try ComputeListener(host: "beta-host", on: broker)
        defer { listener.end() }
        let path = bed.path("alpha.sqlite")
        try FileManager.default.removeItem(atPath: path)
        try FileManager.default.copyItem(atPath: bed.path("beta.sqlite"), toPath: path)
        let ran = try bed.run("cast", "\(instance(0))", "ping")
        #expect(ran.status == 9, "\(ran.err)")
        #expect(ran.err.contains("leads to the database of cell"), "\(ran.err)")
        #expect(listener.bodies.isEmpty)
      }
    }

    @Test func `ends with 8 where the queue can't take the message`() throws {
      try withCloud { bed in
        try set("host = 'never-seen'", of: instance(0), in: bed)
        let missing = try bed.run("cast", "\(instance(0))", "ping")
        #expect(missing.status == 8, "\(missing.err)")
        #expect(missing.err.contains("no queue compute.never-seen"), "\(missing.err)")
        _ = try ComputeListener(host: "never-seen", on: broker, isDeaf: true)
        let deaf = try bed.run("cast", "\(instance(0))", "ping")
        #expect(deaf.status == 8, "\(deaf.err)")
        #expect(deaf.err.contains("nobody listens"), "\(deaf.err)")
        try bed.setQueue(to: broker.address(port: try freePort()))
        let dead = try bed.run("cast", "\(instance(0))", "ping", "--deadline", "30000")
        #expect(dead.status == 8, "\(dead.err)")
        #expect(!dead.err.contains(broker.encodedPassword))
        #expect(!dead.err.contains(broker.password))
      }
    }

    @Test(arguments: [
      (["reboot_instance"], "--unsafe-method"),
      (["ping", "--namespace", "compute_task"], "--unsafe-method"),
      (["stop_instance", "--unsafe-method", "--reason", "r"], "--version"),
      (["stop_instance", "--unsafe-method", "--version", "6.0"], "reason"),
      (["_private", "--unsafe-method", "--version", "6.0", "--reason", "r"], "underscore"),
      (["ping", "[1]"], "object"),
      (["ping", "{\"a\":1,\"a\":2}"], "two members"),
      (["ping", "--context", "/no/file"], "can't be read"),
    ])
    func `ends with 64 where the message is none`(words: [String], why: String) throws {
      try withCommand { bed in
        try bed.makeStore()
        let ran = try bed.run(["cast", "\(instance(0))"] + words)
        #expect(ran.status == 64, "\(ran.err)")
        #expect(ran.err.contains(why), "\(ran.err)")
      }
    }
  }
}
