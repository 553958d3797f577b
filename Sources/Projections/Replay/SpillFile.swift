internal import Glibc
internal import Journal

/// Bytes put aside on disk: in a file that has no name, of which nothing is left after a crash, or in
/// one that is kept beside the index that is made.
final class SpillFile {
  /// Where a run of bytes is in the file.
  struct Segment {
    let offset: Int
    let count: Int
  }

  /// How a file begins that is kept: another's is left alone.
  private static let mark = Array("cellmap replay 1".utf8)

  private let descriptor: Int32
  let path: String
  /// How many bytes there are.
  private(set) var end = 0
  /// In which it was made.
  var folder: String { path.lastIndex(of: "/").map { String(path[...$0]) } ?? "." }

  /// Makes the file in `folder`, without a name.
  init(in folder: String) throws(ProjectionError) {
    path = "\(folder)/replay-\(getpid())-\(UInt64.random(in: 0...UInt64.max)).spill"
    descriptor = unsafe open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0o600)
    guard descriptor >= 0 else { throw .file(FileError("open", path, code: errno)) }
    unsafe unlink(path)
  }

  /// Makes the file at `path`, which must not be there, with nothing in it but its mark.
  init(new path: String) throws(ProjectionError) {
    self.path = path
    descriptor = unsafe open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0o600)
    guard descriptor >= 0 else { throw .file(FileError("open", path, code: errno)) }
    _ = try append(Self.mark)
  }

  /// Whether the file at `path` is one that was kept, be it that its process was killed at its first write.
  static func isOne(at path: String) -> Bool {
    let descriptor = unsafe open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC)
    guard descriptor >= 0 else { return false }
    defer { close(descriptor) }
    var bytes = [UInt8](repeating: 0, count: mark.count)
    let count = unsafe pread(descriptor, &bytes, bytes.count, 0)
    return count == 0 || bytes == mark
  }

  /// Where what was appended begins in a file that is kept.
  static let start = mark.count

  /// Opens a file that was kept, and forgets what stands behind its first `end` bytes.
  ///
  /// - Throws: `damaged` if it has fewer; `file`.
  init(kept path: String, end: Int) throws(ProjectionError) {
    self.path = path
    descriptor = unsafe open(path, O_RDWR | O_CLOEXEC)
    guard descriptor >= 0 else { throw .file(FileError("open", path, code: errno)) }
    var status = stat()
    guard unsafe fstat(descriptor, &status) == 0, end >= Self.start, Int(status.st_size) >= end
    else {
      throw .damaged(path: path, what: "fewer than \(end) bytes")
    }
    guard ftruncate(descriptor, end) == 0 else {
      throw .file(FileError("ftruncate", path, code: errno))
    }
    self.end = end
  }

  deinit { close(descriptor) }

  /// Appends bytes.
  ///
  /// - Throws: `file`; a full disk is told by `FileError.isFull`.
  func append(_ bytes: [UInt8]) throws(ProjectionError) -> Segment {
    let segment = Segment(offset: end, count: bytes.count)
    var done = 0
    while done < bytes.count {
      let count = unsafe bytes.withUnsafeBytes { buffer in
        unsafe pwrite(
          descriptor, buffer.baseAddress! + done, buffer.count - done, end + done)
      }
      if count < 0, errno == EINTR { continue }
      guard count > 0 else {
        throw .file(FileError("pwrite", path, code: count == 0 ? ENOSPC : errno))
      }
      done += count
    }
    end += bytes.count
    return segment
  }

  /// Appends the bytes of a segment to `buffer`.
  func read(_ segment: Segment, into buffer: inout [UInt8]) throws(ProjectionError) {
    let start = buffer.count
    buffer += .zeros(segment.count)
    var done = 0
    while done < segment.count {
      let count = unsafe buffer.withUnsafeMutableBytes { bytes in
        unsafe pread(
          descriptor, bytes.baseAddress! + start + done, segment.count - done,
          segment.offset + done)
      }
      if count < 0, errno == EINTR { continue }
      guard count > 0 else {
        throw .file(FileError("pread", path, code: count == 0 ? EIO : errno))
      }
      done += count
    }
  }
}
