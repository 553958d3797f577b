internal import Glibc

/// A growing run of secret bytes with one owner; every block it ever used is wiped.
@safe struct WipedBytes: ~Copyable {
  private var storage: UnsafeMutableRawBufferPointer
  private(set) var count = 0

  init(capacity: Int) {
    unsafe storage = .allocate(byteCount: max(capacity, 16), alignment: 1)
  }

  deinit { unsafe Self.release(storage) }

  mutating func append(_ byte: UInt8) {
    if unsafe count == storage.count { grow() }
    unsafe storage[count] = byte
    count += 1
  }

  mutating func append(contentsOf bytes: some Sequence<UInt8>) {
    for byte in bytes { append(byte) }
  }

  /// What was appended, as a secret.
  func secret() -> Secret { unsafe Secret(UnsafeRawBufferPointer(rebasing: storage[..<count])) }

  private mutating func grow() {
    let larger = unsafe UnsafeMutableRawBufferPointer.allocate(
      byteCount: storage.count * 2, alignment: 1)
    unsafe larger.copyMemory(from: UnsafeRawBufferPointer(storage))
    unsafe Self.release(storage)
    unsafe storage = larger
  }

  private static func release(_ block: UnsafeMutableRawBufferPointer) {
    if let start = block.baseAddress { unsafe explicit_bzero(start, block.count) }
    unsafe block.deallocate()
  }
}
