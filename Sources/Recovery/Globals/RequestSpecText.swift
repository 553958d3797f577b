internal import Cells
internal import Journal

/// A request spec made again from what a cell has of its instance: flavor, image, availability zone,
/// NUMA, PCI and boot from volume.
///
/// Hints, server group, requested destination and the zone that was asked for are nowhere in a cell.
/// Source: `RequestSpec._get_update_primitives`; Nova's own `_create_minimal_request_spec`, until 2018.
enum RequestSpecText {
  typealias Problem = NovaObjectText.Problem

  /// The text of the column `request_specs.spec`.
  static func make(_ facts: RequestFacts) throws(Problem) -> ByteText {
    let uuid = JSONValue.printed(facts.id)
    let flavor = try NovaObjectText.value(facts.flavor, of: "flavor")?["cur"]
    _ = try NovaObjectText.fields(of: flavor, "Flavor", in: "instance_extra.flavor")
    let limits = ["numa_topology", "vcpu", "disk_gb", "memory_mb"]
    var fields: [String: JSONValue] = [
      "instance_uuid": uuid, "project_id": .printed(facts.project), "user_id": .printed(facts.user),
      "availability_zone": .printed(facts.availabilityZone), "flavor": flavor ?? .null,
      "image": image(facts), "is_bfv": .flag(isBootedFromVolume(facts)),
      "numa_topology": try numaTopology(facts), "pci_requests": try pciRequests(facts),
      "num_instances": .number(1), "scheduler_hints": .object([:]),
      "limits": NovaObjectText.object(
        "SchedulerLimits", "1.0",
        Dictionary(uniqueKeysWithValues: limits.map { ($0, JSONValue.null) })),
      "security_groups": NovaObjectText.object("SecurityGroupList", "1.1", ["objects": .list([])]),
    ]
    for name in ["ignore_hosts", "force_hosts", "force_nodes", "retry", "instance_group"] {
      fields[name] = .null
    }
    return NovaObjectText.text(NovaObjectText.object("RequestSpec", "1.11", fields))
  }

  /// As Nova tells it: by the disk that it boots from, else by the lack of an image.
  private static func isBootedFromVolume(_ facts: RequestFacts) -> Bool {
    facts.isBootedFromVolume ?? (facts.image ?? "" == "")
  }

  private static func numaTopology(_ facts: RequestFacts) throws(Problem) -> JSONValue {
    let value = try NovaObjectText.value(facts.numaTopology, of: "numa_topology")
    guard let value else { return .null }
    _ = try NovaObjectText.fields(
      of: value, "InstanceNUMATopology", in: "instance_extra.numa_topology")
    return value
  }

  /// The column holds a plain list, the object's fields of each.
  private static func pciRequests(_ facts: RequestFacts) throws(Problem) -> JSONValue {
    var requests: [JSONValue] = []
    switch try NovaObjectText.value(facts.pciRequests, of: "pci_requests") {
    case nil: break
    case .list(let items)?:
      for item in items {
        guard case .object(var fields) = item else {
          throw Problem(text: "its pci_requests has what is no request")
        }
        fields["is_new"] = nil
        requests.append(NovaObjectText.object("InstancePCIRequest", "1.1", fields))
      }
    default: throw Problem(text: "its pci_requests is no list")
    }
    return NovaObjectText.object(
      "InstancePCIRequests", "1.1",
      ["instance_uuid": .printed(facts.id), "requests": .list(requests)])
  }

  // MARK: Image

  private static let prefix = "image_"
  private static let traitPrefix = "trait:"
  /// What Nova keeps of the image itself, beside its properties.
  private static let imageNumbers: Set<String> = ["min_ram", "min_disk"]
  private static let imageTexts: Set<String> = ["disk_format", "container_format"]
  /// Properties whose fields are lists, which no scheduler looks at; NUMA has a column of its own.
  private static let listed: Set<String> = [
    "img_mappings", "img_block_device_mapping", "hw_numa_cpus", "hw_numa_mem",
  ]
  /// Nova's names for what older images call otherwise, as far as scheduling looks at it.
  private static let names = [
    "architecture": "hw_architecture", "vm_mode": "hw_vm_mode", "hypervisor_type": "img_hv_type",
    "hypervisor_version_requires": "img_hv_requested_version",
  ]

  private static func image(_ facts: RequestFacts) -> JSONValue {
    var image: [String: JSONValue] = [:]
    var properties: [String: JSONValue] = [:]
    var traits: [JSONValue] = []
    for (key, value) in facts.imageProperties where key.string.hasPrefix(prefix) {
      let name = String(key.string.dropFirst(prefix.count))
      let text = JSONValue.text(value.string)
      if imageNumbers.contains(name) {
        image[name] = text.integer.map { .number($0) }
      } else if imageTexts.contains(name) {
        image[name] = text
      } else if name.hasPrefix(traitPrefix) {
        if value == "required" { traits.append(.text(String(name.dropFirst(traitPrefix.count)))) }
      } else if let known = names[name] {
        properties[known] = properties[known] ?? text
      } else if isProperty(name) {
        properties[name] = text
      }
    }
    if !traits.isEmpty { properties["traits_required"] = .list(traits) }
    if let id = facts.image, id != "" { image["id"] = .printed(id) }
    image["properties"] = NovaObjectText.object("ImageMetaProps", "1.0", properties)
    return NovaObjectText.object("ImageMeta", "1.0", image)
  }

  private static func isProperty(_ name: String) -> Bool {
    ["hw_", "img_", "os_"].contains(where: { name.hasPrefix($0) }) && !listed.contains(name)
      && !name.contains(".")
  }
}
