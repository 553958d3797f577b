internal import Glibc

/// Threads of the process's own, for work that blocks: never one of a pool that others wait for.
public enum OwnThread {
  /// Runs `body` on a new thread, which ends with it.
  ///
  /// - Returns: Whether the system gave a thread; if not, `body` doesn't run.
  ///
  /// Source: pthread_create(3); it fails with EAGAIN at a limit of the user or of the system.
  @discardableResult
  public static func start(_ body: @escaping @Sendable () -> Void) -> Bool {
    var thread = pthread_t()
    let pointer = unsafe Unmanaged.passRetained(Body(body))
    let code = unsafe pthread_create(
      &thread, nil,
      { pointer in
        guard let pointer = unsafe pointer else { return nil }
        unsafe Unmanaged<Body>.fromOpaque(pointer).takeRetainedValue().run()
        return nil
      }, pointer.toOpaque())
    guard code == 0 else {
      unsafe pointer.release()
      return false
    }
    pthread_detach(thread)
    return true
  }

  private final class Body: Sendable {
    let run: @Sendable () -> Void
    init(_ run: @escaping @Sendable () -> Void) { self.run = run }
  }
}
