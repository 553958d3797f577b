import ArgumentParser
import Foundation
import Journal
import Registry

/// Where a rebuild works: the store, a new one, or for a trial without a store one that is thrown away.
struct RebuildPlace {
  let session: StoreSession
  let staging: String
  /// The cells that were given are put into the map first.
  let takesCells: Bool
  let authorship: Authorship
  private let trial: TrialFolder?
  /// The store goes again, and no position of it means anything.
  var isThrownAway: Bool { trial != nil }

  init(
    _ options: StoreOptions, _ given: [GivenCell], isTrial: Bool, epochAbove: UInt32,
    sealsProjects: Bool, _ change: some ChangeOptions
  ) throws {
    // A trial store of its own wants a reason too.
    authorship =
      isTrial ? Caller.authorship(reason: "dry run", correlation: nil) : change.authorship
    let isThere = FileManager.default.fileExists(atPath: StoreFiles(options.folder).journal)
    if isThere {
      session = try StoreSession(options)
      if sealsProjects, OwnerOutput.keys == nil {
        throw CommandFailure(
          .usage,
          "The store '\(options.folder)' doesn't seal projects, and never will: leave --seal-projects out, or "
            + "rebuild into a new store.")
      }
      staging = session.files.directory
      takesCells = !isTrial
      trial = nil
      return
    }
    // What has lost its journal is no empty place, not for a dry run either.
    do throws(JournalError) { _ = try EventJournal.open(options.folder) } catch .journalLost(
      let path)
    {
      throw CommandFailure(JournalError.journalLost(path: path))
    } catch {}
    guard !given.isEmpty else {
      throw CommandFailure(
        .usage, "There is no store at '\(options.folder)'. Give the cells with --cells FILE.")
    }
    trial = isTrial ? try TrialFolder() : nil
    let folder = trial?.store ?? options.folder
    let cell0 = given.first { $0.id == .cell0 }?.addresses.database
    do throws(RegistryError) {
      _ = try StoreCreation.create(
        in: folder, cell0: cell0,
        by: authorship,
        opening: StoreCreation.Opening(
          .rebuilt, epoch: epochAbove + 1, sealsOwners: sealsProjects))
    } catch {
      trial?.remove()
      throw CommandFailure(error)
    }
    session = try StoreSession(try StoreOptions.parse(["--store", folder]))
    staging = session.files.directory
    takesCells = true
  }

  func end() {
    trial?.remove()
  }
}
