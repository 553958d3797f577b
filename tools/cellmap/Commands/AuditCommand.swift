import ArgumentParser

/// `cellmap audit …`: questions about the past, the journal checked against itself, and proven to others.
struct AuditCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "audit", abstract: "Asks about the past, checks it, and proves it.",
    subcommands: [
      AuditHistoryCommand.self, AuditAtCommand.self, AuditDiffCommand.self,
      AuditBisectCommand.self,
      AuditExplainCommand.self, AuditWhoCommand.self, AuditStatsCommand.self,
      AuditVerifyCommand.self, AuditProveCommand.self, AuditCheckpointCommand.self,
      AuditExportCommand.self, AuditImportCommand.self,
    ])
}
