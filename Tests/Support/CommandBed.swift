import Foundation
public import Journal
import Testing

/// A folder in which the built command runs as a child process.
public final class CommandBed {
  public let folder: String

  public init(in folder: String) { self.folder = folder }

  /// What a run of the command left.
  public struct Ran {
    public let status: Int32
    public let out: String
    public let err: String

    /// The lines of standard output as JSON objects; a test fails if they are anything else.
    public var objects: [[String: Any]] {
      get throws {
        #expect(out.isEmpty || out.hasSuffix("\n"))
        return try out.split(separator: "\n").map { line in
          try #require(
            JSONSerialization.jsonObject(with: Data(line.utf8)) as? [String: Any], "\(line)")
        }
      }
    }

    /// The one JSON object on standard output.
    public var object: [String: Any] {
      get throws {
        let objects = try objects
        #expect(objects.count == 1, "\(out) \(err)")
        return try #require(objects.first, "\(err)")
      }
    }
  }

  /// The command, built beside the tests.
  public static let program: String = {
    let tests = (try? FileManager.default.destinationOfSymbolicLink(atPath: "/proc/self/exe")) ?? ""
    let beside = (tests as NSString).deletingLastPathComponent + "/cellmap"
    precondition(FileManager.default.isExecutableFile(atPath: beside), "build cellmap first")
    return beside
  }()

  /// Runs the command in the folder; the store is `store` unless the environment names another.
  @discardableResult
  public func run(
    _ arguments: String..., input: String = "", environment: [String: String] = [:]
  ) throws -> Ran {
    try run(arguments, input: input, environment: environment)
  }

  @discardableResult
  public func run(
    _ arguments: [String], input: String = "", environment: [String: String] = [:]
  ) throws -> Ran {
    let names = (0..<3).map { "\(folder)/.run-\(UUID().uuidString)-\($0)" }
    defer { for name in names { unlink(name) } }
    try Data(input.utf8).write(to: URL(fileURLWithPath: names[0]))
    for name in names.dropFirst() { try Data().write(to: URL(fileURLWithPath: name)) }
    let process = Process()
    process.executableURL = URL(fileURLWithPath: CommandBed.program)
    process.arguments = arguments
    process.currentDirectoryURL = URL(fileURLWithPath: folder)
    process.environment = ["CELLMAP_STORE": "store", "PATH": "/usr/bin:/bin"]
      .merging(environment) { $1 }
    process.standardInput = FileHandle(forReadingAtPath: names[0])
    process.standardOutput = FileHandle(forWritingAtPath: names[1])
    process.standardError = FileHandle(forWritingAtPath: names[2])
    try process.run()
    process.waitUntilExit()
    return Ran(
      status: process.terminationReason == .exit
        ? process.terminationStatus : 128 + process.terminationStatus,
      out: try text(of: names[1]), err: try text(of: names[2]))
  }

  /// Runs the command by a shell, behind whose words it stands as `"$@"`: for a standard output that can't be
  /// written, or that is closed.
  public func run(inShell words: String, _ arguments: [String]) throws -> Ran {
    let names = (0..<2).map { "\(folder)/.run-\(UUID().uuidString)-\($0)" }
    defer { for name in names { unlink(name) } }
    for name in names { try Data().write(to: URL(fileURLWithPath: name)) }
    let process = Process()
    process.executableURL = URL(fileURLWithPath: "/bin/sh")
    process.arguments = ["-c", words, "sh", CommandBed.program] + arguments
    process.currentDirectoryURL = URL(fileURLWithPath: folder)
    process.environment = ["CELLMAP_STORE": "store", "PATH": "/usr/bin:/bin"]
    process.standardOutput = FileHandle(forWritingAtPath: names[0])
    process.standardError = FileHandle(forWritingAtPath: names[1])
    try process.run()
    process.waitUntilExit()
    return Ran(
      status: process.terminationStatus, out: try text(of: names[0]), err: try text(of: names[1]))
  }

  /// What a person sees on the terminal to which the command writes its standard error; it has to end
  /// with 0.
  public func watched(_ arguments: String...) throws -> String {
    var (primary, secondary) = (Int32(0), Int32(0))
    #expect(openpty(&primary, &secondary, nil, nil, nil) == 0)
    defer { close(primary) }
    let process = Process()
    process.executableURL = URL(fileURLWithPath: CommandBed.program)
    process.arguments = arguments
    process.currentDirectoryURL = URL(fileURLWithPath: folder)
    process.environment = ["CELLMAP_STORE": "store"]
    process.standardOutput = FileHandle.nullDevice
    let terminal = FileHandle(fileDescriptor: secondary, closeOnDealloc: true)
    process.standardError = terminal
    try process.run()
    try terminal.close()
    var seen: [UInt8] = []
    var buffer = [UInt8](repeating: 0, count: 4096)
    while case let count = read(primary, &buffer, buffer.count), count > 0 {
      seen += buffer.prefix(count)
    }
    process.waitUntilExit()
    #expect(process.terminationStatus == 0)
    return String(decoding: seen, as: UTF8.self)
  }

  private func text(of path: String) throws -> String {
    String(decoding: try Data(contentsOf: URL(fileURLWithPath: path)), as: UTF8.self)
  }

  /// Runs a command that has to succeed.
  @discardableResult
  public func done(
    _ arguments: String..., input: String = "", environment: [String: String] = [:]
  ) throws -> Ran {
    try done(arguments, input: input, environment: environment)
  }

  @discardableResult
  public func done(
    _ arguments: [String], input: String = "", environment: [String: String] = [:]
  ) throws -> Ran {
    let ran = try run(arguments, input: input, environment: environment)
    #expect(ran.status == 0, "\(arguments) \(ran.err)")
    return ran
  }

  public func write(_ text: String, to name: String) throws {
    try text.write(toFile: path(name), atomically: true, encoding: .utf8)
  }

  public func path(_ name: String) -> String { folder + "/" + name }

  // MARK: Samples

  /// A store with cell0, and `alpha` and `beta` whose databases are files of the folder.
  public func makeStore() throws {
    try done("init", "--cell0", "sqlite:///cell0.sqlite")
    _ = try NovaCellFile.make(at: path("cell0.sqlite"))
    for (number, name) in ["alpha", "beta"].enumerated() {
      let file = try NovaCellFile.make(at: path("\(name).sqlite"))
      try file.addHost(
        "\(name)-host", service: UUID128(high: 0x7000, low: UInt64(number)),
        node: UUID128(high: 0x7001, low: UInt64(number)))
      try done(
        "cell", "add", name, "--uuid", "\(cell(number + 1))", "--database",
        "sqlite:///\(name).sqlite", "--queue", "rabbit://nova:pw@\(name):5672/", "--reason", "t")
    }
  }

  /// A Nova API database with cell0 and two cells, and the cells' own databases.
  public func makeCloud(instances: Int = 20) throws -> NovaAPIFile {
    let api = try NovaAPIFile.make(at: path("api.sqlite"))
    try api.addCell(1, .cell0, name: "cell0", database: "sqlite:///cell0.sqlite")
    _ = try NovaCellFile.make(at: path("cell0.sqlite"))
    for (number, name) in ["alpha", "beta"].enumerated() {
      let file = try NovaCellFile.make(at: path("\(name).sqlite"))
      try file.addHost(
        "\(name)-host", service: UUID128(high: 0x7000, low: UInt64(number)),
        node: UUID128(high: 0x7001, low: UInt64(number)))
      try api.addCell(
        number + 2, cell(number + 1), name: name, database: "sqlite:///\(name).sqlite",
        queue: "rabbit://nova:pw@\(name):5672/")
      try api.addHost(number + 1, "\(name)-host", cell: number + 2)
      for index in 0..<instances where index % 2 == number {
        try file.add(instance(index), ["host": "'\(name)-host'"])
      }
    }
    try api.addInstances(0..<instances, cell: { $0 % 2 + 2 }, uuid: { "\(instance($0))" })
    return api
  }

  public func makeAdoptedStore() throws {
    _ = try makeCloud()
    try done("init")
    try done("adopt", "sqlite:///api.sqlite", "--reason", "t")
  }
}

public func cell(_ number: Int) -> CellID {
  CellID(UUID128(high: 0x4000, low: 1 << 63 | UInt64(number)))
}

public func instance(_ number: Int) -> InstanceID {
  InstanceID(UUID128(high: 0x1_0000_4000, low: 1 << 63 | UInt64(number)))
}

public func withCommand(
  named name: String = "with space", _ body: (CommandBed) throws -> Void
) throws {
  try withTemporaryFolder(named: name) { folder in try body(CommandBed(in: folder)) }
}
