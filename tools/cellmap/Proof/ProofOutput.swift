import Journal

/// How proofs are printed.
enum ProofOutput {
  static func fields(
    of proof: InclusionProof, at position: Position, entry: [UInt8]
  ) -> [String: JSONValue] {
    [
      "proof": "inclusion", "position": .printed(position), "index": .number(proof.index),
      "digest": .printed(proof.digest), "entry": .text(Base64.standard.text(of: entry)),
      "size": .number(proof.size), "root": .printed(proof.root), "path": list(proof.path),
    ]
  }

  static func fields(of proof: ConsistencyProof) -> [String: JSONValue] {
    [
      "proof": "consistency", "first": .number(proof.first),
      "first_root": .printed(proof.firstRoot),
      "second": .number(proof.second), "second_root": .printed(proof.secondRoot),
      "path": list(proof.path),
    ]
  }

  static func list(_ path: [Digest]) -> JSONValue { .list(path.map { .printed($0) }) }

  static func say(_ answer: [String: JSONValue]) {
    if answer["proof"] == "inclusion" {
      Console.print(
        "Entry \(answer.shown("position")) is in the tree of the first \(answer.shown("size")) "
          + "entries.")
      Console.print("digest       \(answer.shown("digest"))")
      Console.print("root         \(answer.shown("root"))")
    } else {
      Console.print(
        "The first \(answer.shown("first")) entries are the beginning of the first "
          + "\(answer.shown("second")).")
      Console.print("first root   \(answer.shown("first_root"))")
      Console.print("second root  \(answer.shown("second_root"))")
    }
    guard case .list(let path)? = answer["path"] else { return }
    for (place, node) in path.enumerated() {
      Console.print((place == 0 ? "path         " : "             ") + (node.string ?? ""))
    }
  }
}
