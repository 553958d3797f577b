internal import Synchronization

/// Which buckets this process has compared with their rows, and what they held then.
///
/// Shared by the projector and the readers of one index file in one process: a bucket that only our
/// own projector has changed since needs no second look. A new generation needs a new one.
public final class IndexTrust: Sendable {
  private let proven = Mutex(
    [Bucket?](
      repeating: nil, count: IndexBuckets.instanceBuckets + IndexBuckets.maximumTables))

  public init() {}

  /// Whether a bucket was found right when it held `content`.
  func covers(_ bucket: Int, _ content: Bucket) -> Bool {
    proven.withLock { $0[bucket] == content }
  }

  /// Remembers that a bucket's rows agree with `content`.
  func prove(_ bucket: Int, _ content: Bucket) {
    proven.withLock { $0[bucket] = content }
  }

  /// Moves what was proven along with a committed change.
  func follow(_ changes: [(bucket: Int, before: Bucket, after: Bucket)]) {
    proven.withLock { proven in
      for change in changes where proven[change.bucket] == change.before {
        proven[change.bucket] = change.after
      }
    }
  }
}
