import Journal

/// A file that an argument names.
enum GivenFile {
  /// The most bytes of a file that is given: 64 MiB.
  private static let limitBytes = 64 << 20

  /// The bytes of a file; blocks until a pipe is written to its end.
  ///
  /// - Parameter what: What the file is to hold, for the message: "the cells".
  static func bytes(_ path: String, with what: String) throws(CommandFailure) -> [UInt8] {
    do throws(FileError) { return try SmallFile.readGiven(path, limit: limitBytes) } catch {
      throw CommandFailure(
        .usage, "The file '\(path)' with \(what) can't be read: \(error.reason).")
    }
  }

  static func text(_ path: String, with what: String) throws(CommandFailure) -> String {
    guard let text = String(validating: try bytes(path, with: what), as: UTF8.self) else {
      throw CommandFailure(.usage, "The file '\(path)' with \(what) is not UTF-8.")
    }
    return text
  }
}
