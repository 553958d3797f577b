internal import Glibc

/// A text as C takes it, in memory that is wiped.
@safe struct CText {
  let pointer: UnsafeMutablePointer<CChar>?
  private let count: Int

  init(_ text: String?) { self.init(bytes: text.map { Array($0.utf8) }) }

  init(bytes: [UInt8]?) {
    guard let bytes else {
      unsafe pointer = nil
      count = 0
      return
    }
    count = bytes.count
    let room = UnsafeMutablePointer<CChar>.allocate(capacity: bytes.count + 1)
    for (place, byte) in bytes.enumerated() { unsafe room[place] = CChar(bitPattern: byte) }
    unsafe room[bytes.count] = 0
    unsafe pointer = room
  }

  /// Wipes and frees it.
  func wipe() {
    guard let pointer = unsafe pointer else { return }
    unsafe explicit_bzero(pointer, count)
    unsafe pointer.deallocate()
  }
}

extension Span where Element == UInt8 {
  /// The bytes in an array of their own.
  var copy: [UInt8] { indices.map { self[$0] } }
}
