public import Journal

/// What a cell's own database says while its map is taken over; nil where it can't be read.
public protocol CellWitness {
  /// The UUIDs of the cell's services and compute nodes.
  ///
  /// - Throws: `CellWitnessError` with the reason, in words for an operator.
  func identity(of cell: CellID) throws(CellWitnessError) -> CellIdentity

  /// Whether the database of a row of `cell_mappings` can be read; the map need not hold the cell.
  func look(at cell: CellID, database: Secret?) throws(CellWitnessError)

  /// The hosts on which instances of the cell run now; those that it doesn't have are left out.
  func hosts(
    of instances: [InstanceID], in cell: CellID
  ) throws(CellWitnessError) -> [InstanceID: ByteText]
}

/// Why a cell's database told nothing.
public struct CellWitnessError: Error, Sendable {
  public let reason: String
  public init(_ reason: String) { self.reason = reason }
}

extension CellIdentity {
  /// The evidence that isn't known yet, in parts that an entry can hold.
  func parts(of size: Int, without known: Set<UUID128>) -> [CellIdentity] {
    let newServices = services.filter { !known.contains($0) }
    let newNodes = computeNodes.filter { !known.contains($0) }
    var parts: [CellIdentity] = []
    for start in stride(from: 0, to: max(newServices.count, newNodes.count), by: size) {
      parts.append(
        CellIdentity(
          services: Array(newServices.dropFirst(start).prefix(size)),
          computeNodes: Array(newNodes.dropFirst(start).prefix(size)), server: server))
    }
    return parts
  }
}
