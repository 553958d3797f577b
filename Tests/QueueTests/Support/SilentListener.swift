import Foundation
import Testing

/// A listener that accepts connections and says nothing, or one thing and nothing more.
final class SilentListener {
  let port: UInt16
  private let descriptor: Int32

  init(saying words: String? = nil) throws {
    (descriptor, port) = try boundSocket()
    try #require(listen(descriptor, 16) == 0)
    guard let words else { return }
    let listening = descriptor
    Foundation.Thread {
      let client = accept(listening, nil, nil)
      guard client >= 0 else { return }
      var greeting = [UInt8](repeating: 0, count: 8)
      _ = read(client, &greeting, 8)
      _ = words.withCString { send(client, $0, strlen($0), Int32(MSG_NOSIGNAL)) }
      sleep(1)
      Glibc.close(client)
    }.start()
  }

  func close() { Glibc.close(descriptor) }
}

/// A port at which nobody listens, or nobody did a moment ago.
func freePort() throws -> UInt16 {
  let (descriptor, port) = try boundSocket()
  close(descriptor)
  return port
}

/// A connection to a port of the loopback.
func connectedSocket(to port: UInt16) -> Int32 {
  let descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
  var address = sockaddr_in()
  address.sin_family = sa_family_t(AF_INET)
  address.sin_addr.s_addr = inet_addr("127.0.0.1")
  address.sin_port = port.bigEndian
  withUnsafePointer(to: &address) { pointer in
    pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { address in
      _ = connect(descriptor, address, socklen_t(MemoryLayout<sockaddr_in>.size))
    }
  }
  return descriptor
}

/// A socket with a free port of the loopback.
func boundSocket() throws -> (Int32, UInt16) {
  let descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
  var address = sockaddr_in()
  address.sin_family = sa_family_t(AF_INET)
  address.sin_addr.s_addr = inet_addr("127.0.0.1")
  var length = socklen_t(MemoryLayout<sockaddr_in>.size)
  let code = withUnsafeMutablePointer(to: &address) { pointer in
    pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { address in
      bind(descriptor, address, length) + getsockname(descriptor, address, &length)
    }
  }
  try #require(code == 0)
  return (descriptor, UInt16(bigEndian: address.sin_port))
}
