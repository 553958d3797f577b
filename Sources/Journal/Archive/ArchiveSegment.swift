internal import Glibc
internal import Synchronization

/// One file of old entries, read by `pread`: nothing of it is believed before its bounds were checked,
/// nor an entry before the journal's tree was asked.
@safe final class ArchiveSegment: Sendable {
  let path: String
  let store: StoreID
  /// The entries that it has: whole tiles.
  let first: UInt64
  let last: UInt64
  /// The SHA-256 of the whole file.
  let digest: Digest
  private let opened = Mutex(Opened())

  private struct Opened {
    var descriptor: Int32 = -1
    var tableOffset: UInt64 = 0
  }

  init(folder: String, store: StoreID, first: UInt64, last: UInt64, digest: Digest) {
    path = folder + "/" + SegmentLayout.fileName(first: first, last: last)
    self.store = store
    self.first = first
    self.last = last
    self.digest = digest
  }

  deinit {
    opened.withLock { if $0.descriptor >= 0 { close($0.descriptor) } }
  }

  private var firstTile: UInt64 { (first - 1) / UInt64(TileLayout.width) }
  private var tiles: UInt64 { last / UInt64(TileLayout.width) - firstTile }

  func damaged(_ what: String) -> JournalError { .archiveDamaged(path: path, what: what) }

  /// The entries of a tile.
  ///
  /// - Parameter tile: One that the file has.
  /// - Throws: `archiveMissing`, `archiveDamaged`, `file`.
  func tile(_ tile: UInt64) throws(JournalError) -> ArchivedTile {
    precondition(tile >= firstTile && tile - firstTile < tiles, "the file has the tile")
    return try opened.withLock { (opened) throws(JournalError) in
      try openFile(&opened)
      let entry = opened.tableOffset + (tile - firstTile) * UInt64(SegmentLayout.tableEntryBytes)
      let isLast = tile - firstTile == tiles - 1
      let offsets = try read(opened, at: entry, count: isLast ? 8 : 16)
      let start = offsets.bigEndianWord(at: 0)
      let end = isLast ? opened.tableOffset : offsets.bigEndianWord(at: 8)
      guard start >= SegmentLayout.headerBytes, end <= opened.tableOffset, start < end,
        SegmentLayout.blockBytes.contains(Int(end - start))
      else { throw damaged("tile \(tile) can't be from byte \(start) to \(end)") }
      guard let block = ArchivedTile(try read(opened, at: start, count: Int(end - start))) else {
        throw damaged("the entries of tile \(tile) leave their bounds")
      }
      return block
    }
  }

  /// Checks that the file is, byte for byte, the one that was archived.
  ///
  /// Reads all of it.
  ///
  /// - Throws: As `tile`.
  func check() throws(JournalError) {
    try opened.withLock { (opened) throws(JournalError) in try openFile(&opened) }
    let found: FileDigest
    do throws(FileError) { found = try FileDigest(of: path) } catch {
      throw error.isMissing ? .archiveMissing(path: path) : .file(error)
    }
    guard found.sha256 == digest else {
      throw damaged("its SHA-256 is \(found.sha256), and was \(digest) when it was archived")
    }
  }

  // MARK: The file

  private func openFile(_ opened: inout Opened) throws(JournalError) {
    guard opened.descriptor < 0 else { return }
    let descriptor = unsafe open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC)
    guard descriptor >= 0 else {
      let error = FileError("open", path, code: errno)
      throw error.isMissing ? .archiveMissing(path: path) : .file(error)
    }
    do throws(JournalError) {
      opened = Opened(
        descriptor: descriptor, tableOffset: try checkEnds(Opened(descriptor: descriptor)))
    } catch {
      close(descriptor)
      throw error
    }
  }

  /// - Returns: Where the table of tiles is.
  private func checkEnds(_ opened: Opened) throws(JournalError) -> UInt64 {
    var status = stat()
    guard unsafe fstat(opened.descriptor, &status) == 0 else {
      throw .file(FileError("fstat", path, code: errno))
    }
    let size = UInt64(max(0, status.st_size))
    let ends = UInt64(SegmentLayout.headerBytes + SegmentLayout.footerBytes)
    guard status.st_mode & S_IFMT == S_IFREG else { throw damaged("it is no regular file") }
    guard size > ends else { throw damaged("it has \(size) bytes") }
    let header = try read(opened, at: 0, count: SegmentLayout.headerBytes)
    guard Array(header[0..<8]) == SegmentLayout.magic else { throw damaged("it is no archive") }
    let format = UInt32(truncatingIfNeeded: header.bigEndianWord32(at: 8))
    guard format == SegmentLayout.format else { throw .newerFormat(path: path, version: format) }
    let wanted = SegmentLayout.header(
      store: store, first: first, last: last, root: header.digest(at: 48))
    guard header == wanted else { throw damaged("it says that it has other entries") }
    let offset = try read(opened, at: size - UInt64(SegmentLayout.footerBytes), count: 8)
      .bigEndianWord(at: 0)
    let table = tiles * UInt64(SegmentLayout.tableEntryBytes)
    guard offset >= SegmentLayout.headerBytes, size - ends >= table,
      offset == size - UInt64(SegmentLayout.footerBytes) - table
    else { throw damaged("its table of tiles can't be at byte \(offset)") }
    return offset
  }

  private func read(
    _ opened: Opened, at start: UInt64, count: Int
  ) throws(JournalError) -> [UInt8] {
    var bytes = [UInt8](repeating: 0, count: count)
    var offset = 0
    while offset < count {
      let got = unsafe bytes.withUnsafeMutableBytes { buffer in
        unsafe pread(
          opened.descriptor, buffer.baseAddress! + offset, count - offset,
          off_t(start) + off_t(offset))
      }
      if got < 0, errno == EINTR { continue }
      guard got >= 0 else { throw .file(FileError("pread", path, code: errno)) }
      guard got > 0 else { throw damaged("it was truncated") }
      offset += got
    }
    return bytes
  }
}
