import Foundation
import Journal
import Projections

/// Projects a history in batches whose sizes `nextSize` gives.
func project(
  _ changes: [EntryChange], with projector: IndexProjector, nextSize: () -> Int = { 1_000 }
) throws {
  var rest = changes[...]
  while let last = rest.prefix(nextSize()).last {
    let batch = rest.prefix { $0.position.index <= last.position.index }
    try projector.apply(batch, root: RandomHistory.root(last.position.index))
    rest = rest.dropFirst(batch.count)
  }
}

/// Makes an index of a history in one file without a WAL.
func makeIndex(of history: RandomHistory, at path: String) throws {
  let projector = try IndexProjector.create(at: path, store: history.store)
  try project(history.changes, with: projector)
  try projector.moveWAL()
}

/// Removes an index with its WAL.
func removeIndex(at path: String) {
  for suffix in ["", "-wal", "-shm"] {
    try? FileManager.default.removeItem(atPath: path + suffix)
  }
}
