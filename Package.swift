// swift-tools-version: 6.2
import PackageDescription

/// Warnings are errors in the checks, and only there: a newer compiler's new warning stops nobody
/// who merely builds.
let strict: [SwiftSetting] =
  Context.environment["CELLMAP_STRICT"] == "1" ? [.treatAllWarnings(as: .error)] : []

/// Settings of every room: the names a file uses are the names it imports, and `any` is visible.
let common: [SwiftSetting] =
  strict + [
    .enableUpcomingFeature("ExistentialAny"),
    .enableUpcomingFeature("InternalImportsByDefault"),
    .enableUpcomingFeature("MemberImportVisibility"),
    .enableUpcomingFeature("NonisolatedNonsendingByDefault"),
  ]

/// Settings of the rooms that touch C: every unsafe use is marked.
let touchesC: [SwiftSetting] = common + [.strictMemorySafety()]

let crypto = Target.Dependency.product(name: "Crypto", package: "swift-crypto")
let sqlite = Target.Dependency.product(name: "GRDBSQLite", package: "GRDB.swift")
let arguments = Target.Dependency.product(
  name: "ArgumentParser", package: "swift-argument-parser")

let yaml = Target.Dependency.product(name: "Yams", package: "Yams")

let package = Package(
  name: "cellmap",
  products: [
    .executable(name: "cellmap", targets: ["cellmap"]),
    .library(
      name: "CellMap",
      targets: ["Journal", "Projections", "Registry", "Cells", "Router", "Recovery"]),
  ],
  dependencies: [
    .package(url: "https://github.com/apple/swift-argument-parser", from: "1.8.2"),
    .package(url: "https://github.com/apple/swift-crypto", from: "4.5.2"),
    .package(url: "https://github.com/groue/GRDB.swift", from: "7.10.0"),
    .package(url: "https://github.com/jpsim/Yams", from: "6.2.2"),
  ],
  targets: [
    // The rooms, lowest first. Arrows point down only; tools/check holds them to it.
    .systemLibrary(
      name: "CLMDB", path: "Sources/Journal/CLMDB", pkgConfig: "lmdb",
      providers: [.apt(["liblmdb-dev"])]),
    .systemLibrary(
      name: "COpenSSL", path: "Sources/Journal/COpenSSL", pkgConfig: "libcrypto",
      providers: [.apt(["libssl-dev"])]),
    .target(
      name: "Journal", dependencies: ["CLMDB", "COpenSSL", crypto],
      exclude: ["CLMDB", "COpenSSL"],
      swiftSettings: touchesC),
    .systemLibrary(name: "CSQLiteOptions", path: "Sources/Projections/CSQLiteOptions"),
    .target(
      name: "Projections", dependencies: ["Journal", "CSQLiteOptions", crypto, sqlite],
      exclude: ["CSQLiteOptions"], swiftSettings: touchesC),
    .systemLibrary(
      name: "CMariaDB", path: "Sources/Cells/CMariaDB", pkgConfig: "libmariadb",
      providers: [.apt(["libmariadb-dev"])]),
    .systemLibrary(
      name: "CPostgreSQL", path: "Sources/Cells/CPostgreSQL", pkgConfig: "libpq",
      providers: [.apt(["libpq-dev"])]),
    .systemLibrary(
      name: "CRabbitMQ", path: "Sources/Cells/CRabbitMQ", pkgConfig: "librabbitmq",
      providers: [.apt(["librabbitmq-dev"])]),
    .target(
      name: "Cells",
      dependencies: ["Journal", "Projections", "CMariaDB", "CPostgreSQL", "CRabbitMQ"],
      exclude: ["CMariaDB", "CPostgreSQL", "CRabbitMQ"], swiftSettings: touchesC),
    .target(
      name: "Registry", dependencies: ["Journal", "Projections"], swiftSettings: touchesC),
    .target(
      name: "Router", dependencies: ["Journal", "Projections", "Cells"],
      swiftSettings: touchesC),
    .target(
      name: "Recovery", dependencies: ["Journal", "Projections", "Registry", "Cells", "Router"],
      swiftSettings: common),

    // The tools.
    .executableTarget(
      name: "cellmap",
      dependencies: [
        "Journal", "Projections", "Registry", "Cells", "Router", "Recovery", arguments, yaml,
      ],
      path: "tools/cellmap", swiftSettings: common),
    .target(name: "CAllocations", path: "tools/bench/CAllocations"),
    .executableTarget(
      name: "bench",
      dependencies: [
        "Journal", "Projections", "Registry", "Cells", "Router", "Recovery", "TestServers",
        "CAllocations",
        "CLMDB", "CMariaDB", "CPostgreSQL", crypto, sqlite, arguments,
      ],
      path: "tools/bench", exclude: ["CAllocations", "allocations.json"], swiftSettings: common),

    // The tests, one target a room, and what they share.
    .target(name: "CSlowNames", path: "Tests/Servers/CSlowNames"),
    .target(
      name: "TestServers", dependencies: ["Journal"], path: "Tests/Servers",
      exclude: ["CSlowNames"],
      swiftSettings: common),
    .target(
      name: "TestSupport", dependencies: ["Journal", "Projections", "TestServers", crypto],
      path: "Tests/Support",
      swiftSettings: common),
    .testTarget(
      name: "JournalTests", dependencies: ["Journal", "TestSupport", "TestServers"],
      exclude: ["Vectors"], swiftSettings: common),
    .testTarget(
      name: "ProjectionsTests", dependencies: ["Journal", "Projections", "TestSupport"],
      swiftSettings: common),
    .testTarget(
      name: "RegistryTests", dependencies: ["Journal", "Projections", "Registry", "TestSupport"],
      swiftSettings: common),
    .testTarget(
      name: "CellsTests", dependencies: ["Cells", "Projections", "TestServers", "TestSupport"],
      swiftSettings: common),
    .testTarget(
      name: "QueueTests",
      dependencies: [
        "cellmap", "Router", "Cells", "CRabbitMQ", "CSlowNames", "TestServers", "TestSupport",
      ],
      swiftSettings: common),
    .testTarget(
      name: "RouterTests",
      dependencies: ["Router", "Cells", "Projections", "TestServers", "TestSupport"],
      swiftSettings: common),
    .testTarget(
      name: "RecoveryTests",
      dependencies: ["Recovery", "Router", "Cells", "TestServers", "TestSupport"],
      swiftSettings: common),
    .testTarget(
      name: "CommandTests",
      dependencies: ["cellmap", "Recovery", "Router", "TestServers", "TestSupport", crypto],
      swiftSettings: common),
    .testTarget(
      name: "ServerTests",
      dependencies: [
        "Cells", "Router", "Recovery", "Registry", "Projections", "TestServers", "TestSupport",
        "CSlowNames",
      ],
      swiftSettings: common),
    .testTarget(
      name: "FaultTests",
      dependencies: ["cellmap", "Recovery", "Router", "TestSupport", "TestServers"],
      swiftSettings: common),
  ],
  swiftLanguageModes: [.v6]
)
