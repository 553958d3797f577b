public import Foundation

/// The working copy that the tests were built from.
public enum Checkout {
  /// A file of it.
  public static func file(_ path: String) -> URL {
    URL(fileURLWithPath: #filePath).deletingLastPathComponent()
      .appendingPathComponent("../../\(path)").standardized
  }
}
