internal import Journal
internal import Synchronization

/// What the map says of an instance, as the cache keeps it: its cell by the directory's number, its
/// deletion mark, and the entry that changed it last. Never its host, which only the cell knows.
struct CachedMapping: Hashable, Sendable {
  /// The cell's place in `CellDirectory`; nil while the instance isn't scheduled.
  var cell: Int?
  var isQueuedForDelete: Bool?
  var changedAt: UInt64
}

/// The map's answers of before, of a fixed number of instances, safe to ask from every thread.
///
/// Open addressing within stripes, each under a lock of its own; an instance has a window of
/// `window` places, and a new one takes the place of an older one when its window is full.
final class RouteCache: Sendable {
  /// How many instances it holds at the most.
  let capacity: Int
  private let stripes: [Stripe]
  private let placesPerStripe: Int
  /// The index of the last entry whose instance was dropped: older answers don't enter any more.
  private let passed = Atomic<UInt64>(0)

  private static let stripeCount = 64
  private static let window = 8

  /// One part of the places; a class, because a lock can't be moved into an array.
  private final class Stripe: Sendable {
    let slots: Mutex<[Slot]>
    init(count: Int) { slots = Mutex([Slot](repeating: Slot(), count: count)) }
  }

  /// 32 bytes, two to a cache line; `payload` 0 means that the place is free.
  private struct Slot {
    var high: UInt64 = 0
    var low: UInt64 = 0
    var changedAt: UInt64 = 0
    /// Bit 0: taken. Bits 1 and 2: the mark. From bit 32: the cell's number + 1, or 0 for none.
    var payload: UInt64 = 0

    init() {}

    init(_ id: InstanceID, _ mapping: CachedMapping) {
      (high, low) = (id.uuid.high, id.uuid.low)
      changedAt = mapping.changedAt
      let mark: UInt64 =
        switch mapping.isQueuedForDelete {
        case nil: 0
        case false?: 1
        case true?: 2
        }
      payload = 1 | mark << 1 | UInt64(mapping.cell.map { $0 + 1 } ?? 0) << 32
    }

    func holds(_ id: InstanceID) -> Bool {
      high == id.uuid.high && low == id.uuid.low && payload != 0
    }

    var mapping: CachedMapping {
      let cell = Int(payload >> 32)
      let mark = payload >> 1 & 3
      return CachedMapping(
        cell: cell == 0 ? nil : cell - 1, isQueuedForDelete: mark == 0 ? nil : mark == 2,
        changedAt: changedAt)
    }
  }

  /// - Parameter capacity: Rounded up to a power of two, at least 1,024.
  init(capacity: Int) {
    var rounded = 1_024
    while rounded < capacity { rounded *= 2 }
    self.capacity = rounded
    let places = rounded / Self.stripeCount
    placesPerStripe = places
    stripes = (0..<Self.stripeCount).map { _ in Stripe(count: places) }
  }

  /// What was kept of an instance; nil if nothing is.
  // Hot path: at most 100 ns, 0 allocations.
  func lookup(_ id: InstanceID) -> CachedMapping? {
    let (stripe, first) = place(of: id)
    return stripes[stripe].slots.withLock { slots in
      for step in 0..<Self.window {
        let index = (first + step) & (placesPerStripe - 1)
        if slots[index].holds(id) { return slots[index].mapping }
      }
      return nil
    }
  }

  /// Keeps an answer that was true at the entry `position`, unless entries after it were seen: one
  /// of them may have changed the instance.
  func insert(_ id: InstanceID, _ mapping: CachedMapping, readAt position: UInt64) {
    let (stripe, first) = place(of: id)
    stripes[stripe].slots.withLock { slots in
      // Under the lock: a drop comes either after the insertion, or has moved `passed` before it.
      guard position >= passed.load(ordering: .acquiring) else { return }
      var chosen = (first + Int(truncatingIfNeeded: id.uuid.low >> 8) & (Self.window - 1))
      for step in (0..<Self.window).reversed() {
        let index = first + step
        let slot = slots[index & (placesPerStripe - 1)]
        if slot.payload == 0 { chosen = index }
        if slot.holds(id) {
          chosen = index
          break
        }
      }
      slots[chosen & (placesPerStripe - 1)] = Slot(id, mapping)
    }
  }

  /// Drops what entries up to `position` have changed.
  func drop(_ ids: some Sequence<InstanceID>, upTo position: UInt64) {
    pass(position)
    for id in ids {
      let (stripe, first) = place(of: id)
      stripes[stripe].slots.withLock { slots in
        for step in 0..<Self.window {
          let index = (first + step) & (placesPerStripe - 1)
          if slots[index].holds(id) { slots[index] = Slot() }
        }
      }
    }
  }

  /// Drops everything that was read before the entry `position`.
  func dropAll(upTo position: UInt64) {
    pass(position)
    for stripe in stripes {
      stripe.slots.withLock { slots in
        for index in slots.indices { slots[index] = Slot() }
      }
    }
  }

  /// Called by the follower alone, under its lock, so it only grows.
  private func pass(_ position: UInt64) {
    passed.store(position, ordering: .releasing)
  }

  /// The stripe, and the first place of the window in it.
  @inline(__always)
  private func place(of id: InstanceID) -> (stripe: Int, first: Int) {
    // Random UUIDs need no mixing; those that count up, or came from elsewhere, do.
    var hash = (id.uuid.high ^ id.uuid.low) &* 0x9E37_79B9_7F4A_7C15
    hash ^= hash >> 32
    hash = hash &* 0xD6E8_FEB8_6659_FD93
    return (
      Int(truncatingIfNeeded: hash >> 58),
      Int(truncatingIfNeeded: hash >> 16) & (placesPerStripe - 1)
    )
  }
}
