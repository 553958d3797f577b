internal import Dispatch
internal import Glibc
internal import Synchronization

/// Waits for a socket on the calling thread.
enum SocketWait {
  /// The events that are there, errors and ends of stream among them; nil at the deadline.
  static func events(
    _ wanted: Int32, on socket: Int32, until deadline: ContinuousClock.Instant
  ) -> Int32? {
    while true {
      let remaining = ContinuousClock.now.duration(to: deadline)
      if remaining <= .zero { return nil }
      // Rounded up, so that the last wait isn't a spin.
      let milliseconds = Int32(min(remaining / .milliseconds(1) + 1, 3.6e6))
      var entry = pollfd(fd: socket, events: Int16(wanted), revents: 0)
      let count = unsafe poll(&entry, 1, milliseconds)
      if count > 0 { return Int32(entry.revents) }
      if count < 0 && errno != EINTR { return POLLERR }
    }
  }

  /// Whether the other end has closed; never waits.
  ///
  /// Not whether there is something to read: TLS sends session tickets unasked.
  static func isClosed(_ socket: Int32) -> Bool {
    var entry = pollfd(fd: socket, events: peerClosed, revents: 0)
    return unsafe poll(&entry, 1, 0) != 0
  }

  /// `POLLRDHUP` of <poll.h>, which Glibc shows to GNU programs only.
  private static let peerClosed: Int16 = 0x2000
}

/// A socket that another thread may end, so that whatever call of a library waits on it returns.
///
/// Needed where a C library waits without looking at a deadline (libmariadb's TLS handshake).
final class SocketGuard: Sendable {
  private struct State {
    /// A descriptor of its own for the same socket: the library's number may be another file's by
    /// the time that it is used.
    var copy: Int32?
    var isEnded = false
  }
  private let state = Mutex(State())

  deinit { release() }

  /// Names the socket in use now; one that is to be ended already is, at once.
  func hold(_ socket: Int32) {
    state.withLock { state in
      if let copy = state.copy { close(copy) }
      let copy = fcntl(socket, Self.duplicateCloseOnExec, 0)
      state.copy = copy >= 0 ? copy : nil
      if state.isEnded { _ = shutdown(socket, Int32(SHUT_RDWR)) }
    }
  }

  /// Forgets the socket: nobody is to end it any more.
  func release() {
    state.withLock { state in
      if let copy = state.copy { close(copy) }
      state.copy = nil
    }
  }

  /// Ends the socket in both directions, now or once it is named.
  func end() {
    state.withLock { state in
      state.isEnded = true
      if let copy = state.copy { _ = shutdown(copy, Int32(SHUT_RDWR)) }
    }
  }

  /// `F_DUPFD_CLOEXEC` of <fcntl.h>, which Swift doesn't import.
  private static let duplicateCloseOnExec: Int32 = 1030
}

/// Does work that can't be broken off on a thread of its own, and leaves it behind at the deadline.
///
/// For opening a connection by a library that waits as it likes. A result that comes too late is
/// dropped.
///
/// - Returns: nil at the deadline.
func onOwnThread<Value: Sendable>(
  until deadline: ContinuousClock.Instant, _ work: @escaping @Sendable () -> Value
) -> Value? {
  let result = Box<Value>()
  let done = DispatchSemaphore(value: 0)
  DispatchQueue(label: "cellmap.opening").async {
    let value = work()
    result.value.withLock { $0 = value }
    done.signal()
  }
  let remaining = ContinuousClock.now.duration(to: deadline) / .nanoseconds(1)
  _ = done.wait(timeout: .now() + .nanoseconds(Int(max(0, min(remaining, 3.6e12)))))
  return result.value.withLock { value in
    defer { value = nil }
    return value
  }
}

private final class Box<Value: Sendable>: Sendable {
  let value = Mutex<Value?>(nil)
}

/// Runs `body` so that a write to a closed connection is an error and no signal, and leaves the
/// process's own handling of SIGPIPE as it was.
///
/// OpenSSL writes without `MSG_NOSIGNAL`.
func withoutBrokenPipeSignal<Result, Failure: Error>(
  _ body: () throws(Failure) -> Result
) throws(Failure) -> Result {
  var (broken, before, pending) = (sigset_t(), sigset_t(), sigset_t())
  unsafe sigemptyset(&broken)
  unsafe sigaddset(&broken, SIGPIPE)
  unsafe sigpending(&pending)
  let wasPending = unsafe sigismember(&pending, SIGPIPE) == 1
  unsafe pthread_sigmask(SIG_BLOCK, &broken, &before)
  defer {
    if !wasPending {
      var none = timespec()
      while unsafe sigtimedwait(&broken, nil, &none) == -1 && errno == EINTR {}
    }
    unsafe pthread_sigmask(SIG_SETMASK, &before, nil)
  }
  return try body()
}

/// Looks at the clock now and then while rows come: a server that sends without end never lets a wait
/// run into the deadline.
struct RowWatch {
  private var rows = 0
  private let deadline: ContinuousClock.Instant

  init(until deadline: ContinuousClock.Instant) { self.deadline = deadline }

  /// Whether the deadline has passed, as far as it was looked at.
  mutating func isOverAfterRow() -> Bool {
    rows += 1
    return rows % 64 == 0 && ContinuousClock.now >= deadline
  }
}
