internal import Glibc

/// The change of the master: every data key is wrapped again, and no entry is touched.
///
/// The next master lies in `master-next` while that goes on, so that each data key opens under one of
/// the two at every moment; it takes the old one's place by a rename, at the end.
public enum MasterRotation {
  private static let nextName = "master-next"

  /// What a rotation has done.
  public struct Outcome: Hashable, Sendable {
    public let old: KeyID
    public let new: KeyID
    /// The data keys of cells and projects that are under the new master.
    public let dataKeys: Int
    /// The new master is one that a killed rotation had made.
    public let wasBegun: Bool
  }

  /// The master of a store, and behind it the next one while it is being rotated.
  ///
  /// - Throws: `missing` without a master, `damaged`, `file`.
  static func masters(in folder: String, of store: StoreID) throws(KeyError) -> [StoredKey] {
    let master = try StoredKey(.master, in: folder, of: store)
    guard let next = try next(in: folder, of: store) else {
      // It may have taken its place since the master was read.
      let now = try StoredKey(.master, in: folder, of: store)
      return now.id == master.id ? [master] : [now]
    }
    return next.id == master.id ? [master] : [master, next]
  }

  /// The next master, if a rotation has begun and not ended.
  private static func next(in folder: String, of store: StoreID) throws(KeyError) -> StoredKey? {
    do throws(KeyError) {
      return try StoredKey(.master, in: folder, of: store, named: nextName)
    } catch {
      if case .missing = error { return nil }
      throw error
    }
  }

  /// Makes another master and wraps every data key by it; the old one is gone once this returns.
  ///
  /// Under the write lease, so that nobody makes a data key meanwhile. Ended at any moment, each
  /// secret can be read as before, and the next call finishes it.
  ///
  /// - Throws: `missing`; `damaged` if a key can't be read, which would be lost with the old master;
  ///   `file`. Each secret can be read as before.
  public static func run(in folder: String, of store: StoreID) throws(KeyError) -> Outcome {
    // Projects' keys are also made without the lease.
    try OwnerKeys.alone(in: folder) { (_) throws(KeyError) in
      try rotate(in: folder, of: store)
    }
  }

  private static func rotate(in folder: String, of store: StoreID) throws(KeyError) -> Outcome {
    let old = try StoredKey(.master, in: folder, of: store)
    let begun = try next(in: folder, of: store)
    let keys = try dataKeys(in: folder, under: [old, begun].compactMap(\.self), of: store)
    let new = begun ?? .random(.master)
    if begun == nil { try new.write(to: folder, of: store, named: nextName) }
    for key in keys where key.master != new.id { try key.rewrap(new) }
    do throws(FileError) {
      // Halves of files that a killed process was writing may be under the old master.
      for name in try SmallFile.names(in: folder) where name.hasSuffix(".new") {
        try WorkFolder.remove(folder + "/" + name)
      }
      try SmallFile.move(folder + "/" + nextName, to: folder + "/master")
    } catch {
      throw .file(error)
    }
    return Outcome(old: old.id, new: new.id, dataKeys: keys.count, wasBegun: begun != nil)
  }

  /// A key that the master wraps.
  private struct WrappedKey {
    let master: KeyID
    let rewrap: (_ master: StoredKey) throws(KeyError) -> Void
  }

  private static func dataKeys(
    in folder: String, under masters: [StoredKey], of store: StoreID
  ) throws(KeyError) -> [WrappedKey] {
    let names: [String]
    do throws(FileError) { names = try SmallFile.names(in: folder) } catch { throw .file(error) }
    func master(_ id: KeyID, of path: String) throws(KeyError) -> StoredKey {
      guard let master = masters.first(where: { $0.id == id }) else {
        throw .damaged("\(path), under another master,")
      }
      return master
    }
    var keys: [WrappedKey] = []
    for name in names.sorted() {
      if let id = DataKey.id(ofFile: name) {
        let wrapped = try DataKey.Wrapped(id, in: folder)
        let key = try wrapped.opened(by: master(wrapped.master, of: wrapped.path), of: store)
        keys.append(
          WrappedKey(master: wrapped.master) { (new) throws(KeyError) in
            try key.write(to: folder, of: store, under: new)
          })
      } else if let id = OwnerKey.id(ofFile: name) {
        let wrapped = try OwnerKey.Wrapped(id, in: folder)
        let key = try wrapped.opened(by: master(wrapped.master, of: wrapped.path), of: store)
        keys.append(
          WrappedKey(master: wrapped.master) { (new) throws(KeyError) in
            try key.write(to: folder, of: store, under: new)
          })
      }
    }
    return keys
  }
}
