import ArgumentParser

/// `cellmap audit …`: the journal checked against itself, and proven to others.
struct AuditCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "audit", abstract: "Checks the past, and proves it.",
    subcommands: [
      AuditVerifyCommand.self, AuditProveCommand.self, AuditCheckpointCommand.self,
      AuditExportCommand.self, AuditImportCommand.self,
    ])
}
