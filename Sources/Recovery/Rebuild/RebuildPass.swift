internal import Journal
internal import Registry

/// One walk over what a scan found: each observation is put to the map's rules and counted, and handed
/// to the registry where it is to be applied.
///
/// What the rules refuse is passed over by name, so that no chunk is refused for one of its rows.
final class RebuildPass {
  var plan = RebuildPlan()
  /// The digests over the rows of each cell, where they are applied.
  private(set) var digests: [CellID: Digest] = [:]
  /// What was changed in the map.
  private(set) var changed = ChangeCounts()

  private let work: RebuildWork
  private let preview: ChangePreview
  /// nil for a plan: nothing is written.
  private let submission: Submission?

  init(work: RebuildWork, preview: ChangePreview, submission: Submission?) {
    self.work = work
    self.preview = preview
    self.submission = submission
  }

  /// - Parameter progress: Gets the number of instances that were looked at, now and then.
  func run(progress: (UInt64) -> Void) throws(RebuildError) {
    changed.hosts = try takeHosts()
    changed.instances = try takeInstances(progress)
    plan.ownersLeft = preview.ownersLeft
  }

  private func takeHosts() throws(RebuildError) -> UInt64 {
    let chunks = submission.map { ChunkedSubmission($0) }
    for (name, found) in try work.hosts(&plan) {
      guard let events = try decide(found, nil, &plan) else { continue }
      try chunks?.add(found, events, of: .host(name))
    }
    return try chunks?.finish() ?? 0
  }

  private func takeInstances(_ progress: (UInt64) -> Void) throws(RebuildError) -> UInt64 {
    let chunks = try submission.map { (submission) throws(RebuildError) in
      ChunkedSubmission(submission, load: try load(by: submission))
    }
    var done: UInt64 = 0
    try work.forEachInstance(&plan, row: note) { (plan, found) throws(RebuildError) in
      done += 1
      if done % 1_000 == 0 { progress(done) }
      guard let entity = found.first?.entity,
        let events = try decide(found, chunks?.load, &plan)
      else { return }
      try chunks?.add(found, events, of: entity)
    }
    return try chunks?.finish() ?? 0
  }

  private func load(by submission: Submission) throws(RebuildError) -> MapLoad? {
    do throws(RegistryError) {
      return try submission.registry.beginLoad(after: work.basis)
    } catch {
      throw .registry(error)
    }
  }

  private func note(_ copy: StagedInstance, _ digest: Digest) {
    guard submission != nil else { return }
    digests[copy.cell] = work.digest(digests[copy.cell], followedBy: digest)
  }

  /// Puts what is to be observed of one thing to the rules, and counts it.
  ///
  /// - Returns: What each observation takes; nil if the rules don't take the thing.
  private func decide(
    _ observations: [Observation], _ load: MapLoad?, _ plan: inout RebuildPlan
  ) throws(RebuildError) -> [[Event]]? {
    var all: [[Event]] = []
    for observation in observations {
      let events: [Event]?
      do throws(RegistryError) {
        if let load {
          events = try load.events(observation)
        } else {
          events = try preview.events(observation)
        }
      } catch .refused(let why) {
        plan.refuse(observation, why)
        return nil
      } catch {
        throw .registry(error)
      }
      plan.count(observation.state, events)
      all.append(events ?? [])
    }
    return all
  }
}
