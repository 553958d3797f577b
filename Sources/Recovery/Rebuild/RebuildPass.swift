internal import Journal
internal import Registry

/// One walk over what a scan found: each observation is put to the map's rules and counted, and handed
/// to the registry where it is to be applied.
///
/// What the rules refuse is passed over by name, so that no chunk is refused for one of its rows.
final class RebuildPass {
  var plan = RebuildPlan()
  /// The digests over the rows of each cell.
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
    let chunks = submission.map { ChunkedSubmission($0, decide) }
    for (name, found) in try work.hosts(&plan) where try isTaken(found, &plan) {
      var found = found
      try chunks?.add(&found, of: .host(name), &plan)
    }
    return try chunks?.finish(&plan) ?? 0
  }

  private func takeInstances(_ progress: (UInt64) -> Void) throws(RebuildError) -> UInt64 {
    let chunks = try submission.map { (submission) throws(RebuildError) in
      ChunkedSubmission(submission, load: try load(by: submission), decide)
    }
    var done: UInt64 = 0
    digests = try work.forEachInstance(&plan) { (plan, found) throws(RebuildError) in
      done += 1
      if done % 1_000 == 0 { progress(done) }
      let entity = found[0].entity
      // A load decides chunk by chunk.
      guard try chunks?.load != nil ? true : isTaken(found, &plan) else { return }
      try chunks?.add(&found, of: entity, &plan)
    }
    return try chunks?.finish(&plan) ?? 0
  }

  private func load(by submission: Submission) throws(RebuildError) -> MapLoad? {
    do throws(RegistryError) {
      return try submission.registry.beginLoad()
    } catch {
      throw .registry(error)
    }
  }

  private func isTaken(
    _ observations: [Observation], _ plan: inout RebuildPlan
  ) throws(RebuildError) -> Bool {
    do throws(RegistryError) { return try decide(observations, &plan) } catch {
      throw .registry(error)
    }
  }

  /// Puts what is to be observed of one thing to the rules, and counts it.
  ///
  /// - Returns: Whether the rules take the thing.
  private func decide(
    _ observations: [Observation], _ plan: inout RebuildPlan
  ) throws(RegistryError) -> Bool {
    for observation in observations {
      do throws(RegistryError) {
        plan.count(observation.state, try preview.events(observation))
      } catch .refused(let why) {
        plan.refuse(observation, why)
        return false
      }
    }
    return true
  }
}
