import Foundation
import Journal
import Projections
import Registry

extension StoreSession {
  /// The history, brought up to the head.
  ///
  /// - Parameter opensOwners: False for what a change rests on.
  func history(opensOwners: Bool = true) throws(CommandFailure) -> MapHistory {
    let head = journal.head.position.index
    let history: MapHistory
    do throws(ProjectionError) {
      history = try MapHistory(
        of: journal, owners: opensOwners ? OwnerOutput.keys : nil
      ) { index in
        Console.progress("Reading entries for the history: \(index) of \(head)")
      }
    } catch {
      Console.endProgress()
      throw CommandFailure(error)
    }
    Console.endProgress()
    if let failure = history.failure {
      Console.remark("The history can't be kept, so the journal is read each time: \(failure)")
    }
    return history
  }

  /// The entry of the past that a moment means.
  func point(at moment: PastMoment) throws(CommandFailure) -> PastPoint {
    try PastWhen.checkHasCome(moment, head: journal.head.orderedAt)
    let (found, first): (PastPoint?, PastPoint?)
    var other: Position?
    do throws(JournalError) {
      found = try journal.point(at: moment)
      first = found == nil ? try journal.point(at: .index(1)) : nil
      // Its index may be that of an entry of another epoch.
      if found == nil, case .position(let position) = moment {
        other = try journal.position(at: .index(position.index))
      }
    } catch {
      throw CommandFailure(error)
    }
    guard let point = found else {
      if let other {
        throw CommandFailure(
          .usage, "The journal has nothing at \(moment): its entry \(other.index) is \(other).")
      }
      let beginning = first.map { "from \($0.position) (\($0.orderedAt)) " } ?? ""
      throw CommandFailure(
        .usage,
        "The journal has nothing at \(moment): it goes \(beginning)to \(journal.head.position) "
          + "(\(journal.head.orderedAt)).")
    }
    if point.latecomers > 0 {
      Console.remark(
        "\(point.latecomers) of the entries behind \(point.position) bear an earlier time of their "
          + "writer's clock; the order of the journal counts.")
    }
    if let left = point.left {
      Console.remark(
        "Behind \(point.position) the store left its entries \(left.commonIndex + 1) to "
          + "\(left.leftIndex) and began epoch \(left.epoch): what they said at that time is not in this "
          + "journal any more. 'audit history store' shows who did it and why.")
    }
    return point
  }

  /// Where a range begins: the entry that a moment means, or before the first one if the journal began
  /// later.
  func start(at moment: PastMoment) throws(CommandFailure) -> PastPoint {
    if case .time(let time) = moment {
      do throws(JournalError) {
        if try journal.position(at: moment) == nil, let beginning = try journal.beginning() {
          Console.remark(
            "The store begins later than \(time), at \(beginning.orderedAt): this is from its beginning on."
          )
          return beginning
        }
      } catch {
        throw CommandFailure(error)
      }
    }
    return try point(at: moment)
  }

  /// The entries of a range, both ends among them.
  func entries(in range: PastRange) throws(CommandFailure) -> ClosedRange<UInt64> {
    let last = try range.last.map { moment throws(CommandFailure) in
      try point(at: moment).position.index
    }
    let end = last ?? journal.head.position.index
    let first: UInt64
    if case .time(let time) = range.first {
      let found: UInt64?
      do throws(JournalError) { found = try journal.firstIndex(from: range.first) } catch {
        throw CommandFailure(error)
      }
      guard let found, found <= end else {
        throw CommandFailure(.usage, "There are no entries from \(time) to entry \(end).")
      }
      first = found
    } else {
      first = try point(at: range.first).position.index
    }
    guard first <= end else {
      throw CommandFailure(
        .usage, "Entry \(first) is later than entry \(end): give the earlier one first.")
    }
    return first...end
  }

  /// Cells, hosts and single instances: now, or of the past.
  func view(_ options: PastOptions) throws(CommandFailure) -> any MapView {
    guard let moment = try options.moment() else { return try map() }
    return try view(at: point(at: moment), history())
  }

  func view(at point: PastPoint, _ history: MapHistory) throws(CommandFailure) -> PastReading {
    PastReading(map: PastMap(history, at: point.position), past: point)
  }

  /// The whole map: now, or replayed up to an entry of the past into a file that goes with this
  /// process.
  func wholeMap(_ options: PastOptions) throws(CommandFailure) -> MapReading {
    guard let moment = try options.moment() else { return try map() }
    let point = try point(at: moment)
    let scratch = ScratchIndex(for: index)
    _ = try IndexReplacement(self).run(
      into: scratch.path, through: point.position.index, isKept: false)
    do throws(ProjectionError) {
      let reader = try IndexReader(path: scratch.path)
      return MapReading(
        map: LiveMap(over: reader), head: point.position, past: point, scratch: scratch)
    } catch {
      throw CommandFailure(error)
    }
  }
}

/// An index of the past; its file is gone when nobody reads it any more.
final class ScratchIndex {
  let path: String

  /// Beside the indexes of a store, where room was made for them; elsewhere if the store is mounted for reading only.
  init(for index: IndexGenerations) {
    path =
      access(index.folder, W_OK) == 0
      ? index.scratchPath : NSTemporaryDirectory() + "/cellmap-verify-\(getpid()).sqlite"
  }

  deinit { for suffix in IndexGenerations.fileSuffixes { unlink(path + suffix) } }
}
