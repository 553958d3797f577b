internal import CLMDB
internal import Glibc

/// What must hold of a store's directory before anything in it is believed.
enum StoreDirectory {
  /// Checks the directory of a store that should exist.
  ///
  /// - Throws: `noStore`, `notAStore`, `journalLost`, `unsafePermissions`, `networkFileSystem`.
  static func check(_ files: StoreFiles) throws(JournalError) {
    try checkIsDirectory(files.directory)
    try checkFileSystem(files.directory)
    try checkIsNoBackup(files)
    guard FileIdentity(ofPath: files.journal) != nil else {
      // CURRENT comes after the journal, so where it is there was a journal.
      let isBeginning =
        FileIdentity(ofPath: files.beginning) != nil && FileIdentity(ofPath: files.current) == nil
      guard !isBeginning, try !names(files).isDisjoint(with: ["HEAD", "CURRENT", "keys"]) else {
        throw .noStore(path: files.directory)
      }
      throw .journalLost(path: files.directory)
    }
    for path in [files.directory, files.journal, files.head, files.lock] { try checkMode(path) }
  }

  /// Makes the directory if it isn't there, or checks that nothing of anybody's is in it.
  ///
  /// - Throws: `alreadyAStore`, `journalLost`, `notAStore` for a directory with other files, and as
  ///   `check`.
  static func prepare(_ files: StoreFiles) throws(JournalError) {
    if unsafe mkdir(files.directory, 0o700) == 0 {
      do throws(FileError) {
        try SmallFile.syncDirectory(of: files.directory)
      } catch {
        throw .file(error)
      }
    } else if errno == ENOENT || errno == ENOTDIR {
      throw .notAStore(path: files.directory, why: "the folder above it isn't there")
    } else if errno != EEXIST {
      throw .file(FileError("mkdir", files.directory, code: errno))
    }
    try checkIsDirectory(files.directory)
    try checkIsNoBackup(files)
    let names = try names(files)
    guard !names.contains("journal.lmdb") else { throw .alreadyAStore(path: files.directory) }
    if names.contains("BEGINNING") {
      guard !names.contains("CURRENT") else { throw .journalLost(path: files.directory) }
      return try checkDirectory(files.directory)
    }
    // `BEGINNING.new` is what an `init` leaves that was ended before it could say that it begins.
    let others = names.subtracting(["LOCK", "lost+found", "BEGINNING.new"])
    guard others.isEmpty else {
      guard others.isDisjoint(with: ["HEAD", "CURRENT", "keys"]) else {
        throw .journalLost(path: files.directory)
      }
      throw .notAStore(
        path: files.directory, why: "it holds other files, such as \(others.min() ?? "")")
    }
    // Behind the content: to take rights away is no advice for a folder of somebody's files.
    try checkDirectory(files.directory)
  }

  /// Marks a store as being made, and throws away what an earlier attempt left. Under the lease.
  static func begin(_ files: StoreFiles) throws(JournalError) {
    do throws(FileError) {
      try SmallFile.replace(files.beginning, with: [])
      for name in ["journal.lmdb.new", "journal.lmdb.new-lock", "HEAD", "CURRENT", "IMPORTED"] {
        try remove(files.path(name))
      }
      for directory in [files.keys, files.restoring] { try WorkFolder.remove(directory) }
    } catch {
      throw .file(error)
    }
  }

  /// Makes the journal's name durable and removes the mark: the store is whole.
  static func finish(_ files: StoreFiles) throws(JournalError) {
    do throws(FileError) {
      try SmallFile.syncDirectory(of: files.journal)
      try remove(files.beginning)
    } catch {
      throw .file(error)
    }
  }

  private static func remove(_ path: String) throws(FileError) {
    guard unsafe unlink(path) == 0 || errno == ENOENT else {
      throw FileError("unlink", path, code: errno)
    }
  }

  private static func names(_ files: StoreFiles) throws(JournalError) -> Set<String> {
    do throws(FileError) {
      return Set(try SmallFile.names(in: files.directory))
    } catch {
      throw .file(error)
    }
  }

  private static func checkDirectory(_ path: String) throws(JournalError) {
    try checkIsDirectory(path)
    try checkFileSystem(path)
    try checkMode(path)
  }

  private static func checkIsDirectory(_ path: String) throws(JournalError) {
    var status = stat()
    guard unsafe stat(path, &status) == 0 else {
      let error = FileError("stat", path, code: errno)
      throw error.isMissing ? .noStore(path: path) : .file(error)
    }
    guard status.st_mode & S_IFMT == S_IFDIR else {
      throw .notAStore(path: path, why: "it is no directory")
    }
  }

  /// What is written into a backup makes it worthless.
  private static func checkIsNoBackup(_ files: StoreFiles) throws(JournalError) {
    guard FileIdentity(ofPath: files.manifest) == nil else {
      throw .notAStore(
        path: files.directory,
        why: "it is a backup, of which 'cellmap backup restore' makes a store")
    }
  }

  /// Others than the owner have no rights.
  private static func checkMode(_ path: String) throws(JournalError) {
    var status = stat()
    guard unsafe stat(path, &status) == 0 else { return }
    guard status.st_mode & 0o077 == 0 else {
      throw .unsafePermissions(path: path, mode: status.st_mode & 0o7777)
    }
  }

  /// Bytes that this process may still write in a directory.
  static func freeBytes(_ path: String) -> UInt64? {
    var status = statfs()
    guard unsafe statfs(path, &status) == 0 else { return nil }
    return UInt64(status.f_bavail) * UInt64(max(0, status.f_bsize))
  }

  /// Magic numbers of statfs(2) of file systems whose locks or maps other machines don't see.
  private static let networkFileSystems: [UInt32: String] = [
    0x6969: "NFS", 0xFF53_4D42: "CIFS", 0xFE53_4D42: "SMB", 0x517B: "SMB", 0x00C3_6400: "Ceph",
    0x5346_414F: "AFS", 0x0102_1997: "9p", 0x6573_5546: "FUSE", 0x0BD0_0BD0: "Lustre",
  ]

  private static func checkFileSystem(_ path: String) throws(JournalError) {
    var status = statfs()
    guard unsafe statfs(path, &status) == 0 else {
      throw .file(FileError("statfs", path, code: errno))
    }
    if let name = networkFileSystems[UInt32(truncatingIfNeeded: status.f_type)] {
      throw .networkFileSystem(path: path, name: name)
    }
  }
}
