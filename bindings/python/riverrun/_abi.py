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
RR_CREATE_NO_PIVOT = (1 << 1)
RR_CREATE_NO_NEW_KEYRING = (1 << 2)
RR_KILL_ALL = (1 << 0)
RR_DELETE_FORCE = (1 << 0)
RR_EXEC_IGNORE_PAUSED = (1 << 0)
RR_EXEC_NO_NEW_KEYRING = (1 << 1)
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

rr_log_fn = CFUNCTYPE(None, c_void_p, c_int, c_char_p, c_size_t, c_char_p)


class rr_buf(Structure):
    """`rr_buf` of the header."""

    _fields_ = [
        ("data", POINTER(c_char)),
        ("len", c_size_t),
        ("reserved", c_size_t),
    ]


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
        ("pid_file", c_char_p),
        ("io", POINTER(rr_io)),
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
    ("rr_state", c_int32, [c_void_p, POINTER(rr_state_info), POINTER(c_void_p)]),
    ("rr_state_json", c_int32, [c_void_p, POINTER(rr_buf), POINTER(c_void_p)]),
    ("rr_list_json", c_int32, [c_void_p, POINTER(rr_buf), POINTER(c_void_p)]),
    ("rr_pids", c_int32, [c_void_p, POINTER(c_int), c_size_t, POINTER(c_size_t), POINTER(c_void_p)]),
    ("rr_open_ns", c_int32, [c_void_p, c_int, POINTER(c_int), POINTER(c_void_p)]),
    ("rr_open_cgroup", c_int32, [c_void_p, POINTER(c_int), POINTER(c_void_p)]),
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
]
