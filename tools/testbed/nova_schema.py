"""The tables of Nova 34.0.0 that a map of its cells rests on, with Nova's columns and indexes.

Nova's databases have many more tables; these are the ones that routing, adopting and rebuilding
read. Columns, keys and index names are those that Nova's own migrations make on SQLite.
"""

API_HEAD = "cdeec0c85668"
CELL_HEAD = "ab450ba04102"

_TIMES = "created_at DATETIME, updated_at DATETIME"
_SOFT_TIMES = _TIMES + ", deleted_at DATETIME"

_INSTANCE_COLUMNS = _SOFT_TIMES + """,
  id INTEGER NOT NULL, internal_id INTEGER, user_id VARCHAR(255), project_id VARCHAR(255),
  image_ref VARCHAR(255), kernel_id VARCHAR(255), ramdisk_id VARCHAR(255), launch_index INTEGER,
  key_name VARCHAR(255), key_data TEXT, power_state INTEGER, vm_state VARCHAR(255),
  memory_mb INTEGER, vcpus INTEGER, hostname VARCHAR(255), host VARCHAR(255), user_data TEXT,
  reservation_id VARCHAR(255), launched_at DATETIME, terminated_at DATETIME,
  display_name VARCHAR(255), display_description VARCHAR(255), availability_zone VARCHAR(255),
  locked BOOLEAN, os_type VARCHAR(255), launched_on TEXT, instance_type_id INTEGER,
  vm_mode VARCHAR(255), uuid VARCHAR(36) NOT NULL, architecture VARCHAR(255),
  root_device_name VARCHAR(255), access_ip_v4 VARCHAR(39), access_ip_v6 VARCHAR(39),
  config_drive VARCHAR(255), task_state VARCHAR(255), default_ephemeral_device VARCHAR(255),
  default_swap_device VARCHAR(255), progress INTEGER, auto_disk_config BOOLEAN,
  shutdown_terminate BOOLEAN, disable_terminate BOOLEAN, root_gb INTEGER, ephemeral_gb INTEGER,
  cell_name VARCHAR(255), node VARCHAR(255), deleted INTEGER, locked_by VARCHAR(5),
  cleaned INTEGER, ephemeral_key_uuid VARCHAR(36), hidden BOOLEAN, compute_id BIGINT,
  PRIMARY KEY (id)"""

_VERSION_TABLE = (
    "version_num VARCHAR(32) NOT NULL,"
    " CONSTRAINT alembic_version_pkc PRIMARY KEY (version_num)")

API_TABLES = {
    "alembic_version": _VERSION_TABLE,
    "cell_mappings": _TIMES + """, id INTEGER NOT NULL, uuid VARCHAR(36) NOT NULL,
  name VARCHAR(255), transport_url TEXT, database_connection TEXT, disabled BOOLEAN,
  PRIMARY KEY (id), CONSTRAINT uniq_cell_mappings0uuid UNIQUE (uuid)""",
    "host_mappings": _TIMES + """, id INTEGER NOT NULL, cell_id INTEGER NOT NULL,
  host VARCHAR(255) NOT NULL, PRIMARY KEY (id), CONSTRAINT uniq_host_mappings0host UNIQUE (host),
  FOREIGN KEY(cell_id) REFERENCES cell_mappings (id)""",
    "instance_mappings": _TIMES + """, id INTEGER NOT NULL, instance_uuid VARCHAR(36) NOT NULL,
  cell_id INTEGER, project_id VARCHAR(255) NOT NULL, queued_for_delete BOOLEAN,
  user_id VARCHAR(255), PRIMARY KEY (id),
  CONSTRAINT uniq_instance_mappings0instance_uuid UNIQUE (instance_uuid),
  FOREIGN KEY(cell_id) REFERENCES cell_mappings (id)""",
    "build_requests": _TIMES + """, id INTEGER NOT NULL, project_id VARCHAR(255) NOT NULL,
  instance_uuid VARCHAR(36), instance TEXT, block_device_mappings TEXT, tags TEXT,
  PRIMARY KEY (id), CONSTRAINT uniq_build_requests0instance_uuid UNIQUE (instance_uuid)""",
    "request_specs": _TIMES + """, id INTEGER NOT NULL, instance_uuid VARCHAR(36) NOT NULL,
  spec TEXT NOT NULL, PRIMARY KEY (id),
  CONSTRAINT uniq_request_specs0instance_uuid UNIQUE (instance_uuid)""",
    "flavors": _TIMES + """, name VARCHAR(255) NOT NULL, id INTEGER NOT NULL,
  memory_mb INTEGER NOT NULL, vcpus INTEGER NOT NULL, swap INTEGER NOT NULL,
  vcpu_weight INTEGER, flavorid VARCHAR(255) NOT NULL, rxtx_factor FLOAT, root_gb INTEGER,
  ephemeral_gb INTEGER, disabled BOOLEAN, is_public BOOLEAN, description TEXT, PRIMARY KEY (id),
  CONSTRAINT uniq_flavors0flavorid UNIQUE (flavorid), CONSTRAINT uniq_flavors0name UNIQUE (name)""",
    "flavor_extra_specs": _TIMES + """, id INTEGER NOT NULL, flavor_id INTEGER NOT NULL,
  "key" VARCHAR(255) NOT NULL, value VARCHAR(255), PRIMARY KEY (id),
  CONSTRAINT uniq_flavor_extra_specs0flavor_id0key UNIQUE (flavor_id, "key"),
  FOREIGN KEY(flavor_id) REFERENCES flavors (id)""",
    "key_pairs": _TIMES + """, id INTEGER NOT NULL, name VARCHAR(255) NOT NULL,
  user_id VARCHAR(255) NOT NULL, fingerprint VARCHAR(255), public_key TEXT,
  type VARCHAR(4) DEFAULT 'ssh' NOT NULL, PRIMARY KEY (id),
  CONSTRAINT uniq_key_pairs0user_id0name UNIQUE (user_id, name)""",
}

API_INDEXES = [
    "INDEX uuid_idx ON cell_mappings (uuid)",
    "INDEX host_idx ON host_mappings (host)",
    "INDEX instance_uuid_idx ON instance_mappings (instance_uuid)",
    "INDEX project_id_idx ON instance_mappings (project_id)",
    "INDEX instance_mappings_user_id_project_id_idx ON instance_mappings (user_id, project_id)",
    "INDEX build_requests_project_id_idx ON build_requests (project_id)",
    "INDEX build_requests_instance_uuid_idx ON build_requests (instance_uuid)",
    "INDEX request_spec_instance_uuid_idx ON request_specs (instance_uuid)",
    'INDEX flavor_extra_specs_flavor_id_key_idx ON flavor_extra_specs (flavor_id, "key")',
]

CELL_TABLES = {
    "alembic_version": _VERSION_TABLE,
    "instances": _INSTANCE_COLUMNS + ", CONSTRAINT uniq_instances0uuid UNIQUE (uuid)",
    "shadow_instances": _INSTANCE_COLUMNS,
    "services": _SOFT_TIMES + """, id INTEGER NOT NULL, host VARCHAR(255), binary VARCHAR(255),
  topic VARCHAR(255), report_count INTEGER NOT NULL, disabled BOOLEAN, deleted INTEGER,
  disabled_reason VARCHAR(255), last_seen_up DATETIME, forced_down BOOLEAN, version INTEGER,
  uuid VARCHAR(36), PRIMARY KEY (id),
  CONSTRAINT uniq_services0host0topic0deleted UNIQUE (host, topic, deleted),
  CONSTRAINT uniq_services0host0binary0deleted UNIQUE (host, binary, deleted)""",
    "compute_nodes": _SOFT_TIMES + """, id INTEGER NOT NULL, service_id INTEGER,
  vcpus INTEGER NOT NULL, memory_mb INTEGER NOT NULL, local_gb INTEGER NOT NULL,
  vcpus_used INTEGER NOT NULL, memory_mb_used INTEGER NOT NULL, local_gb_used INTEGER NOT NULL,
  hypervisor_type TEXT NOT NULL, hypervisor_version INTEGER NOT NULL, cpu_info TEXT NOT NULL,
  disk_available_least INTEGER, free_ram_mb INTEGER, free_disk_gb INTEGER,
  current_workload INTEGER, running_vms INTEGER, hypervisor_hostname VARCHAR(255),
  deleted INTEGER, host_ip VARCHAR(39), supported_instances TEXT, pci_stats TEXT, metrics TEXT,
  extra_resources TEXT, stats TEXT, numa_topology TEXT, host VARCHAR(255),
  ram_allocation_ratio FLOAT, cpu_allocation_ratio FLOAT, uuid VARCHAR(36),
  disk_allocation_ratio FLOAT, mapped INTEGER, PRIMARY KEY (id),
  CONSTRAINT uniq_compute_nodes0host0hypervisor_hostname0deleted
    UNIQUE (host, hypervisor_hostname, deleted)""",
    "instance_extra": _SOFT_TIMES + """, deleted INTEGER, id INTEGER NOT NULL,
  instance_uuid VARCHAR(36) NOT NULL, numa_topology TEXT, pci_requests TEXT, flavor TEXT,
  vcpu_model TEXT, migration_context TEXT, keypairs TEXT, device_metadata TEXT,
  trusted_certs TEXT, vpmems TEXT, resources TEXT, PRIMARY KEY (id),
  CONSTRAINT instance_extra_instance_uuid_fkey
    FOREIGN KEY(instance_uuid) REFERENCES instances (uuid)""",
    "instance_system_metadata": _SOFT_TIMES + """, id INTEGER NOT NULL,
  instance_uuid VARCHAR(36) NOT NULL, "key" VARCHAR(255) NOT NULL, value VARCHAR(255),
  deleted INTEGER, PRIMARY KEY (id), CONSTRAINT instance_system_metadata_ibfk_1
    FOREIGN KEY(instance_uuid) REFERENCES instances (uuid)""",
    "block_device_mapping": _SOFT_TIMES + """, id INTEGER NOT NULL, device_name VARCHAR(255),
  delete_on_termination BOOLEAN, snapshot_id VARCHAR(36), volume_id VARCHAR(36),
  volume_size INTEGER, no_device BOOLEAN, connection_info TEXT, instance_uuid VARCHAR(36),
  deleted INTEGER, source_type VARCHAR(255), destination_type VARCHAR(255),
  guest_format VARCHAR(255), device_type VARCHAR(255), disk_bus VARCHAR(255), boot_index INTEGER,
  image_id VARCHAR(36), tag VARCHAR(255), attachment_id VARCHAR(36), uuid VARCHAR(36),
  volume_type VARCHAR(255), encrypted BOOLEAN, encryption_secret_uuid VARCHAR(36),
  encryption_format VARCHAR(128), encryption_options VARCHAR(4096), PRIMARY KEY (id),
  CONSTRAINT uniq_block_device_mapping0uuid UNIQUE (uuid),
  CONSTRAINT block_device_mapping_instance_uuid_fkey
    FOREIGN KEY(instance_uuid) REFERENCES instances (uuid)""",
    "migrations": _SOFT_TIMES + """, id INTEGER NOT NULL, source_compute VARCHAR(255),
  dest_compute VARCHAR(255), dest_host VARCHAR(255), status VARCHAR(255),
  instance_uuid VARCHAR(36), old_instance_type_id INTEGER, new_instance_type_id INTEGER,
  source_node VARCHAR(255), dest_node VARCHAR(255), deleted INTEGER, migration_type VARCHAR(14),
  hidden BOOLEAN, memory_total BIGINT, memory_processed BIGINT, memory_remaining BIGINT,
  disk_total BIGINT, disk_processed BIGINT, disk_remaining BIGINT, uuid VARCHAR(36),
  cross_cell_move BOOLEAN, user_id VARCHAR(255), project_id VARCHAR(255), dest_compute_id BIGINT,
  PRIMARY KEY (id), CONSTRAINT fk_migrations_instance_uuid
    FOREIGN KEY(instance_uuid) REFERENCES instances (uuid)""",
}

CELL_INDEXES = [
    "INDEX instances_uuid_deleted_idx ON instances (uuid, deleted)",
    "INDEX instances_host_node_deleted_idx ON instances (host, node, deleted)",
    "INDEX instances_host_deleted_cleaned_idx ON instances (host, deleted, cleaned)",
    "INDEX instances_deleted_created_at_idx ON instances (deleted, created_at)",
    "INDEX instances_project_id_idx ON instances (project_id)",
    "INDEX instances_project_id_deleted_idx ON instances (project_id, deleted)",
    "INDEX instances_updated_at_project_id_idx ON instances (updated_at, project_id)",
    "INDEX instances_task_state_updated_at_idx ON instances (task_state, updated_at)",
    "INDEX instances_terminated_at_launched_at_idx ON instances (terminated_at, launched_at)",
    "INDEX instances_compute_id_deleted_idx ON instances (compute_id, deleted)",
    "INDEX instances_reservation_id_idx ON instances (reservation_id)",
    "UNIQUE INDEX services_uuid_idx ON services (uuid)",
    "UNIQUE INDEX compute_nodes_uuid_idx ON compute_nodes (uuid)",
    "INDEX instance_extra_idx ON instance_extra (instance_uuid)",
    "INDEX instance_uuid ON instance_system_metadata (instance_uuid)",
    "INDEX block_device_mapping_instance_uuid_idx ON block_device_mapping (instance_uuid)",
    "UNIQUE INDEX migrations_uuid ON migrations (uuid)",
    "INDEX migrations_updated_at_idx ON migrations (updated_at)",
    "INDEX migrations_instance_uuid_and_status_idx ON migrations"
    " (deleted, instance_uuid, status)",
]
