internal import Glibc

/// Reads a file line by line, in memory that a line bounds.
@safe final class LineFile {
  private let path: String
  private let descriptor: Int32
  private var buffer: [UInt8] = []
  private var start = 0
  /// The number of the last line that was given, from 1.
  private(set) var number: UInt64 = 0

  /// Bytes of a line at most: an entry of full length whose every byte is written as an escape fits.
  static let maximumLine = 1 << 20
  private static let chunkBytes = 1 << 18

  /// - Throws: `FileError`; with `ESPIPE` for a pipe, since whoever reads lines reads them twice.
  init(_ path: String) throws(FileError) {
    self.path = path
    descriptor = unsafe open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC)
    guard descriptor >= 0 else { throw FileError("open", path, code: errno) }
    var status = stat()
    let isPipe = unsafe fstat(descriptor, &status) == 0 && status.st_mode & S_IFMT == S_IFIFO
    guard !isPipe else { throw FileError("lseek", path, code: ESPIPE) }
  }

  deinit { close(descriptor) }

  /// The next line without its end; nil after the last.
  ///
  /// - Throws: `line` for one that is too long or has no end; `file`.
  func next() throws(ExportError) -> [UInt8]? {
    var searched = start
    while true {
      if let end = buffer[searched...].firstIndex(of: UInt8(ascii: "\n")) {
        number += 1
        defer { start = end + 1 }
        guard end - start <= Self.maximumLine else { throw tooLong(number) }
        return Array(buffer[start..<end])
      }
      guard buffer.count - start <= Self.maximumLine else { throw tooLong(number + 1) }
      buffer.removeFirst(start)
      (start, searched) = (0, buffer.count)
      guard try fill() else {
        guard buffer.isEmpty else {
          throw .line(path: path, number: number + 1, what: "it has no end: the file was cut short")
        }
        return nil
      }
    }
  }

  private func tooLong(_ number: UInt64) -> ExportError {
    .line(path: path, number: number, what: "it is longer than \(Self.maximumLine) bytes")
  }

  private func fill() throws(ExportError) -> Bool {
    var chunk = [UInt8](repeating: 0, count: Self.chunkBytes)
    while true {
      let count = unsafe read(descriptor, &chunk, chunk.count)
      if count < 0, errno == EINTR { continue }
      guard count >= 0 else { throw .file(FileError("read", path, code: errno)) }
      buffer.append(contentsOf: chunk[0..<count])
      return count > 0
    }
  }
}
