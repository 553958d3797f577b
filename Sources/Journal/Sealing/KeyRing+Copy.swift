extension KeyRing {
  /// Copies the files of a store's keys into another folder, which is made with mode 0700 if it isn't
  /// there; all of them are on disk once this returns. The master comes last: a folder without one
  /// holds no keys.
  ///
  /// - Throws: `missing` if there is no master or HMAC key, `file`.
  static func copy(from source: String, to folder: String) throws(KeyError) {
    guard holdsKeys(source) else { throw .missing(source + "/master") }
    do throws(FileError) {
      if FileIdentity(ofPath: folder) == nil { try WorkFolder.renew(folder) }
      let others = try SmallFile.names(in: source).filter {
        ($0.hasPrefix("data-") || $0.hasPrefix("checkpoint")) && !$0.hasSuffix(".new")
      }
      for name in others.sorted(by: >) + ["hmac", "master"] {
        try SmallFile.replace(
          folder + "/" + name,
          with: SmallFile.read(source + "/" + name, limit: SignedNote.maximumBytes))
      }
    } catch {
      throw error.isMissing ? .missing(error.path) : .file(error)
    }
  }

  /// Whether a folder holds a store's keys.
  public static func holdsKeys(_ folder: String) -> Bool {
    FileIdentity(ofPath: folder + "/master") != nil
  }
}
