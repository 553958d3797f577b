internal import Glibc
internal import Synchronization

/// The store's LOCK file, opened: who is there, who writes, who waits.
///
/// Byte 0 is the write lease, byte 1 shows those who wait for it, byte 2 those who have the store
/// open. The locks survive the loss of LMDB's own lock file and a second open in one process.
@safe public final class StoreLock: Sendable {
  public let path: String
  private let descriptor: Int32
  /// Why the file can't be written; nil if it can.
  private let denial: FileError?
  private let state = Mutex(State())

  private struct State {
    /// A thread of this opening has the lease: the system would give it to another one as well.
    var isLeased = false
    var waiting = 0
  }

  private static let leaseByte = 0
  private static let waitersByte = 1
  private static let presenceByte = 2
  private static let holderOffset = 16
  private static let holderBytes = 512
  private static let pollMicroseconds: UInt32 = 1000

  /// The wait for the lease that ends with `locked`.
  public static let defaultTimeoutMilliseconds = 5000

  /// Opens the LOCK file of a store, creating it, and shows that the store is open here.
  ///
  /// - Throws: `inUse` if the journal is being replaced, `file`.
  public init(_ path: String) throws(JournalError) {
    var descriptor = unsafe Glibc.open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0o600)
    var denial: FileError?
    if descriptor < 0, errno == EACCES || errno == EROFS {
      denial = FileError("open", path, code: errno)
      descriptor = unsafe Glibc.open(path, O_RDONLY | O_CLOEXEC)
    }
    guard descriptor >= 0 else { throw .file(FileError("open", path, code: errno)) }
    do throws(JournalError) {
      guard
        try OpenFileLock.set(
          .shared, byte: StoreLock.presenceByte, of: descriptor, path: path)
      else { throw .inUse(path: path) }
    } catch {
      close(descriptor)
      throw error
    }
    self.path = path
    self.descriptor = descriptor
    self.denial = denial
  }

  /// Shows on a file that is only read, a backup's journal, that it is open here; nobody gets a
  /// lease on it.
  ///
  /// - Throws: `file`.
  init(reading path: String) throws(JournalError) {
    descriptor = unsafe Glibc.open(path, O_RDONLY | O_CLOEXEC)
    guard descriptor >= 0 else { throw .file(FileError("open", path, code: errno)) }
    self.path = path
    denial = FileError("open", path, code: EROFS)
    do throws(JournalError) {
      _ = try OpenFileLock.set(
        .shared, byte: StoreLock.presenceByte, of: descriptor, path: path)
    } catch {
      close(descriptor)
      throw error
    }
  }

  deinit { close(descriptor) }

  /// Takes the write lease, waiting for it if need be.
  ///
  /// Blocks the calling thread, which looks again each millisecond and shows others that it waits.
  ///
  /// - Parameters:
  ///   - command: What this process does, for those who wait.
  ///   - timeoutMilliseconds: How long it waits; 0 looks once.
  /// - Throws: `locked` with the holder when the time is over, `file` if the LOCK file can't be
  ///   written.
  public func acquire(
    command: String, timeoutMilliseconds: Int = defaultTimeoutMilliseconds
  ) throws(JournalError) -> WriteLease {
    if let denial { throw .file(denial) }
    if try takeLease() { return try lease(command) }
    let deadline = Self.now() + Int64(timeoutMilliseconds) * 1_000_000
    try changeWaiting(by: 1)
    defer { try? changeWaiting(by: -1) }
    while Self.now() < deadline {
      usleep(StoreLock.pollMicroseconds)
      if try takeLease() { return try lease(command) }
    }
    let holder = holder()
    throw .locked(path: path, holder: holder?.isAlive == true ? holder : nil)
  }

  /// Whether someone waits for the lease: in another process, or through this opening.
  public var someoneWaits: Bool {
    state.withLock { $0.waiting > 0 }
      || OpenFileLock.isTaken(byte: StoreLock.waitersByte, of: descriptor)
  }

  /// The wait until nobody else has the store open: whoever ends has it for a moment still, and a child
  /// that was forked shares what was open in its parent until its own program begins.
  private static let aloneTimeoutMilliseconds = 2000

  /// Runs `body` while nobody else has the store open, for those who replace the journal.
  ///
  /// Blocks for two seconds at most until the others are gone.
  ///
  /// - Throws: `inUse` if somebody has it open then; what `body` throws.
  public func alone<Result>(
    _ body: () throws(JournalError) -> Result
  ) throws(JournalError) -> Result {
    let deadline = Self.now() + Int64(Self.aloneTimeoutMilliseconds) * 1_000_000
    while try !OpenFileLock.set(
      .exclusive, byte: StoreLock.presenceByte, of: descriptor, path: path)
    {
      guard Self.now() < deadline else { throw .inUse(path: path) }
      usleep(StoreLock.pollMicroseconds)
    }
    defer {
      _ = try? OpenFileLock.set(
        .shared, byte: StoreLock.presenceByte, of: descriptor, path: path)
    }
    return try body()
  }

  /// Who wrote itself down as the holder last.
  public func holder() -> LeaseHolder? {
    var bytes = [UInt8](repeating: 0, count: StoreLock.holderBytes)
    let count = unsafe pread(descriptor, &bytes, bytes.count, off_t(StoreLock.holderOffset))
    guard count > 0 else { return nil }
    return LeaseHolder(text: String(decoding: bytes[0..<count], as: UTF8.self))
  }

  fileprivate func release() {
    state.withLock { state in
      // The system gives it back with the descriptor at the latest.
      _ = try? OpenFileLock.set(.none, byte: StoreLock.leaseByte, of: descriptor, path: path)
      state.isLeased = false
    }
  }

  private func takeLease() throws(JournalError) -> Bool {
    try state.withLock { (state) throws(JournalError) in
      guard !state.isLeased,
        try OpenFileLock.set(
          .exclusive, byte: StoreLock.leaseByte, of: descriptor, path: path)
      else { return false }
      state.isLeased = true
      return true
    }
  }

  private func lease(_ command: String) throws(JournalError) -> WriteLease {
    let lease = WriteLease(lock: self)
    var text = Array(LeaseHolder.current(command: command).text.utf8)
    text.append(contentsOf: repeatElement(0, count: max(0, StoreLock.holderBytes - text.count)))
    // A full disk must not stop the writer: without its name only the message to others suffers.
    _ = unsafe pwrite(descriptor, text, StoreLock.holderBytes, off_t(StoreLock.holderOffset))
    return lease
  }

  private func changeWaiting(by change: Int) throws(JournalError) {
    try state.withLock { (state) throws(JournalError) in
      state.waiting += change
      _ = try OpenFileLock.set(
        state.waiting > 0 ? .shared : .none, byte: StoreLock.waitersByte, of: descriptor,
        path: path)
    }
  }

  fileprivate static func now() -> Int64 {
    var time = timespec()
    unsafe clock_gettime(CLOCK_MONOTONIC, &time)
    return Int64(time.tv_sec) * 1_000_000_000 + Int64(time.tv_nsec)
  }
}

/// The right to write, held until it is released or let go of.
public final class WriteLease: Sendable {
  public let lock: StoreLock
  /// Tells the leases of this process apart; from 1.
  let number = WriteLease.count.add(1, ordering: .relaxed).newValue
  private let isReleased = Mutex(false)
  private static let count = Atomic<UInt64>(0)

  fileprivate init(lock: StoreLock) { self.lock = lock }

  deinit { release() }

  /// Gives the lease back; more than once is the same as once.
  public func release() {
    isReleased.withLock { isReleased in
      if !isReleased { lock.release() }
      isReleased = true
    }
  }

  public var isHeld: Bool { isReleased.withLock { !$0 } }

  /// Whether someone else waits for it.
  public var someoneWaits: Bool { lock.someoneWaits }
}
