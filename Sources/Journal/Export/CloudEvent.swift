/// An entry as a CloudEvent 1.0 in JSON: for buses and collectors, which pass it on as it is.
enum CloudEvent {
  /// The event's line, without its end; the entry's bytes are not in it, nor anything sealed.
  ///
  /// - Throws: `malformed` for an entry that can't be decoded.
  static func line(of entry: EntryLine, store: StoreID) throws(EntryError) -> String {
    let data = try entry.readable()
    let name = entry.event.split(separator: " ").joined(separator: ".")
    var members: [String: JSONValue] = [
      "specversion": "1.0", "id": .printed(entry.header.position),
      "source": .text("urn:uuid:\(store)"), "type": .text("cellmap.\(name)"),
      "time": .printed(entry.header.orderedAt), "datacontenttype": "application/json",
      "data": .object(data),
    ]
    // An attribute is left out rather than null.
    if let entity = data["entity"], entity != .null { members["subject"] = entity }
    return JSONValue.object(members).line
  }
}
