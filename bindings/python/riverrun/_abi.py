"""The ABI of include/riverrun.h, made from it by generate.py: do not edit."""

from ctypes import (
    CFUNCTYPE, POINTER, Structure, c_bool, c_char, c_char_p, c_int, c_int8, c_int16, c_int32, c_int64, c_size_t,
    c_ssize_t, c_uint8, c_uint16, c_uint32, c_uint64, c_void_p,
)

RR_VERSION_NUMBER = (((0 << 24) | (1 << 16)) | (0 << 8))
RR_OK = 0
RR_E_INTERNAL = 1
RR_E_INVALID_ARGUMENT = 2
RR_E_NO_MEMORY = 3
RR_E_UNSUPPORTED = 4
RR_E_FORKED = 5
RR_E_TIMEOUT = 6
RR_E_CANCELLED = 7
RR_E_BUSY = 8
RR_E_INVALID_SPEC = 20
RR_E_INVALID_ID = 21
RR_E_EXISTS = 30
RR_E_NOT_FOUND = 31
RR_E_NOT_RUNNING = 32
RR_E_RUNNING = 33
RR_E_PAUSED = 34
RR_E_NOT_PAUSED = 35
RR_E_STATE_CORRUPT = 36
RR_E_EXEC_NOT_FOUND = 50
RR_E_EXEC_PERMISSION = 51
RR_E_CWD = 52
RR_E_PERMISSION = 60
RR_E_LSM = 61
RR_E_SECCOMP = 62
RR_E_CAPABILITY = 63
RR_E_USERNS = 64
RR_E_MOUNT = 70
RR_E_ROOTFS = 71
RR_E_UNSAFE_PATH = 72
RR_E_CGROUP = 80
RR_E_SYSTEMD = 81
RR_E_OOM = 82
RR_E_HOOK = 90
RR_E_CONSOLE = 91
RR_E_CRIU = 92
RR_E_NETDEV = 93
RR_E_SYSTEM = 99
RR_LOG_ERROR = 1
RR_LOG_WARN = 2
RR_LOG_INFO = 3
RR_LOG_DEBUG = 4
RR_CTX_SYSTEMD_CGROUP = (1 << 0)
RR_CTX_ROOTLESS = (1 << 1)
RR_CTX_ROOTFUL = (1 << 2)
RR_CTX_NO_CGROUP = (1 << 3)
RR_STDIO_INHERIT = 0
RR_STDIO_NULL = 1
RR_STDIO_FD = 2
RR_STDIO_PIPE = 3
RR_HOOK_PRESTART = 1
RR_HOOK_CREATE_RUNTIME = 2
RR_HOOK_POSTSTART = 3
RR_HOOK_POSTSTOP = 4
RR_CREATE_DETACHED = (1 << 0)
RR_CREATE_NO_PIVOT = (1 << 1)
RR_CREATE_NO_NEW_KEYRING = (1 << 2)
RR_CREATE_WANT_SECCOMP_FD = (1 << 3)
RR_CREATE_NOTIFY = (1 << 4)
RR_KILL_ALL = (1 << 0)
RR_DELETE_FORCE = (1 << 0)
RR_EXEC_IGNORE_PAUSED = (1 << 0)
RR_EXEC_NO_NEW_KEYRING = (1 << 1)
RR_CRIU_TCP_ESTABLISHED = (1 << 0)
RR_CRIU_EXT_UNIX_SK = (1 << 1)
RR_CRIU_SHELL_JOB = (1 << 2)
RR_CRIU_FILE_LOCKS = (1 << 3)
RR_CRIU_LAZY_PAGES = (1 << 4)
RR_CRIU_AUTO_DEDUP = (1 << 5)
RR_CHECKPOINT_LEAVE_RUNNING = (1 << 16)
RR_CHECKPOINT_PRE_DUMP = (1 << 17)
RR_CHECKPOINT_TCP_SKIP_IN_FLIGHT = (1 << 18)
RR_CHECKPOINT_LINK_REMAP = (1 << 19)
RR_RESTORE_TCP_CLOSE = (1 << 24)
RR_CRIU_CGROUPS_DEFAULT = 0
RR_CRIU_CGROUPS_IGNORE = 1
RR_CRIU_CGROUPS_SOFT = 2
RR_CRIU_CGROUPS_FULL = 3
RR_CRIU_CGROUPS_STRICT = 4
RR_CRIU_LOCK_DEFAULT = 0
RR_CRIU_LOCK_IPTABLES = 1
RR_CRIU_LOCK_NFTABLES = 2
RR_CRIU_LOCK_SKIP = 3
RR_MIGRATE_COPY_ROOTFS = (1 << 26)
RR_MIGRATE_NO_ROUNDS = (1 << 27)
RR_MIGRATE_PAGE_SERVER = (1 << 28)
RR_MIGRATE_LAZY = (1 << 29)
RR_MIGRATION_ACCEPTED = 1
RR_MIGRATION_FILES = 2
RR_MIGRATION_ROUND = 3
RR_MIGRATION_NO_ROUNDS = 4
RR_MIGRATION_FROZEN = 5
RR_MIGRATION_IMAGES = 6
RR_MIGRATION_RESTORED = 7
RR_MIGRATION_RUNNING = 8
RR_CREATING = 0
RR_CREATED = 1
RR_RUNNING = 2
RR_STOPPED = 3
RR_PAUSED = 4
RR_NS_MOUNT = 1
RR_NS_PID = 2
RR_NS_NET = 3
RR_NS_IPC = 4
RR_NS_UTS = 5
RR_NS_USER = 6
RR_NS_CGROUP = 7
RR_NS_TIME = 8
RR_SPEC_ROOTLESS = (1 << 0)
RR_EXIT_CORE = (1 << 1)
RR_EXIT_STATUS_LOST = (1 << 2)
RR_STATS_CPU = (1 << 0)
RR_STATS_MEMORY = (1 << 1)
RR_STATS_PIDS = (1 << 2)
RR_STATS_IO = (1 << 3)
RR_STATS_PRESSURE = (1 << 4)
RR_STATS_RDMA = (1 << 5)
RR_STATS_PERCPU = (1 << 6)
RR_EV_NONE = 0
RR_EV_EXIT = 1
RR_EV_OOM = 2
RR_EV_OOM_KILL = 3
RR_EV_STATS = 4
RR_EV_PRESSURE = 5
RR_EV_STATE = 6
RR_EV_END = 7
RR_WANT_EXIT = (1 << 1)
RR_WANT_OOM = (1 << 2)
RR_WANT_STATS = (1 << 4)
RR_WANT_STATE = (1 << 6)
RR_EXIT_OOM_KILLED = (1 << 0)
RR_PRESSURE_CPU = 1
RR_PRESSURE_MEMORY = 2
RR_PRESSURE_IO = 3


class rr_buf(Structure):
    """`rr_buf` of the header."""

    _fields_ = [
        ("data", POINTER(c_char)),
        ("len", c_size_t),
        ("reserved", c_size_t),
    ]

rr_log_fn = CFUNCTYPE(None, c_void_p, c_int, c_char_p, c_size_t, c_char_p)


class rr_context_options(Structure):
    """`rr_context_options` of the header."""

    _fields_ = [
        ("size", c_size_t),
        ("root", c_char_p),
        ("flags", c_uint64),
        ("log", rr_log_fn),
        ("log_data", c_void_p),
        ("log_level", c_int32),
        ("reserved0", c_uint32),
        ("init_path", c_char_p),
    ]


class rr_stdio(Structure):
    """`rr_stdio` of the header."""

    _fields_ = [
        ("kind", c_uint32),
        ("fd", c_int32),
    ]


class rr_fd_map(Structure):
    """`rr_fd_map` of the header."""

    _fields_ = [
        ("host_fd", c_int32),
        ("container_fd", c_int32),
    ]


class rr_io(Structure):
    """`rr_io` of the header."""

    _fields_ = [
        ("size", c_size_t),
        ("in", rr_stdio),
        ("out", rr_stdio),
        ("err", rr_stdio),
        ("console_socket", c_char_p),
        ("rows", c_uint16),
        ("cols", c_uint16),
        ("reserved0", c_uint32),
        ("fds", POINTER(rr_fd_map)),
        ("n_fds", c_size_t),
    ]

rr_hook_fn = CFUNCTYPE(c_int32, c_void_p, c_int, c_int, c_char_p, c_size_t)


class rr_call(Structure):
    """`rr_call` of the header."""

    _fields_ = [
        ("size", c_size_t),
        ("timeout_ms", c_int32),
        ("cancel_fd_plus1", c_int32),
    ]


class rr_create_options(Structure):
    """`rr_create_options` of the header."""

    _fields_ = [
        ("size", c_size_t),
        ("flags", c_uint64),
        ("bundle", c_char_p),
        ("config", c_char_p),
        ("config_len", c_size_t),
        ("rootfs_fd_plus1", c_int32),
        ("reserved0", c_uint32),
        ("pid_file", c_char_p),
        ("io", POINTER(rr_io)),
        ("hook", rr_hook_fn),
        ("hook_data", c_void_p),
        ("call", POINTER(rr_call)),
    ]


class rr_exec_options(Structure):
    """`rr_exec_options` of the header."""

    _fields_ = [
        ("size", c_size_t),
        ("flags", c_uint64),
        ("process", c_char_p),
        ("process_len", c_size_t),
        ("cgroups", POINTER(c_char_p)),
        ("n_cgroups", c_size_t),
        ("pid_file", c_char_p),
        ("io", POINTER(rr_io)),
        ("call", POINTER(rr_call)),
    ]


class rr_update_options(Structure):
    """`rr_update_options` of the header."""

    _fields_ = [
        ("size", c_size_t),
        ("flags", c_uint64),
        ("l3_cache_schema", c_char_p),
        ("mem_bw_schema", c_char_p),
        ("call", POINTER(rr_call)),
    ]


class rr_checkpoint_options(Structure):
    """`rr_checkpoint_options` of the header."""

    _fields_ = [
        ("size", c_size_t),
        ("flags", c_uint64),
        ("images", c_char_p),
        ("images_fd_plus1", c_int32),
        ("work_fd_plus1", c_int32),
        ("work", c_char_p),
        ("parent", c_char_p),
        ("page_server", c_char_p),
        ("page_server_port", c_uint32),
        ("status_fd_plus1", c_int32),
        ("manage_cgroups", c_uint32),
        ("network_lock", c_uint32),
        ("criu", c_char_p),
        ("call", POINTER(rr_call)),
    ]


class rr_restore_options(Structure):
    """`rr_restore_options` of the header."""

    _fields_ = [
        ("size", c_size_t),
        ("flags", c_uint64),
        ("images", c_char_p),
        ("images_fd_plus1", c_int32),
        ("work_fd_plus1", c_int32),
        ("work", c_char_p),
        ("manage_cgroups", c_uint32),
        ("network_lock", c_uint32),
        ("lsm_profile", c_char_p),
        ("lsm_mount_context", c_char_p),
        ("criu", c_char_p),
    ]


class rr_migration_event(Structure):
    """`rr_migration_event` of the header."""

    _fields_ = [
        ("size", c_size_t),
        ("type", c_int32),
        ("round", c_uint32),
        ("files", c_uint64),
        ("bytes", c_uint64),
        ("sending_ns", c_uint64),
        ("memory", c_uint64),
        ("downtime_ns", c_uint64),
        ("pid", c_int),
        ("frozen", c_uint32),
        ("reason", c_char_p),
    ]

rr_migration_fn = CFUNCTYPE(None, c_void_p, POINTER(rr_migration_event))


class rr_migrate_options(Structure):
    """`rr_migrate_options` of the header."""

    _fields_ = [
        ("size", c_size_t),
        ("flags", c_uint64),
        ("rounds", c_uint32),
        ("patience_ms", c_uint32),
        ("work", c_char_p),
        ("manage_cgroups", c_uint32),
        ("network_lock", c_uint32),
        ("criu", c_char_p),
        ("progress", rr_migration_fn),
        ("progress_data", c_void_p),
        ("call", POINTER(rr_call)),
    ]


class rr_receive_options(Structure):
    """`rr_receive_options` of the header."""

    _fields_ = [
        ("size", c_size_t),
        ("flags", c_uint64),
        ("limit", c_uint64),
        ("patience_ms", c_uint32),
        ("manage_cgroups", c_uint32),
        ("network_lock", c_uint32),
        ("reserved0", c_uint32),
        ("work", c_char_p),
        ("criu", c_char_p),
    ]


class rr_migrated(Structure):
    """`rr_migrated` of the header."""

    _fields_ = [
        ("size", c_size_t),
        ("pid", c_int),
        ("rounds", c_uint32),
        ("bytes", c_uint64),
        ("downtime_ns", c_uint64),
        ("total_ns", c_uint64),
    ]


class rr_state_info(Structure):
    """`rr_state_info` of the header."""

    _fields_ = [
        ("size", c_size_t),
        ("status", c_int32),
        ("pid", c_int),
        ("start_time", c_uint64),
        ("created_ns", c_int64),
    ]


class rr_exit(Structure):
    """`rr_exit` of the header."""

    _fields_ = [
        ("size", c_size_t),
        ("code", c_int32),
        ("sig", c_int32),
        ("flags", c_uint64),
        ("exited_ns", c_int64),
    ]


class rr_stats_options(Structure):
    """`rr_stats_options` of the header."""

    _fields_ = [
        ("size", c_size_t),
        ("what", c_uint64),
        ("percpu", POINTER(c_uint64)),
        ("percpu_cap", c_size_t),
    ]


class rr_stats_info(Structure):
    """`rr_stats_info` of the header."""

    _fields_ = [
        ("size", c_size_t),
        ("present", c_uint64),
        ("taken_ns", c_int64),
        ("cpu_total", c_uint64),
        ("cpu_user", c_uint64),
        ("cpu_kernel", c_uint64),
        ("cpu_periods", c_uint64),
        ("cpu_throttled_periods", c_uint64),
        ("cpu_throttled", c_uint64),
        ("memory_usage", c_uint64),
        ("memory_limit", c_uint64),
        ("memory_max", c_uint64),
        ("memory_failcnt", c_uint64),
        ("memory_anon", c_uint64),
        ("memory_file", c_uint64),
        ("memory_inactive_file", c_uint64),
        ("memory_kernel", c_uint64),
        ("memory_swap", c_uint64),
        ("memory_pgfault", c_uint64),
        ("memory_pgmajfault", c_uint64),
        ("memory_oom", c_uint64),
        ("memory_oom_kill", c_uint64),
        ("pids_current", c_uint64),
        ("pids_limit", c_uint64),
        ("io_read_bytes", c_uint64),
        ("io_write_bytes", c_uint64),
        ("io_reads", c_uint64),
        ("io_writes", c_uint64),
        ("cpu_some", c_uint64),
        ("cpu_full", c_uint64),
        ("memory_some", c_uint64),
        ("memory_full", c_uint64),
        ("io_some", c_uint64),
        ("io_full", c_uint64),
        ("rdma_handles", c_uint64),
        ("rdma_objects", c_uint64),
        ("n_percpu", c_size_t),
    ]


class rr_pressure(Structure):
    """`rr_pressure` of the header."""

    _fields_ = [
        ("resource", c_uint32),
        ("full", c_uint32),
        ("stall_us", c_uint32),
        ("window_us", c_uint32),
    ]


class rr_events_options(Structure):
    """`rr_events_options` of the header."""

    _fields_ = [
        ("size", c_size_t),
        ("mask", c_uint64),
        ("stats_interval_ms", c_uint32),
        ("reserved0", c_uint32),
        ("pressure", POINTER(rr_pressure)),
        ("n_pressure", c_size_t),
    ]


class rr_event(Structure):
    """`rr_event` of the header."""

    _fields_ = [
        ("size", c_size_t),
        ("type", c_int32),
        ("pid", c_int),
        ("time_ns", c_int64),
        ("count", c_uint64),
        ("exit_code", c_int32),
        ("exit_sig", c_int32),
        ("exit_flags", c_uint64),
        ("status", c_int32),
        ("index", c_uint32),
        ("json", c_char_p),
        ("json_len", c_size_t),
    ]


#: Every function: name, result, parameters.
FUNCTIONS = [
    ("rr_version_number", c_uint32, []),
    ("rr_version_string", c_char_p, []),
    ("rr_has_feature", c_bool, [c_char_p]),
    ("rr_code_name", c_char_p, [c_int32]),
    ("rr_error_code", c_int32, [c_void_p]),
    ("rr_error_errno", c_int, [c_void_p]),
    ("rr_error_message", c_char_p, [c_void_p]),
    ("rr_error_chain_len", c_size_t, [c_void_p]),
    ("rr_error_chain", c_char_p, [c_void_p, c_size_t]),
    ("rr_error_detail", c_char_p, [c_void_p, c_char_p]),
    ("rr_error_free", None, [c_void_p]),
    ("rr_buf_free", None, [POINTER(rr_buf)]),
    ("rr_context_options_init", None, [POINTER(rr_context_options), c_size_t]),
    ("rr_context_new", c_int32, [POINTER(rr_context_options), POINTER(c_void_p), POINTER(c_void_p)]),
    ("rr_context_ref", c_void_p, [c_void_p]),
    ("rr_context_unref", None, [c_void_p]),
    ("rr_io_init", None, [POINTER(rr_io), c_size_t]),
    ("rr_create_options_init", None, [POINTER(rr_create_options), c_size_t]),
    ("rr_create", c_int32, [c_void_p, c_char_p, POINTER(rr_create_options), POINTER(c_void_p), POINTER(c_void_p)]),
    ("rr_run", c_int32, [c_void_p, c_char_p, POINTER(rr_create_options), POINTER(c_void_p), POINTER(c_void_p)]),
    ("rr_open", c_int32, [c_void_p, c_char_p, POINTER(c_void_p), POINTER(c_void_p)]),
    ("rr_start", c_int32, [c_void_p, POINTER(rr_call), POINTER(c_void_p)]),
    ("rr_kill", c_int32, [c_void_p, c_int, c_uint64, POINTER(rr_call), POINTER(c_void_p)]),
    ("rr_pause", c_int32, [c_void_p, POINTER(rr_call), POINTER(c_void_p)]),
    ("rr_resume", c_int32, [c_void_p, POINTER(rr_call), POINTER(c_void_p)]),
    ("rr_delete", c_int32, [c_void_p, c_uint64, POINTER(rr_call), POINTER(c_void_p)]),
    ("rr_init_process", c_int32, [c_void_p, POINTER(c_void_p), POINTER(c_void_p)]),
    ("rr_container_ref", c_void_p, [c_void_p]),
    ("rr_container_unref", None, [c_void_p]),
    ("rr_exec_options_init", None, [POINTER(rr_exec_options), c_size_t]),
    ("rr_exec", c_int32, [c_void_p, POINTER(rr_exec_options), POINTER(c_void_p), POINTER(c_void_p)]),
    ("rr_update_options_init", None, [POINTER(rr_update_options), c_size_t]),
    ("rr_update", c_int32, [c_void_p, c_char_p, c_size_t, POINTER(rr_update_options), POINTER(c_void_p)]),
    ("rr_checkpoint_options_init", None, [POINTER(rr_checkpoint_options), c_size_t]),
    ("rr_restore_options_init", None, [POINTER(rr_restore_options), c_size_t]),
    ("rr_checkpoint", c_int32, [c_void_p, POINTER(rr_checkpoint_options), POINTER(c_void_p)]),
    ("rr_restore", c_int32, [c_void_p, c_char_p, POINTER(rr_create_options), POINTER(rr_restore_options), POINTER(c_void_p), POINTER(c_void_p)]),
    ("rr_migrate_options_init", None, [POINTER(rr_migrate_options), c_size_t]),
    ("rr_receive_options_init", None, [POINTER(rr_receive_options), c_size_t]),
    ("rr_migrate", c_int32, [c_void_p, c_int, POINTER(rr_migrate_options), POINTER(rr_migrated), POINTER(c_void_p)]),
    ("rr_receive", c_int32, [c_void_p, c_int, c_char_p, POINTER(rr_create_options), POINTER(rr_receive_options), POINTER(c_void_p), POINTER(c_void_p)]),
    ("rr_state", c_int32, [c_void_p, POINTER(rr_state_info), POINTER(c_void_p)]),
    ("rr_state_json", c_int32, [c_void_p, POINTER(rr_buf), POINTER(c_void_p)]),
    ("rr_list_json", c_int32, [c_void_p, POINTER(rr_buf), POINTER(c_void_p)]),
    ("rr_pids", c_int32, [c_void_p, POINTER(c_int), c_size_t, POINTER(c_size_t), POINTER(c_void_p)]),
    ("rr_open_ns", c_int32, [c_void_p, c_int, POINTER(c_int), POINTER(c_void_p)]),
    ("rr_open_cgroup", c_int32, [c_void_p, POINTER(c_int), POINTER(c_void_p)]),
    ("rr_open_notify", c_int32, [c_void_p, POINTER(c_int), POINTER(c_void_p)]),
    ("rr_take_seccomp_fd", c_int32, [c_void_p, POINTER(c_int), POINTER(c_void_p)]),
    ("rr_spec_json", c_int32, [c_uint64, POINTER(rr_buf), POINTER(c_void_p)]),
    ("rr_features_json", c_int32, [POINTER(rr_buf), POINTER(c_void_p)]),
    ("rr_config_check", c_int32, [c_char_p, c_size_t, POINTER(c_void_p)]),
    ("rr_process_pid", c_int, [c_void_p]),
    ("rr_process_pidfd", c_int, [c_void_p]),
    ("rr_process_console_fd", c_int, [c_void_p]),
    ("rr_process_wait", c_int32, [c_void_p, POINTER(rr_call), POINTER(rr_exit), POINTER(c_void_p)]),
    ("rr_process_signal", c_int32, [c_void_p, c_int, POINTER(c_void_p)]),
    ("rr_process_resize", c_int32, [c_void_p, c_uint16, c_uint16, POINTER(c_void_p)]),
    ("rr_process_ref", c_void_p, [c_void_p]),
    ("rr_process_unref", None, [c_void_p]),
    ("rr_stats_options_init", None, [POINTER(rr_stats_options), c_size_t]),
    ("rr_stats", c_int32, [c_void_p, POINTER(rr_stats_options), POINTER(rr_stats_info), POINTER(c_void_p)]),
    ("rr_stats_json", c_int32, [c_void_p, POINTER(rr_buf), POINTER(c_void_p)]),
    ("rr_events_options_init", None, [POINTER(rr_events_options), c_size_t]),
    ("rr_events", c_int32, [c_void_p, POINTER(rr_events_options), POINTER(c_void_p), POINTER(c_void_p)]),
    ("rr_event_stream_fd", c_int, [c_void_p]),
    ("rr_event_stream_next", c_int32, [c_void_p, POINTER(rr_call), POINTER(rr_event), POINTER(c_void_p)]),
    ("rr_event_stream_close", None, [c_void_p]),
]
