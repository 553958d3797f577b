internal import Cells
internal import Journal
internal import Projections

extension MapPublication {
  /// Adds to the global tables what they lack and the cells have; nothing that is there is changed.
  func walkGlobals(
    of source: GlobalSource, _ run: inout PublicationRun, _ progress: (PublicationPlan) -> Void
  ) throws(PublicationError) {
    let tables = options.globals
    if tables.contains(.flavors) || tables.contains(.keyPairs) {
      let plan = run.plan
      let copies = try source.copies { _ in progress(plan) }
      for item in source.unreadable where tables.tables.contains(item.table) {
        run.plan[item.table].left += 1
        run.plan.note(.unpublishable, item.table, ByteText(item.key), item.why)
      }
      if tables.contains(.flavors) { try walkFlavors(copies, &run) }
      if tables.contains(.keyPairs) { try walkKeyPairs(copies, &run) }
    }
    if tables.contains(.requestSpecs) { try walkRequestSpecs(source, &run, progress) }
    run.plan.unreadCells = source.unread
  }

  // MARK: Flavors

  private func walkFlavors(
    _ copies: GlobalCopies, _ run: inout PublicationRun
  ) throws(PublicationError) {
    run.plan.largestNumber[.flavors] = try mapped { () throws(ProjectionError) in
      try copies.largestFlavorNumber()
    }
    try reserve(.flavors, &run)
    var last: ByteText?
    while true {
      let page = try mapped { () throws(ProjectionError) in
        try copies.flavors(after: last, limit: Self.batchRowsBesideNova)
      }
      guard let end = page.last else { return }
      let known = try target.present(page.map(\.copy.flavorID), in: .flavors)
      let names = try target.present(page.map(\.copy.name), of: "name", in: .flavors)
      for (copy, isReplaced) in page {
        if known.contains(copy.flavorID) {
          run.plan.flavors.same += 1
        } else if isReplaced || names.contains(copy.name) {
          // An older flavor of that name: Nova's table can't hold both, and didn't.
          run.plan.flavors.surplus += 1
        } else {
          try add(copy, &run)
        }
      }
      last = end.copy.flavorID
    }
  }

  /// A flavor and its extra specs, in one transaction: without them it would be another flavor.
  private func add(_ copy: FlavorCopy, _ run: inout PublicationRun) throws(PublicationError) {
    var changes = [
      RowChange(
        table: .flavors, seen: nil, row: copy.row(target.dialect, at: .now.inWholeSeconds),
        conditions: [])
    ]
    try giveNumbers(&changes, of: .flavors, &run)
    let row = changes[0].row
    for spec in copy.extraSpecs(of: row) {
      changes.append(
        RowChange(table: .flavorExtraSpecs, seen: nil, row: spec, conditions: [.flavor(row)]))
    }
    guard case .database = run.output else {
      if case .script(let script) = run.output { try script.append(changes) }
      return run.plan.count(changes[0])
    }
    beforeWriting()
    do throws(DatabaseError) {
      if try target.write(changes, at: .now)[0] {
        run.plan.count(changes[0])
      } else {
        run.plan.flavors.same += 1
      }
    } catch {
      guard error.isOfOneRow else { throw target.unwritable(error) }
      run.plan.flavors.left += 1
      run.plan.note(
        .unpublishable, .flavors, changes[0].key, "the database refuses it: \(error)")
    }
  }

  // MARK: Key pairs

  private func walkKeyPairs(
    _ copies: GlobalCopies, _ run: inout PublicationRun
  ) throws(PublicationError) {
    var last: KeyPairCopy?
    while true {
      let page = try mapped { () throws(ProjectionError) in
        try copies.keyPairs(after: last, limit: Self.batchRows)
      }
      guard let end = page.last else { return }
      let known = try target.present(keyPairs: page.map { ($0.user, $0.name) })
      let now = Timestamp.now.inWholeSeconds
      var changes: [RowChange] = []
      for copy in page {
        if known.contains([copy.user, copy.name]) {
          run.plan.keyPairs.same += 1
        } else {
          changes.append(
            RowChange(
              table: .keyPairs, seen: nil, row: copy.row(target.dialect, at: now), conditions: []))
        }
      }
      try put(changes, &run)
      last = end
    }
  }

  // MARK: Request specs

  private func walkRequestSpecs(
    _ source: GlobalSource, _ run: inout PublicationRun, _ progress: (PublicationPlan) -> Void
  ) throws(PublicationError) {
    var last: InstanceID?
    while true {
      let page = try mapped { () throws(ProjectionError) in
        try index.instances(after: last, limit: Self.batchRows)
      }
      guard let end = page.last else { return }
      let keys = page.map { ByteText($0.id.description) }
      let known = try target.present(keys, in: .requestSpecs)
      let building = try target.buildRequests(among: keys)
      var missing: [CellID: [InstanceID]] = [:]
      for (item, key) in zip(page, keys) {
        if known.contains(key) {
          run.plan.requestSpecs.same += 1
        } else if let cell = item.row.record.cell, !building.contains(key) {
          guard item.row.record.owner.project != nil else {
            run.plan.requestSpecs.left += 1
            run.plan.note(
              .unpublishable, .requestSpecs, key, "Nova's map can't hold it: it has no project")
            continue
          }
          missing[cell, default: []].append(item.id)
        }
      }
      var changes: [RowChange] = []
      for (cell, instances) in missing.sorted(by: { $0.key < $1.key }) {
        guard let facts = source.facts(of: instances, in: cell) else { continue }
        for id in instances {
          // Nova wants none of an instance that is deleted, or that its cell doesn't have.
          guard let facts = facts[id] else { continue }
          if let change = requestSpec(facts, &run) { changes.append(change) }
        }
      }
      try put(changes, &run)
      progress(run.plan)
      last = end.id
    }
  }

  private func requestSpec(_ facts: RequestFacts, _ run: inout PublicationRun) -> RowChange? {
    let key = ByteText(facts.id.description)
    do throws(RequestSpecText.Problem) {
      let text = try RequestSpecText.make(facts)
      guard case .text(let now) = target.dialect.time(.now.inWholeSeconds) else { return nil }
      return RowChange(
        table: .requestSpecs, seen: nil,
        row: PublishedRow(number: nil, values: [.text(key), .text(text)], createdAt: now),
        conditions: [.mapping(key), .buildRequest(key, exists: false)])
    } catch {
      run.plan.requestSpecs.left += 1
      run.plan.note(.unpublishable, .requestSpecs, key, error.text)
      return nil
    }
  }
}

extension Timestamp {
  /// Without its fraction, as Nova's columns of times are.
  var inWholeSeconds: Timestamp { Timestamp(microseconds: microseconds / 1_000_000 * 1_000_000) }
}
