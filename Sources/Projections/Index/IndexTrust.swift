internal import Synchronization

/// Which buckets this process has compared with their rows, and what they held then.
///
/// Shared by the projector and the readers of one index file in one process: a bucket that only our
/// own projector has changed since needs no second look. The last few contents of each bucket are
/// kept, since a reader's snapshot may be some transactions behind the projector. A new generation
/// needs a new trust.
public final class IndexTrust: Sendable {
  /// Contents kept of each bucket.
  private static let depth = 4

  /// The contents of all buckets, `depth` for each, newest first.
  private let proven = Mutex(
    [Bucket?](
      repeating: nil, count: depth * (IndexBuckets.instanceBuckets + IndexBuckets.maximumTables)))

  public init() {}

  /// Whether a bucket was found right when it held `content`.
  func covers(_ bucket: Int, _ content: Bucket) -> Bool {
    proven.withLock { Self.holds($0, bucket, content) }
  }

  /// Remembers that a bucket's rows agree with `content`.
  func prove(_ bucket: Int, _ content: Bucket) {
    proven.withLock { Self.add(&$0, bucket, content) }
  }

  /// Moves what was proven along with a committed change.
  func follow(_ changes: [(bucket: Int, before: Bucket, after: Bucket)]) {
    proven.withLock { proven in
      for change in changes where Self.holds(proven, change.bucket, change.before) {
        Self.add(&proven, change.bucket, change.after)
      }
    }
  }

  private static func holds(_ proven: [Bucket?], _ bucket: Int, _ content: Bucket) -> Bool {
    for place in (bucket * depth)..<((bucket + 1) * depth) where proven[place] == content {
      return true
    }
    return false
  }

  private static func add(_ proven: inout [Bucket?], _ bucket: Int, _ content: Bucket) {
    for place in ((bucket * depth + 1)..<((bucket + 1) * depth)).reversed() {
      proven[place] = proven[place - 1]
    }
    proven[bucket * depth] = content
  }
}
