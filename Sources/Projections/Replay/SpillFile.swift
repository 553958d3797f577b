internal import Glibc
internal import Journal

/// Bytes put aside on disk, in a file that has no name: nothing of it is left after a crash.
final class SpillFile {
  /// Where a run of bytes is in the file.
  struct Segment {
    let offset: Int
    let count: Int
  }

  private let descriptor: Int32
  private let folder: String
  private var end = 0

  /// Makes the file in `folder`.
  init(in folder: String) throws(ProjectionError) {
    self.folder = folder
    let path = "\(folder)/replay-\(getpid())-\(UInt64.random(in: 0...UInt64.max)).spill"
    descriptor = unsafe open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0o600)
    guard descriptor >= 0 else { throw .file(FileError("open", path, code: errno)) }
    unsafe unlink(path)
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
        throw .file(FileError("pwrite", folder, code: count == 0 ? ENOSPC : errno))
      }
      done += count
    }
    end += bytes.count
    return segment
  }

  /// Appends the bytes of a segment to `buffer`.
  func read(_ segment: Segment, into buffer: inout [UInt8]) throws(ProjectionError) {
    let start = buffer.count
    buffer.append(contentsOf: repeatElement(0, count: segment.count))
    var done = 0
    while done < segment.count {
      let count = unsafe buffer.withUnsafeMutableBytes { bytes in
        unsafe pread(
          descriptor, bytes.baseAddress! + start + done, segment.count - done,
          segment.offset + done)
      }
      if count < 0, errno == EINTR { continue }
      guard count > 0 else {
        throw .file(FileError("pread", folder, code: count == 0 ? EIO : errno))
      }
      done += count
    }
  }
}
