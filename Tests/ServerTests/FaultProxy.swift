import Dispatch
import Foundation
import Glibc
import Synchronization

/// A TCP listener between a client and a server that does what networks do at their worst.
final class FaultProxy: Sendable {
  enum Fault: Sendable {
    /// Passes everything on.
    case none
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

  let port: Int
  private let listener: Int32
  private let target: Int
  private let fault: Mutex<Fault>
  /// Bytes that came from the server over the last connection.
  private let passed = Mutex(0)
  private let sockets = Mutex<[Int32]>([])

  init(to target: Int, _ fault: Fault) throws {
    self.target = target
    self.fault = Mutex(fault)
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

  func stop() {
    shutdown(listener, Int32(SHUT_RDWR))
    close(listener)
    sockets.withLock { for socket in $0 { shutdown(socket, Int32(SHUT_RDWR)) } }
  }

  /// Ends every connection.
  func disconnect() {
    sockets.withLock { sockets in
      for socket in sockets { shutdown(socket, Int32(SHUT_RDWR)) }
      sockets = []
    }
  }

  func change(to new: Fault) { fault.withLock { $0 = new } }

  /// How many bytes the server has sent over the last connection.
  var passedBytes: Int { passed.withLock(\.self) }

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
      let fault = fault.withLock(\.self)
      passed.withLock { $0 = 0 }
      Thread.detachNewThread { [self] in serve(client, fault) }
    }
  }

  private func serve(_ client: Int32, _ fault: Fault) {
    sockets.withLock { $0.append(client) }
    switch fault {
    case .silent: return
    case .answers(let bytes, let times):
      for _ in 0..<times where send(client, bytes, bytes.count, Int32(MSG_NOSIGNAL)) < 0 {
        break
      }
      shutdown(client, Int32(SHUT_WR))
      return
    default: break
    }
    let server = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
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
      Self.copy(from: client, to: server) { _ in true }
      shutdown(server, Int32(SHUT_WR))
    }
    copyFaulty(from: server, to: client, fault)
    shutdown(server, Int32(SHUT_RDWR))
    shutdown(client, Int32(SHUT_RDWR))
    close(server)
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
