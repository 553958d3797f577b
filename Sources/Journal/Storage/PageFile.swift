internal import Glibc
internal import Synchronization

/// LMDB's data file, read by `pread` alone.
///
/// The journal is written through LMDB and read through this: LMDB has no checksums and trusts what
/// it maps, so that a damaged or truncated file kills the process. Here each page is checked before
/// it is believed, and damage is an error. Nothing is ever pinned, so a suspended reader never makes
/// the file grow: a reader that a writer has overtaken notices (`isStillWhole`) and reads again.
///
/// Source: the page layout of LMDB 0.9 (mdb.c, `MDB_page`, `MDB_meta`, `MDB_db`, `MDB_node`).
@safe final class PageFile: Sendable {
  let path: String
  let identity: FileIdentity
  let pageSize: Int
  /// Where the files are whose entries come before those of this one.
  let archiveFolder: String
  private let knownArchive = Mutex<JournalArchive?>(nil)
  private let descriptor: Int32
  // The two meta pages, mapped for reading only; unmapped in deinit, never moved in between.
  private nonisolated(unsafe) let metaPages: UnsafeMutableRawPointer

  /// Opens the data file and checks that its meta pages are LMDB's.
  ///
  /// - Parameter archiveFolder: Where the files are whose entries come before those of this one.
  /// - Throws: `noStore` if there is no file, `notAStore` for a file of another kind, `truncated`,
  ///   `corrupt`, or `file`.
  init(_ path: String, archiveFolder: String) throws(JournalError) {
    let descriptor = unsafe open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC)
    guard descriptor >= 0 else {
      let error = FileError("open", path, code: errno)
      throw error.isMissing ? .noStore(path: path) : .file(error)
    }
    do throws(JournalError) {
      identity = try FileIdentity(ofOpen: descriptor, path: path)
      pageSize = try MetaPage.pageSize(of: descriptor, path: path)
      guard
        let map = unsafe mmap(nil, 2 * pageSize, PROT_READ, MAP_SHARED, descriptor, 0),
        unsafe map != MAP_FAILED
      else { throw .file(FileError("mmap", path, code: errno)) }
      unsafe metaPages = map
    } catch {
      close(descriptor)
      throw error
    }
    self.path = path
    self.archiveFolder = archiveFolder
    self.descriptor = descriptor
  }

  /// The archives that the file names, once a snapshot of it was read; nil if it names none.
  var archive: JournalArchive? {
    get { knownArchive.withLock(\.self) }
    set { knownArchive.withLock { $0 = newValue } }
  }

  deinit {
    unsafe munmap(metaPages, 2 * pageSize)
    close(descriptor)
  }

  /// The id of the last transaction that was committed, by whatever process.
  ///
  /// It may run ahead of what a reader finds: stamp with the id of the snapshot that was read.
  // Hot path: each lookup asks; a few ns, no system call.
  var lastTransactionID: UInt64 {
    let offset = MetaPage.transactionOffset
    let first = unsafe loadWord(at: offset)
    let second = unsafe loadWord(at: pageSize + offset)
    return max(first, second)
  }

  @unsafe private func loadWord(at offset: Int) -> UInt64 {
    // Another process stores it: an atomic load keeps the compiler from remembering an old value.
    unsafe (metaPages + offset).assumingMemoryBound(to: Atomic<UInt64>.self).pointee
      .load(ordering: .acquiring)
  }

  /// Whether the file at the path is still the one that is open here.
  var isInPlace: Bool { FileIdentity(ofPath: path) == identity }

  /// Bytes of the file.
  func size() throws(JournalError) -> UInt64 {
    var status = stat()
    guard unsafe fstat(descriptor, &status) == 0 else {
      throw .file(FileError("fstat", path, code: errno))
    }
    return UInt64(status.st_size)
  }

  /// Reads `count` pages from page `number` on into the front of a buffer, which grows as needed.
  ///
  /// - Throws: `truncated` if the file ends before, `file` for an error of the disk.
  func read(page number: UInt64, count: Int = 1, into buffer: inout [UInt8]) throws(JournalError) {
    let length = count * pageSize
    if buffer.count < length { buffer = .zeros(length) }
    let (start, overflows) = number.multipliedReportingOverflow(by: UInt64(pageSize))
    guard !overflows, start < UInt64(Int64.max) - UInt64(length) else {
      throw .corrupt(path: path, what: "page \(number) can't exist")
    }
    var offset = 0
    while offset < length {
      let got = unsafe buffer.withUnsafeMutableBytes { bytes in
        unsafe pread(
          descriptor, bytes.baseAddress! + offset, length - offset, off_t(start) + off_t(offset))
      }
      if got < 0, errno == EINTR { continue }
      guard got >= 0 else { throw .file(FileError("pread", path, code: errno)) }
      guard got > 0 else {
        throw .truncated(
          path: path, expectedBytes: start + UInt64(length), actualBytes: try size())
      }
      offset += got
    }
  }

  func corrupt(_ what: String) -> JournalError { .corrupt(path: path, what: what) }
}

/// Which file a path names: two paths of one file agree, a file put in its place differs.
struct FileIdentity: Hashable, Sendable {
  let device: UInt64
  let inode: UInt64

  init(ofOpen descriptor: Int32, path: String) throws(JournalError) {
    var status = stat()
    guard unsafe fstat(descriptor, &status) == 0 else {
      throw .file(FileError("fstat", path, code: errno))
    }
    self.init(status)
  }

  /// The identity of the file that a path names now; nil if there is none.
  init?(ofPath path: String) {
    var status = stat()
    guard unsafe stat(path, &status) == 0 else { return nil }
    self.init(status)
  }

  private init(_ status: stat) {
    device = UInt64(status.st_dev)
    inode = UInt64(status.st_ino)
  }
}
