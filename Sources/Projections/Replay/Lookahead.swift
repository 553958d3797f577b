internal import Dispatch
internal import Journal
internal import Synchronization

/// Elements that are made one after the other on a thread of its own, a few ahead of whoever takes
/// them.
///
/// Taken by one thread at a time. If it is let go of before the end, nothing more is made.
public final class Lookahead<Element: Sendable>: Sendable {
  private let queue: Queue

  /// What the two threads share; the maker keeps it alive, not the `Lookahead`.
  private final class Queue: Sendable {
    struct State {
      var made: [Result<Element?, ProjectionError>] = []
      var isAbandoned = false
    }

    let state = Mutex(State())
    let ready = DispatchSemaphore(value: 0)
    let room = DispatchSemaphore(value: 0)
  }

  /// Begins to make elements.
  ///
  /// - Parameters:
  ///   - ahead: The most elements that are made and not taken yet.
  ///   - make: Makes the next element; nil or a failure is the last.
  public init(
    ahead: Int, _ make: @escaping @Sendable () -> Result<Element?, ProjectionError>
  ) {
    let queue = Queue()
    self.queue = queue
    for _ in 0..<ahead { queue.room.signal() }
    let isStarted = OwnThread.start {
      var isAtEnd = false
      while !isAtEnd {
        queue.room.wait()
        if queue.state.withLock({ $0.isAbandoned }) { return }
        let element = make()
        if case .success(_?) = element {} else { isAtEnd = true }
        queue.state.withLock { $0.made.append(element) }
        queue.ready.signal()
      }
    }
    precondition(isStarted, "the system has a thread for what is made ahead")
  }

  deinit {
    queue.state.withLock { $0.isAbandoned = true }
    queue.room.signal()
  }

  /// The next element, once it is made; nil at the end, after which it is not to be called again.
  ///
  /// - Throws: What making it failed with; not to be called again then.
  public func next() throws(ProjectionError) -> Element? {
    queue.ready.wait()
    let element = queue.state.withLock { $0.made.removeFirst() }
    queue.room.signal()
    return try element.get()
  }
}
