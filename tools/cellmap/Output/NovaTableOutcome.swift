import Recovery

/// What becomes of a table of Nova's API database when the map is made again from the cells.
struct NovaTableOutcome {
  let name: String
  /// `recovered`, `partly`, `lost`, or `not counted` where a cell that may have some could not be asked.
  let state: String
  /// Records that come back; nil where the cells say nothing of it.
  let count: UInt64?
  /// What is broken in Nova without it.
  let effect: String

  /// One for each table, but those that Nova itself doesn't read any more.
  static func all(of plan: RebuildPlan) -> [NovaTableOutcome] {
    // What the map has then, but what Nova's table can't hold; in no cell yet are those that are only
    // written where their build request is.
    let left = plan.withoutProject.count + plan.unscheduled.count
    let placed = plan.instances.after - min(left, plan.instances.after)
    let isWhole = plan.isComplete && !plan.hasFindings
    let state = isWhole ? "recovered" : "partly"
    let mapped = [
      NovaTableOutcome(
        name: "cell_mappings", state: "recovered", count: UInt64(plan.cells.count),
        effect: "nothing works"),
      NovaTableOutcome(
        name: "host_mappings", state: state, count: plan.hosts.after,
        effect: "no server is built or moved"),
      NovaTableOutcome(
        name: "instance_mappings", state: state, count: placed, effect: "no server is found"),
      NovaTableOutcome(
        name: "build_requests", state: "lost", count: nil,
        effect: "servers that were accepted and not in a cell yet are lost"),
    ]
    let census = plan.census
    let pieces: [(String, UInt64?, String)] = [
      (
        "request_specs", census?.requestSpecs,
        "resize, migrate, unshelve, rebuild and evacuate fail"
      ),
      ("flavors, flavor_extra_specs", census?.flavors, "no new servers"),
      ("key_pairs", census?.keyPairs, "users upload their keys again"),
    ]
    let isCounted = census.map { $0.uncounted.isEmpty } ?? true
    let partly = pieces.map { name, count, effect in
      if let count, count > 0 {
        return NovaTableOutcome(name: name, state: "partly", count: count, effect: effect)
      }
      return NovaTableOutcome(
        name: name, state: isCounted ? "lost" : "not counted", count: isCounted ? count : nil,
        effect: effect)
    }
    return mapped + partly + lost
  }

  private static let lost = [
    ("flavor_projects", "private flavors are seen by nobody until access is given again"),
    ("aggregates, aggregate_hosts, aggregate_metadata", "availability zones are gone"),
    (
      "instance_groups, instance_group_member, instance_group_policy",
      "affinity between servers is gone"
    ),
    ("quotas, quota_classes, project_user_quotas", "the defaults hold"),
  ].map { NovaTableOutcome(name: $0.0, state: "lost", count: nil, effect: $0.1) }
}
