internal import Journal

/// Asks only the cells of which no evidence of their identity is recorded yet, and none for where its
/// instances run: following costs the cells nothing.
struct NewCellWitness<Witness: CellWitness>: CellWitness {
  let witness: Witness
  let known: Set<CellID>

  func identity(of cell: CellID) throws(CellWitnessError) -> CellIdentity {
    guard !known.contains(cell) else { throw CellWitnessError("it is known") }
    return try witness.identity(of: cell)
  }

  func look(at cell: CellID, database: Secret?) throws(CellWitnessError) {
    try witness.look(at: cell, database: database)
  }

  func hosts(
    of instances: [InstanceID], in cell: CellID
  ) throws(CellWitnessError) -> [InstanceID: ByteText] {
    throw CellWitnessError("it isn't asked")
  }
}
