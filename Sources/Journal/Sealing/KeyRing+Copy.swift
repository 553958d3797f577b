extension KeyRing {
  /// Copies the files of a store's keys into another folder, which is made with mode 0700 if it isn't
  /// there; all of them are on disk once this returns. The master comes last: a folder without one
  /// holds no keys. Begun again if the master is rotated, or a key shredded, meanwhile.
  ///
  /// - Throws: `missing` if there is no master or HMAC key, `file`.
  static func copy(from source: String, to folder: String) throws(KeyError) {
    guard holdsKeys(source) else { throw .missing(source + "/master") }
    do throws(FileError) {
      if FileIdentity(ofPath: folder) == nil { try WorkFolder.renew(folder) }
      for attempt in 1...attemptsToCopy {
        let before = try content(of: "master", in: source)
        do throws(FileError) {
          try copyOnce(from: source, to: folder)
        } catch {
          guard error.isMissing, attempt < attemptsToCopy else { throw error }
          continue
        }
        if try content(of: "master", in: source) == before { return }
      }
    } catch {
      throw error.isMissing ? .missing(error.path) : .file(error)
    }
  }

  private static let attemptsToCopy = 5

  private static func copyOnce(from source: String, to folder: String) throws(FileError) {
    func isCopied(_ name: String) -> Bool {
      DataKey.id(ofFile: name) != nil || OwnerKey.id(ofFile: name) != nil
        || name == OwnerKeys.markName || name.hasPrefix("checkpoint") && !name.hasSuffix(".new")
    }
    let others = try SmallFile.names(in: source).filter(isCopied)
    for name in try SmallFile.names(in: folder) where isCopied(name) && !others.contains(name) {
      try WorkFolder.remove(folder + "/" + name)
    }
    for name in others.sorted(by: >) + ["hmac"] { try copy(name, from: source, to: folder) }
    // Behind the data keys: whatever is under it was copied while it was there.
    if FileIdentity(ofPath: source + "/master-next") != nil {
      try copy("master-next", from: source, to: folder)
    } else {
      try WorkFolder.remove(folder + "/master-next")
    }
    try copy("master", from: source, to: folder)
  }

  private static func copy(
    _ name: String, from source: String, to folder: String
  ) throws(FileError) {
    try SmallFile.replace(folder + "/" + name, with: content(of: name, in: source))
  }

  private static func content(of name: String, in folder: String) throws(FileError) -> [UInt8] {
    try SmallFile.read(folder + "/" + name, limit: SignedNote.maximumBytes)
  }

  /// Whether a folder holds a store's keys.
  public static func holdsKeys(_ folder: String) -> Bool {
    FileIdentity(ofPath: folder + "/master") != nil
  }
}
