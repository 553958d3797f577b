import Journal

/// The options of several files and of the environment, with `$` references replaced.
struct ConfigurationOptions: Sendable {
  struct Value: Sendable {
    let bytes: [UInt8]
    let place: ConfigurationPlace
  }

  /// How many references may lead on from one to the next.
  private static let depthLimit = 16

  private let environment: [String: String]
  /// The last value of each option of each file, the last file first.
  private let files: [[String: Value]]

  init(files: [ConfigurationFile], environment: [String: String]) {
    self.environment = environment
    self.files = files.reversed().map { file in
      file.options.reduce(into: [:]) { values, option in
        let place = ConfigurationPlace.file(path: file.path, line: option.line)
        values[Self.key(option.group, option.name)] = Value(bytes: option.value, place: place)
      }
    }
  }

  /// The value of an option as a secret; nil where it isn't set, or is empty.
  func secret(_ group: String, _ name: String) throws(NovaConfigurationError) -> Secret? {
    guard let value = try value(group, [name]), !value.bytes.isEmpty else { return nil }
    return Secret(value.bytes)
  }

  /// The value of an option under the first of its names that the last file has.
  func value(_ group: String, _ names: [String]) throws(NovaConfigurationError) -> Value? {
    try value(group, names, depth: 0)
  }

  private func value(
    _ group: String, _ names: [String], depth: Int
  ) throws(NovaConfigurationError) -> Value? {
    guard let (name, found) = raw(group, names) else { return nil }
    guard found.bytes.contains(UInt8(ascii: "$")) else { return found }
    guard depth < Self.depthLimit else {
      throw .reference(group: group, name: name, at: found.place, .tooDeep)
    }
    let bytes = try substituted(found, group, name, depth: depth)
    return Value(bytes: bytes, place: found.place)
  }

  private func raw(_ group: String, _ names: [String]) -> (String, Value)? {
    for name in names {
      let variable = "OS_\(group.uppercased())__\(name.uppercased())"
      if let text = environment[variable] {
        return (name, Value(bytes: Array(text.utf8), place: .environment(name: variable)))
      }
    }
    for file in files {
      for name in names {
        if let value = file[Self.key(group, name)] { return (name, value) }
      }
    }
    return nil
  }

  private static func key(_ group: String, _ name: String) -> String { "\(group)\u{0}\(name)" }

  /// Replaces `$name`, `${name}`, `$group.name` and `${group.name}`; `$$` and `\$` are a dollar. A
  /// dollar before anything else stays, as it does for oslo.config.
  private func substituted(
    _ value: Value, _ group: String, _ name: String, depth: Int
  ) throws(NovaConfigurationError) -> [UInt8] {
    var rest = value.bytes[...]
    var result: [UInt8] = []
    while let byte = rest.popFirst() {
      if byte == UInt8(ascii: "\\"), rest.first == UInt8(ascii: "$") {
        result.append(UInt8(ascii: "$"))
        rest = rest.dropFirst()
      } else if byte != UInt8(ascii: "$") {
        result.append(byte)
      } else if rest.first == UInt8(ascii: "$") {
        result.append(byte)
        rest = rest.dropFirst()
      } else if let (reference, after) = Self.reference(at: rest) {
        guard let found = try target(of: reference, group, depth: depth + 1) else {
          throw .reference(group: group, name: name, at: value.place, .unknown)
        }
        result += found.bytes
        rest = after
      } else {
        result.append(byte)
      }
    }
    return result
  }

  /// An option named without a group is looked for in the group of the one that names it, then in
  /// `DEFAULT`.
  private func target(
    of reference: String, _ group: String, depth: Int
  ) throws(NovaConfigurationError) -> Value? {
    let parts = reference.split(separator: ".", maxSplits: 1, omittingEmptySubsequences: false)
    if parts.count == 2 { return try value(String(parts[0]), [String(parts[1])], depth: depth) }
    if let found = try value(group, [reference], depth: depth) { return found }
    return try value("DEFAULT", [reference], depth: depth)
  }

  /// The name that follows a dollar, and what follows the name.
  private static func reference(at text: ArraySlice<UInt8>) -> (String, ArraySlice<UInt8>)? {
    let isBraced = text.first == UInt8(ascii: "{")
    let start = isBraced ? text.dropFirst() : text
    guard let first = start.first, first == UInt8(ascii: "_") || isLetter(first) else {
      return nil
    }
    let name = start.prefix {
      isLetter($0) || (0x30...0x39).contains($0) || $0 == UInt8(ascii: "_")
        || $0 == UInt8(ascii: ".")
    }
    let after = start[name.endIndex...]
    guard isBraced else { return (String(decoding: name, as: UTF8.self), after) }
    guard after.first == UInt8(ascii: "}") else { return nil }
    return (String(decoding: name, as: UTF8.self), after.dropFirst())
  }

  private static func isLetter(_ byte: UInt8) -> Bool {
    (0x41...0x5A).contains(byte) || (0x61...0x7A).contains(byte)
  }
}
