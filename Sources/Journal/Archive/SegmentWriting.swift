internal import Glibc

/// Writing a file of old entries.
enum SegmentWriting {
  /// What was written.
  struct Written {
    let name: String
    let digest: FileDigest
  }

  /// Writes whole tiles of a journal's entries into the folder of archives; the file is on disk, and was
  /// read again and compared with the tree, once this returns.
  ///
  /// Blocks for some microseconds an entry; reads by checked page reads that hold up no writer. A file of
  /// that name that no journal names is replaced. Ended before its end, it leaves nothing of that name.
  ///
  /// - Parameters:
  ///   - first: The first entry of a tile.
  ///   - last: The last entry of a tile, at most the head that the journal knows.
  /// - Throws: What damages the journal; `full`, `file` for the disk.
  static func write(
    _ first: UInt64, through last: UInt64, of journal: EventJournal
  ) throws(JournalError) -> Written {
    let folder = journal.files.archive
    let name = SegmentLayout.fileName(first: first, last: last)
    let path = folder + "/" + name
    let root = try journal.root(at: last)
    let file = try filing(path) { () throws(FileError) in
      try makeFolder(folder)
      return try NewFile(path, replaces: true)
    }
    try fill(file, first, through: last, root: root, of: journal)
    let digest = try filing(path) { () throws(FileError) in
      try file.finish()
      return try FileDigest(of: path)
    }
    try compare(first, last, digest, with: journal)
    return Written(name: name, digest: digest)
  }

  private static func filing<Result>(
    _ path: String, _ body: () throws(FileError) -> Result
  ) throws(JournalError) -> Result {
    do throws(FileError) { return try body() } catch {
      throw error.isFull ? .full(path: path) : .file(error)
    }
  }

  private static func makeFolder(_ folder: String) throws(FileError) {
    if unsafe mkdir(folder, 0o700) == 0 { return try SmallFile.syncDirectory(of: folder) }
    guard errno == EEXIST else { throw FileError("mkdir", folder, code: errno) }
  }

  private static func fill(
    _ file: NewFile, _ first: UInt64, through last: UInt64, root: Digest, of journal: EventJournal
  ) throws(JournalError) {
    var hash = RunningDigest()
    var offset: UInt64 = 0
    func put(_ bytes: [UInt8]) throws(JournalError) {
      hash.add(bytes[...])
      offset += UInt64(bytes.count)
      try filing(file.path) { () throws(FileError) in try file.write(bytes) }
    }
    try put(
      SegmentLayout.header(store: journal.store, first: first, last: last, root: root))
    var table: [UInt8] = []
    var next = first
    while next <= last {
      let chunk = try journal.chunk(from: next, through: last)
      precondition(chunk.count == TileLayout.width, "whole tiles are archived")
      table.append(bigEndian: offset)
      try put(block(of: chunk))
      next += UInt64(chunk.count)
    }
    let tableOffset = offset
    try put(table)
    var footer: [UInt8] = []
    footer.append(bigEndian: tableOffset)
    try put(footer)
    try put(hash.digest.bytes)
  }

  private static func block(of chunk: EntryChunk) -> [UInt8] {
    var bytes: [UInt8] = []
    bytes.reserveCapacity(
      TileLayout.tileBytes + chunk.bytes.count + TileLayout.width * SegmentLayout.lengthBytes)
    for place in 0..<chunk.count {
      let start = chunk.starts[place]
      let end = start + Int(chunk.headers[place].entryLength)
      TreeHash.leaf(chunk.bytes, in: start..<end).append(to: &bytes)
    }
    for place in 0..<chunk.count {
      let record = chunk.record(at: place)
      bytes.append(bigEndian: UInt32(record.count))
      bytes.append(contentsOf: chunk.bytes[record])
    }
    return bytes
  }

  /// What is on disk is what was meant.
  private static func compare(
    _ first: UInt64, _ last: UInt64, _ digest: FileDigest, with journal: EventJournal
  ) throws(JournalError) {
    let segment = ArchiveSegment(
      folder: journal.files.archive, store: journal.store, first: first, last: last,
      digest: digest.sha256)
    var next = first
    while next <= last {
      let chunk = try journal.chunk(from: next, through: last)
      let tile = try segment.tile((next - 1) / UInt64(TileLayout.width))
      guard tile.bytes == block(of: chunk) else {
        throw segment.damaged("it was written otherwise than it is read")
      }
      next += UInt64(chunk.count)
    }
  }
}
