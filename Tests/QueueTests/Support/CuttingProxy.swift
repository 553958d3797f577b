import Foundation
import Journal
import Synchronization
import Testing

/// Stands before a broker and cuts a connection once the broker has sent so many bytes.
final class CuttingProxy: Sendable {
  let port: UInt16
  private let descriptor: Int32
  private let limit = Atomic<Int>(0)

  init(to broker: UInt16) throws {
    (descriptor, port) = try boundSocket()
    try #require(listen(descriptor, 16) == 0)
    let isStarted = OwnThread.start { [self, descriptor] in
      while true {
        let client = accept(descriptor, nil, nil)
        if client < 0 { return }
        let limit = limit.load(ordering: .acquiring)
        let isStarted = OwnThread.start { Self.carry(client, to: broker, cutAfter: limit) }
        precondition(isStarted, "a thread for the proxy")
      }
    }
    precondition(isStarted, "a thread for the proxy")
  }

  /// Sets after how many bytes of the broker's the next connections are cut.
  func cutAfter(_ bytes: Int) { limit.store(bytes, ordering: .releasing) }

  func close() {
    shutdown(descriptor, Int32(SHUT_RDWR))
    Glibc.close(descriptor)
  }

  private static func carry(_ client: Int32, to broker: UInt16, cutAfter limit: Int) {
    let server = connectedSocket(to: broker)
    var left = limit
    var buffer = [UInt8](repeating: 0, count: 4096)
    while left > 0 {
      var watched = [
        pollfd(fd: client, events: Int16(POLLIN), revents: 0),
        pollfd(fd: server, events: Int16(POLLIN), revents: 0),
      ]
      guard poll(&watched, 2, 5_000) > 0 else { break }
      if watched[0].revents != 0 {
        let count = read(client, &buffer, buffer.count)
        guard count > 0, send(server, buffer, count, Int32(MSG_NOSIGNAL)) == count else { break }
      }
      if watched[1].revents != 0 {
        let count = read(server, &buffer, min(buffer.count, left))
        guard count > 0, send(client, buffer, count, Int32(MSG_NOSIGNAL)) == count else { break }
        left -= count
      }
    }
    Glibc.close(client)
    Glibc.close(server)
  }
}
