internal import Dispatch
internal import Glibc
internal import Journal
internal import Synchronization

/// Finds the addresses of a host name, within a deadline.
enum NameResolution {
  /// Numeric addresses in the system's order of preference; a numeric host is itself.
  ///
  /// The system's resolver can't be broken off, so that it runs on a thread of its own: one for each
  /// name, however many callers wait for it or have given it up.
  ///
  /// - Throws: `unreachable` for a name that there isn't; `deadlinePassed`.
  static func addresses(
    of server: ServerAddress, until deadline: ContinuousClock.Instant
  ) throws(DatabaseError) -> [String] {
    let host = server.host.string
    if isNumeric(host) { return [host] }
    guard let found = lookup(of: host).wait(until: deadline) else {
      throw .deadlinePassed(server: "\(server)")
    }
    switch found {
    case .success(let addresses): return addresses
    case .failure(let failure):
      throw .unreachable(
        server: "\(server)", reason: "its name can't be resolved (\(failure.text))")
    }
  }

  static func isNumeric(_ host: String) -> Bool {
    var room = in6_addr()
    return unsafe inet_pton(AF_INET, host, &room) == 1 || inet_pton(AF_INET6, host, &room) == 1
  }

  private struct Failure: Error {
    let text: String
  }

  /// A name that is being resolved.
  private final class Lookup: Sendable {
    private let answer = Mutex<Result<[String], Failure>?>(nil)
    private let isOver = DispatchGroup()

    init() { isOver.enter() }

    func finish(_ result: Result<[String], Failure>) {
      answer.withLock { $0 = result }
      isOver.leave()
    }

    /// nil if there is no answer until `deadline`.
    func wait(until deadline: ContinuousClock.Instant) -> Result<[String], Failure>? {
      let nanoseconds = max(0, ContinuousClock.now.duration(to: deadline) / .nanoseconds(1))
      _ = isOver.wait(timeout: .now() + .nanoseconds(Int(min(nanoseconds, 3.6e12))))
      return answer.withLock { $0 }
    }
  }

  private static let lookups = Mutex<[String: Lookup]>([:])

  /// The lookup of a name that is under way, or a new one.
  private static func lookup(of host: String) -> Lookup {
    lookups.withLock { lookups in
      if let running = lookups[host] { return running }
      let started = Lookup()
      lookups[host] = started
      DispatchQueue(label: "cellmap.name").async {
        let result = resolve(host)
        _ = Self.lookups.withLock { $0.removeValue(forKey: host) }
        started.finish(result)
      }
      return started
    }
  }

  private static func resolve(_ host: String) -> Result<[String], Failure> {
    var hints = unsafe addrinfo()
    unsafe hints.ai_family = AF_UNSPEC
    unsafe hints.ai_socktype = Int32(SOCK_STREAM.rawValue)
    var list: UnsafeMutablePointer<addrinfo>?
    let code = unsafe getaddrinfo(host, nil, &hints, &list)
    guard code == 0 else {
      return .failure(Failure(text: unsafe String(cString: gai_strerror(code))))
    }
    defer { unsafe freeaddrinfo(list) }
    var addresses: [String] = []
    var next = unsafe list
    while let entry = unsafe next {
      var text = [CChar](repeating: 0, count: Int(NI_MAXHOST))
      let code = unsafe getnameinfo(
        entry.pointee.ai_addr, entry.pointee.ai_addrlen, &text, socklen_t(text.count), nil, 0,
        NI_NUMERICHOST)
      if code == 0 {
        addresses.append(
          String(decoding: text.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self))
      }
      unsafe next = entry.pointee.ai_next
    }
    return addresses.isEmpty ? .failure(Failure(text: "no address")) : .success(addresses)
  }
}
