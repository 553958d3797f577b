import Dispatch
import Foundation
import Glibc
import Synchronization

/// A TCP listener between a client and a server that does what networks do at their worst.
public final class FaultProxy: Sendable {
  public enum Fault: Sendable {
    /// Passes everything on.
    case none
    /// Takes connections and closes them at once, as a balancer does that has no server left.
    case refuses
    /// Takes connections and never says a word.
    case silent
    /// Passes on that many bytes from the server, then closes both sides.
    case cutsAfter(bytes: Int)
    /// Passes on that many bytes from the server, then one after each pause.
    case dripsAfter(bytes: Int, pause: Duration)
    /// Passes on that many bytes from the server, then nothing more; both sides stay open.
    case stallsAfter(bytes: Int)
    /// Answers with these bytes, over and over.
    case answers([UInt8], times: Int)
  }

  public let port: Int
  private let listener: Int32
  private let target: Int
  private let state: Mutex<State>
  /// Bytes that came from the server over the last connection.
  private let passed = Mutex(0)

  private struct State {
    var fault: Fault
    var passages: [Passage] = []
    var count = 0
  }

  /// Both ends of a connection; closed once nobody uses them any more.
  private final class Passage: Sendable {
    let client: Int32
    let server = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)

    init(from client: Int32) { self.client = client }

    deinit {
      Glibc.close(client)
      Glibc.close(server)
    }

    func end() {
      shutdown(client, Int32(SHUT_RDWR))
      shutdown(server, Int32(SHUT_RDWR))
    }
  }

  public init(to target: Int, _ fault: Fault) throws {
    self.target = target
    state = Mutex(State(fault: fault))
    listener = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
    var address = Self.loopback(0)
    var length = socklen_t(MemoryLayout<sockaddr_in>.size)
    let listener = listener
    let bound = withUnsafeMutablePointer(to: &address) { pointer in
      pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
        bind(listener, $0, length) == 0 && listen(listener, 16) == 0
          && getsockname(listener, $0, &length) == 0
      }
    }
    guard bound else { throw CocoaError(.fileNoSuchFile) }
    port = Int(UInt16(bigEndian: address.sin_port))
    Thread.detachNewThread { [self] in accept() }
  }

  public func stop() {
    shutdown(listener, Int32(SHUT_RDWR))
    Glibc.close(listener)
    disconnect()
  }

  /// Ends every connection.
  public func disconnect() { state.withLock { Self.endAll(&$0) } }

  /// Does something else with new connections.
  public func change(to new: Fault) { state.withLock { $0.fault = new } }

  /// Ends every connection, and does something else with new ones; none slips through in between.
  public func disconnect(andChangeTo new: Fault) {
    state.withLock { state in
      state.fault = new
      Self.endAll(&state)
    }
  }

  private static func endAll(_ state: inout State) {
    for passage in state.passages { passage.end() }
    state.passages = []
  }

  /// How many bytes the server has sent over the last connection.
  public var passedBytes: Int { passed.withLock(\.self) }

  /// How many connections were taken.
  public var connectionCount: Int { state.withLock(\.count) }

  private static func loopback(_ port: Int) -> sockaddr_in {
    var address = sockaddr_in()
    address.sin_family = sa_family_t(AF_INET)
    address.sin_port = UInt16(port).bigEndian
    address.sin_addr.s_addr = inet_addr("127.0.0.1")
    return address
  }

  private func accept() {
    while true {
      let client = Glibc.accept(listener, nil, nil)
      guard client >= 0 else { return }
      let passage = Passage(from: client)
      let fault = state.withLock { state in
        state.passages.append(passage)
        state.count += 1
        return state.fault
      }
      passed.withLock { $0 = 0 }
      Thread.detachNewThread { [self] in serve(passage, fault) }
    }
  }

  private func serve(_ passage: Passage, _ fault: Fault) {
    let (client, server) = (passage.client, passage.server)
    switch fault {
    case .silent: return
    case .refuses: return close(passage)
    case .answers(let bytes, let times):
      for _ in 0..<times where send(client, bytes, bytes.count, Int32(MSG_NOSIGNAL)) < 0 {
        break
      }
      shutdown(client, Int32(SHUT_WR))
      return
    default: break
    }
    var address = Self.loopback(target)
    let isConnected = withUnsafePointer(to: &address) { pointer in
      pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
        connect(server, $0, socklen_t(MemoryLayout<sockaddr_in>.size)) == 0
      }
    }
    guard isConnected else { return }
    var one: Int32 = 1
    setsockopt(client, Int32(IPPROTO_TCP), TCP_NODELAY, &one, 4)
    Thread.detachNewThread {
      Self.copy(from: passage.client, to: passage.server) { _ in true }
      shutdown(passage.server, Int32(SHUT_WR))
    }
    copyFaulty(from: server, to: client, fault)
    close(passage)
  }

  private func close(_ passage: Passage) {
    passage.end()
    state.withLock { state in state.passages.removeAll { $0 === passage } }
  }

  private func copyFaulty(from server: Int32, to client: Int32, _ fault: Fault) {
    var count = 0
    Self.copy(
      from: server, to: client,
      atMost: { count >= Self.limit(fault) ? 1 : Self.limit(fault) - count }
    ) {
      (length) in
      count += length
      passed.withLock { $0 = count }
      switch fault {
      case .cutsAfter(let bytes): return count < bytes
      case .dripsAfter(let bytes, let pause) where count >= bytes:
        usleep(UInt32(pause / .microseconds(1)))
        return true
      case .stallsAfter(let bytes) where count >= bytes:
        sleep(60)
        return false
      default: return true
      }
    }
  }

  private static func limit(_ fault: Fault) -> Int {
    switch fault {
    case .cutsAfter(let bytes), .stallsAfter(let bytes), .dripsAfter(let bytes, _): bytes
    default: .max
    }
  }

  private static func copy(
    from source: Int32, to target: Int32, atMost limit: () -> Int = { .max },
    _ goesOn: (Int) -> Bool
  ) {
    var buffer = [UInt8](repeating: 0, count: 16_384)
    while true {
      let wanted = min(buffer.count, limit())
      if wanted == 0 { return }
      let count = recv(source, &buffer, wanted, 0)
      guard count > 0, send(target, buffer, count, Int32(MSG_NOSIGNAL)) == count,
        goesOn(count)
      else { return }
    }
  }
}
