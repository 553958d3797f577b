internal import Glibc
internal import Synchronization

/// What the HEAD file says of the journal: how far it was, seen from outside of it.
public struct HeadWitness: Equatable, Sendable {
  public let store: StoreID
  public let position: Position
  public let root: Digest
  public let writtenAt: Timestamp
  /// Counts the writings of the file.
  public let sequence: UInt64
}

extension HeadWitness {
  static let slotBytes = 512
  private static let magic = Array("CELLHEAD".utf8)
  private static let format: UInt32 = 1
  private static let checkedBytes = 88

  var slot: [UInt8] {
    var bytes: [UInt8] = []
    bytes.reserveCapacity(HeadWitness.slotBytes)
    bytes.append(contentsOf: HeadWitness.magic)
    bytes.append(bigEndianWords: [
      UInt64(HeadWitness.format) << 32 | UInt64(position.epoch), store.uuid.high, store.uuid.low,
      position.index,
    ])
    root.append(to: &bytes)
    bytes.append(bigEndianWords: [UInt64(bitPattern: writtenAt.microseconds), sequence])
    TreeHash.plain(bytes).append(to: &bytes)
    bytes.append(contentsOf: repeatElement(0, count: HeadWitness.slotBytes - bytes.count))
    return bytes
  }

  init?(slotAt start: Int, of bytes: [UInt8]) {
    let checked = Array(bytes[start..<start + HeadWitness.checkedBytes])
    let end = start + HeadWitness.slotBytes
    guard Array(checked[0..<8]) == HeadWitness.magic,
      checked.bigEndianWord32(at: 8) == UInt64(HeadWitness.format),
      TreeHash.plain(checked) == bytes.digest(at: start + HeadWitness.checkedBytes),
      bytes[start + HeadWitness.checkedBytes + 32..<end].allSatisfy({ $0 == 0 })
    else { return nil }
    self.init(
      store: StoreID(
        UUID128(high: checked.bigEndianWord(at: 16), low: checked.bigEndianWord(at: 24))),
      position: Position(
        epoch: UInt32(truncatingIfNeeded: checked.bigEndianWord32(at: 12)),
        index: checked.bigEndianWord(at: 32)),
      root: checked.digest(at: 40),
      writtenAt: Timestamp(microseconds: Int64(bitPattern: checked.bigEndianWord(at: 72))),
      sequence: checked.bigEndianWord(at: 80))
  }
}

/// The HEAD file: two slots that are written in turn, so that one is always whole.
///
/// It is written after each commit without a sync, so it is never newer than the journal; `sync()`
/// makes it durable. Only the holder of the write lease writes it.
@safe final class HeadSlots: Sendable {
  private static let bytes = 2 * HeadWitness.slotBytes

  let path: String
  private let state: Mutex<State>

  private struct State {
    var descriptor: Int32 = -1
    /// Which file is open: HEAD may have been deleted, or another put in its place.
    var identity: FileIdentity?
    /// The sequence of the newest slot that was read or written here.
    var sequence: UInt64 = 0
    var isDirty = false
  }

  init(_ path: String) {
    self.path = path
    state = Mutex(State())
  }

  deinit {
    state.withLock { state in
      guard state.descriptor >= 0 else { return }
      if state.isDirty { fdatasync(state.descriptor) }
      close(state.descriptor)
    }
  }

  /// The newer of the valid slots; nil if the file is missing, or no slot of it is valid.
  ///
  /// - Throws: `file` if it can't be read.
  static func read(_ path: String) throws(JournalError) -> HeadWitness? {
    let content: [UInt8]
    do throws(FileError) {
      content = try SmallFile.read(path, limit: bytes)
    } catch {
      if error.isMissing || error.code == EFBIG { return nil }
      throw .file(error)
    }
    return newest(of: content)
  }

  private static func newest(of content: [UInt8]) -> HeadWitness? {
    guard content.count == bytes else { return nil }
    let first = HeadWitness(slotAt: 0, of: content)
    let second = HeadWitness(slotAt: HeadWitness.slotBytes, of: content)
    guard let first, let second else { return first ?? second }
    return first.sequence > second.sequence ? first : second
  }

  /// Writes the slot that is not the newer one. Only under the write lease.
  ///
  /// - Parameter checksPlace: Whether to look if the file is still the one that was opened, and if
  ///   another process has written it since; with each lease at least.
  /// - Throws: `file`; the other slot is as it was.
  func write(
    store: StoreID, position: Position, root: Digest, at time: Timestamp, checksPlace: Bool = true
  ) throws(JournalError) {
    try state.withLock { (state) throws(JournalError) in
      if checksPlace || state.descriptor < 0 {
        try openFile(&state)
        readSequence(&state)
      }
      state.sequence += 1
      let witness = HeadWitness(
        store: store, position: position, root: root, writtenAt: time, sequence: state.sequence)
      let offset = Int(state.sequence % 2) * HeadWitness.slotBytes
      let count = unsafe pwrite(
        state.descriptor, witness.slot, HeadWitness.slotBytes, off_t(offset))
      guard count == HeadWitness.slotBytes else {
        throw .file(FileError("pwrite", path, code: count < 0 ? errno : ENOSPC))
      }
      state.isDirty = true
    }
  }

  /// Returns once what was written is on disk.
  func sync() throws(JournalError) {
    try state.withLock { (state) throws(JournalError) in
      guard state.isDirty else { return }
      guard fdatasync(state.descriptor) == 0 else {
        throw .file(FileError("fdatasync", path, code: errno))
      }
      state.isDirty = false
    }
  }

  /// Another process may have written since: its sequence counts.
  private func readSequence(_ state: inout State) {
    var content = [UInt8](repeating: 0, count: HeadSlots.bytes)
    let count = unsafe pread(state.descriptor, &content, HeadSlots.bytes, 0)
    guard count == HeadSlots.bytes else { return }
    state.sequence = max(state.sequence, HeadSlots.newest(of: content)?.sequence ?? 0)
  }

  /// Opens the file if it isn't open, or isn't the one in place any more, and gives it its two slots
  /// if it hasn't got them.
  private func openFile(_ state: inout State) throws(JournalError) {
    if state.descriptor >= 0 {
      if state.identity == FileIdentity(ofPath: path) { return }
      close(state.descriptor)
      state.descriptor = -1
    }
    let descriptor = unsafe open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0o600)
    guard descriptor >= 0 else { throw .file(FileError("open", path, code: errno)) }
    let code = posix_fallocate(descriptor, 0, off_t(HeadSlots.bytes))
    guard code == 0, ftruncate(descriptor, off_t(HeadSlots.bytes)) == 0 else {
      let error = FileError("posix_fallocate", path, code: code != 0 ? code : errno)
      close(descriptor)
      throw .file(error)
    }
    state.descriptor = descriptor
    state.identity = try? FileIdentity(ofOpen: descriptor, path: path)
  }
}
