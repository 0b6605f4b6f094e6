/* riverrun.h: an OCI container runtime as a library. Made by cbindgen from src/ffi: do not edit, run `make header`.
 * SPDX-License-Identifier: Apache-2.0
 *
 *     cc host.c $(pkg-config --cflags --libs riverrun)
 *
 * Results.    Every function that can fail returns an rr_code, RR_OK being 0, and takes `rr_error **err` last,
 *             which may be NULL. On failure *err is set to an error that the caller frees with
 *             rr_error_free(), and every other out-parameter is left as it was; on success *err is left as it
 *             was: set it to NULL before. Any call may give RR_E_INTERNAL, a bug of the library.
 * Ownership.  Handles are given back once with their _unref function, once more for each _ref. Give an rr_buf to rr_buf_free(), an
 *             rr_error to rr_error_free(). NULL is fine for all of these. A `const char *` result is borrowed
 *             and lives as long as what it was asked of. Descriptors that a function writes to memory of
 *             yours are yours to close, and close-on-exec; those from an _fd() function are borrowed. What
 *             you pass in is copied or duplicated before the call returns. NULL where something is needed is
 *             RR_E_INVALID_ARGUMENT, never a crash.
 * Threads.    Any function may be called from any thread, and handles may be used by many threads at once;
 *             only the last _unref must be the last use. There is no global state, no thread of the library's
 *             own, no signal handler; environment variables are read only for the default state root. In a
 *             signal handler only rr_version_number(), rr_version_string() and rr_has_feature() may be
 *             called.
 * The host.   Nothing of the host is changed: not its working directory, umask, signal mask or handlers,
 *             environment, limits or credentials. Its children are the containers' first processes and those
 *             of rr_exec(); a host that reaps all children or ignores SIGCHLD does no harm. After fork()
 *             without exec, the child may only give handles back: any other call with one returns
 *             RR_E_FORKED.
 * Growth.     Options and results begin with `size`. Fill options with their _init function, or zero them and
 *             set `size`; set `size` of a result to its sizeof. Zero is the default of every field. A shorter
 *             struct, of an older header, is read as if the rest were zero, and a result is cut to it; a
 *             longer one is accepted while what this library does not know in it is zero. Unknown flags,
 *             kinds and fields are RR_E_UNSUPPORTED.
 * Text.       Strings are UTF-8 and end with a 0; paths are any bytes but 0. Signals and errnos are this
 *             machine's numbers.
 */


#ifndef RIVERRUN_H
#define RIVERRUN_H



#include <stddef.h>
#include <stdint.h>
#include <stdbool.h>
#include <sys/types.h>

/**
 * The version of this header, `0xMMmmpp00`: major, minor, patch. Compare it with `rr_version_number`, which
 * is the version of the library found at run time. Since 0.1.
 */
#define RR_VERSION_NUMBER (((0 << 24) | (1 << 16)) | (0 << 8))

/**
 * The call did what it says. Since 0.1.
 */
#define RR_OK 0

/**
 * An invariant of the library is broken, or a panic was caught at the boundary. Since 0.1.
 */
#define RR_E_INTERNAL 1

/**
 * An argument of the call is malformed. Since 0.1.
 */
#define RR_E_INVALID_ARGUMENT 2

/**
 * Memory could not be had. Since 0.1.
 */
#define RR_E_NO_MEMORY 3

/**
 * This build or this kernel cannot do what was asked. Since 0.1.
 */
#define RR_E_UNSUPPORTED 4

/**
 * The handle was made by a process that this one is a fork of. Since 0.1.
 */
#define RR_E_FORKED 5

/**
 * The deadline of the call passed. Since 0.1.
 */
#define RR_E_TIMEOUT 6

/**
 * The cancel descriptor of the call became readable. Since 0.1.
 */
#define RR_E_CANCELLED 7

/**
 * Another call holds the container's lock. Since 0.1.
 */
#define RR_E_BUSY 8

/**
 * `config.json`, or a process document, is not valid. Since 0.1.
 */
#define RR_E_INVALID_SPEC 20

/**
 * The container id is not valid. Since 0.1.
 */
#define RR_E_INVALID_ID 21

/**
 * A container with this id exists. Since 0.1.
 */
#define RR_E_EXISTS 30

/**
 * No container has this id. Since 0.1.
 */
#define RR_E_NOT_FOUND 31

/**
 * The container does not run. Since 0.1.
 */
#define RR_E_NOT_RUNNING 32

/**
 * The container runs, and the operation needs one that does not. Since 0.1.
 */
#define RR_E_RUNNING 33

/**
 * The container is paused. Since 0.1.
 */
#define RR_E_PAUSED 34

/**
 * The container is not paused. Since 0.1.
 */
#define RR_E_NOT_PAUSED 35

/**
 * The state directory holds something unreadable. Since 0.1.
 */
#define RR_E_STATE_CORRUPT 36

/**
 * The program to execute is not in the container. Since 0.1.
 */
#define RR_E_EXEC_NOT_FOUND 50

/**
 * The program to execute may not be executed. Since 0.1.
 */
#define RR_E_EXEC_PERMISSION 51

/**
 * The working directory cannot be entered. Since 0.1.
 */
#define RR_E_CWD 52

/**
 * The kernel refuses for lack of privilege. Since 0.1.
 */
#define RR_E_PERMISSION 60

/**
 * A Linux security module is missing or refuses. Since 0.1.
 */
#define RR_E_LSM 61

/**
 * The seccomp filter cannot be made or loaded. Since 0.1.
 */
#define RR_E_SECCOMP 62

/**
 * The capability sets cannot be had. Since 0.1.
 */
#define RR_E_CAPABILITY 63

/**
 * The user namespace or its mappings cannot be made. Since 0.1.
 */
#define RR_E_USERNS 64

/**
 * A mount cannot be made. Since 0.1.
 */
#define RR_E_MOUNT 70

/**
 * The root filesystem cannot be used. Since 0.1.
 */
#define RR_E_ROOTFS 71

/**
 * A path of the image leads where it must not. Since 0.1.
 */
#define RR_E_UNSAFE_PATH 72

/**
 * A cgroup cannot be made, joined, set or removed. Since 0.1.
 */
#define RR_E_CGROUP 80

/**
 * systemd refuses or is not there. Since 0.1.
 */
#define RR_E_SYSTEMD 81

/**
 * The container's first process was killed for lack of memory. Since 0.1.
 */
#define RR_E_OOM 82

/**
 * A hook did not succeed. Since 0.1.
 */
#define RR_E_HOOK 90

/**
 * The terminal cannot be made or handed over. Since 0.1.
 */
#define RR_E_CONSOLE 91

/**
 * CRIU did not succeed. Since 0.1.
 */
#define RR_E_CRIU 92

/**
 * A network device cannot be moved. Since 0.1.
 */
#define RR_E_NETDEV 93

/**
 * A system call did not succeed; see `rr_error_errno`. Since 0.1.
 */
#define RR_E_SYSTEM 99

/**
 * Log level: something went wrong, and the call went on. Since 0.1.
 */
#define RR_LOG_ERROR 1

/**
 * Log level: something is likely not what was meant. Since 0.1.
 */
#define RR_LOG_WARN 2

/**
 * Log level: something worth a line. Since 0.1.
 */
#define RR_LOG_INFO 3

/**
 * Log level: what is being done. Since 0.1.
 */
#define RR_LOG_DEBUG 4

/**
 * Let systemd manage the cgroups, as the command line's `--systemd-cgroup`. Since 0.1.
 */
#define RR_CTX_SYSTEMD_CGROUP (1 << 0)

/**
 * Go on where cgroups may not be written, as `--rootless=true`. Without this and the next the library finds
 * out. Since 0.1.
 */
#define RR_CTX_ROOTLESS (1 << 1)

/**
 * Every cgroup error is one, as `--rootless=false`. Since 0.1.
 */
#define RR_CTX_ROOTFUL (1 << 2)

/**
 * Make no cgroups: containers stay in that of the host process, and limits are an error. Since 0.1.
 */
#define RR_CTX_NO_CGROUP (1 << 3)

/**
 * Stream: the host's own. Since 0.1.
 */
#define RR_STDIO_INHERIT 0

/**
 * Stream: `/dev/null`. Since 0.1.
 */
#define RR_STDIO_NULL 1

/**
 * Stream: the descriptor in `fd`, which stays the caller's. Since 0.1.
 */
#define RR_STDIO_FD 2

/**
 * Stream: a new pipe; the host's end is written to `fd` when the call succeeds and is the caller's,
 * close-on-exec. Since 0.1.
 */
#define RR_STDIO_PIPE 3

/**
 * `MS_MOVE` and chroot instead of pivot_root, for a host whose root is an initramfs. Since 0.1.
 */
#define RR_CREATE_NO_PIVOT (1 << 1)

/**
 * Keep the caller's session keyring. Since 0.1.
 */
#define RR_CREATE_NO_NEW_KEYRING (1 << 2)

/**
 * Signal every process of the container. Since 0.1.
 */
#define RR_KILL_ALL (1 << 0)

/**
 * Kill what still runs, and take half-made containers away too. Since 0.1.
 */
#define RR_DELETE_FORCE (1 << 0)

/**
 * Execute even though the container is paused; the process begins when the container goes on. Since 0.1.
 */
#define RR_EXEC_IGNORE_PAUSED (1 << 0)

/**
 * Keep the caller's session keyring. Since 0.1.
 */
#define RR_EXEC_NO_NEW_KEYRING (1 << 1)

/**
 * Status: it is being made. Since 0.1.
 */
#define RR_CREATING 0

/**
 * Status: it is ready and waits for `rr_start`. Since 0.1.
 */
#define RR_CREATED 1

/**
 * Status: its program runs. Since 0.1.
 */
#define RR_RUNNING 2

/**
 * Status: its first process has ended. Since 0.1.
 */
#define RR_STOPPED 3

/**
 * Status: its processes are frozen. Since 0.1.
 */
#define RR_PAUSED 4

/**
 * Namespace: mounts. Since 0.1.
 */
#define RR_NS_MOUNT 1

/**
 * Namespace: processes. Since 0.1.
 */
#define RR_NS_PID 2

/**
 * Namespace: network devices, addresses, routes. Since 0.1.
 */
#define RR_NS_NET 3

/**
 * Namespace: System V IPC and message queues. Since 0.1.
 */
#define RR_NS_IPC 4

/**
 * Namespace: host and domain name. Since 0.1.
 */
#define RR_NS_UTS 5

/**
 * Namespace: users, groups, capabilities. Since 0.1.
 */
#define RR_NS_USER 6

/**
 * Namespace: the root of the cgroups. Since 0.1.
 */
#define RR_NS_CGROUP 7

/**
 * Namespace: offsets of the monotonic and the boot clock. Since 0.1.
 */
#define RR_NS_TIME 8

/**
 * A config for a user without privileges: a user namespace that maps the caller's ids to root. Since 0.1.
 */
#define RR_SPEC_ROOTLESS (1 << 0)

/**
 * The process left a core dump. Since 0.1.
 */
#define RR_EXIT_CORE (1 << 1)

/**
 * The process has ended, but its status is lost: somebody else reaped it, and this kernel does not keep it.
 * `code` and `sig` say nothing. Since 0.1.
 */
#define RR_EXIT_STATUS_LOST (1 << 2)

/**
 * A container, made here, by another process or by the command line. The handle is not the container: giving
 * it back stops and deletes nothing. Any number of threads may use one at once; calls that change a
 * container follow one another, across processes too. Since 0.1.
 */
typedef struct rr_container rr_container;

/**
 * A state root with its policy and its log. Counted: `rr_context_ref` and `rr_context_unref`; containers and
 * processes made from it keep what they need, so it may go first. Any number of threads may use one at once.
 * Since 0.1.
 */
typedef struct rr_context rr_context;

/**
 * Why a call did not succeed: a code, the kernel's errno where there is one, and what was being done.
 *
 * The caller owns it and frees it with `rr_error_free`. It never changes, so any number of threads may read
 * it at once. It is independent of the context and the container that it came from. Since 0.1.
 */
typedef struct rr_error rr_error;

/**
 * A process of a container. It is held by a pidfd, so no other process is ever meant by mistake, and it
 * stays valid after the process has ended and after the container is deleted. Any number of threads may use
 * one at once. Since 0.1.
 */
typedef struct rr_process rr_process;

/**
 * What every fallible function returns: `RR_OK`, or one of `RR_E_*`. A number, once given a meaning, keeps
 * it; a later version may return codes that this header does not name, so treat an unknown one as a failure.
 * Since 0.1.
 */
typedef int32_t rr_code;

/**
 * Bytes from the library, owned by the caller until `rr_buf_free`.
 *
 * `data[len]` is 0, so text can be used as a C string. Begin with `{NULL, 0, 0}`: a function that fills one
 * does not free what was in it. `reserved` is the library's; leave it as it is. Since 0.1.
 */
typedef struct rr_buf {
  /**
   * The bytes; NULL when there are none.
   */
  char *data;
  /**
   * How many, without the closing 0.
   */
  size_t len;
  /**
   * The library's own.
   */
  size_t reserved;
} rr_buf;

/**
 * Receives log lines: `data` is the context's `log_data`, `level` one of `RR_LOG_*`, `msg` one line without
 * line end, `len` bytes of UTF-8 and a closing 0, `fields_json` a JSON object with further facts or NULL.
 *
 * Both strings are borrowed until it returns. It runs on the thread of the call that logs, during that call
 * and never after it, and on several threads at once when several call. It must not unwind (C++ exceptions),
 * longjmp, or free the context. Since 0.1.
 */
typedef void (*rr_log_fn)(void *data, int level, const char *msg, size_t len, const char *fields_json);

/**
 * How a context is set up. Fill it with `rr_context_options_init` and set what differs; everything in it is
 * copied by `rr_context_new`. Since 0.1.
 */
typedef struct rr_context_options {
  /**
   * Set by `rr_context_options_init`.
   */
  size_t size;
  /**
   * The state root; NULL: `/run/riverrun`, or `$XDG_RUNTIME_DIR/riverrun` when rootless. Made when the
   * first container is.
   */
  const char *root;
  /**
   * `RR_CTX_*`.
   */
  uint64_t flags;
  /**
   * Where log lines go; NULL: nowhere.
   */
  rr_log_fn log;
  /**
   * The first argument of `log`, usable as long as the context is.
   */
  void *log_data;
  /**
   * The least grave level that `log` is called for, `RR_LOG_*`; 0: `RR_LOG_INFO`.
   */
  int32_t log_level;
  /**
   * Zero.
   */
  uint32_t reserved0;
  /**
   * An installed `riverrun-init`, for hosts where a memfd may not be executed; NULL: the embedded one.
   */
  const char *init_path;
} rr_context_options;

/**
 * Where one standard stream of a process leads. Since 0.1.
 */
typedef struct rr_stdio {
  /**
   * `RR_STDIO_*`.
   */
  uint32_t kind;
  /**
   * `RR_STDIO_FD`: in, borrowed for the call. `RR_STDIO_PIPE`: out, to be closed by the caller. Otherwise
   * ignored.
   */
  int32_t fd;
} rr_stdio;

/**
 * One more descriptor for the process. Since 0.1.
 */
typedef struct rr_fd_map {
  /**
   * Its number in the host, borrowed for the call; it stays open there.
   */
  int32_t host_fd;
  /**
   * Its number in the process, 3 or more.
   */
  int32_t container_fd;
} rr_fd_map;

/**
 * Streams, terminal and further descriptors of a process. NULL in its place: the host's own three streams,
 * nothing more. Fill it with `rr_io_init`. Since 0.1.
 */
typedef struct rr_io {
  /**
   * Set by `rr_io_init`.
   */
  size_t size;
  /**
   * Standard input. The three are ignored when the process has a terminal.
   */
  struct rr_stdio in;
  /**
   * Standard output.
   */
  struct rr_stdio out;
  /**
   * Standard error.
   */
  struct rr_stdio err;
  /**
   * The path of a listening unix socket that receives the terminal's master by `SCM_RIGHTS`; NULL: take it
   * with `rr_process_console_fd`.
   */
  const char *console_socket;
  /**
   * Lines: with `cols` the terminal's first size, where `process.consoleSize` names none; both 0: the
   * kernel's.
   */
  uint16_t rows;
  /**
   * Characters a line; see `rows`.
   */
  uint16_t cols;
  /**
   * Zero.
   */
  uint32_t reserved0;
  /**
   * `n_fds` further descriptors; NULL with 0.
   */
  const struct rr_fd_map *fds;
  /**
   * How many.
   */
  size_t n_fds;
} rr_io;

/**
 * How long a call may take and what ends it early. NULL in its place, or all zero, waits for ever.
 *
 * A call that is ended leaves nothing half-made behind. Since 0.1.
 */
typedef struct rr_call {
  /**
   * `sizeof(rr_call)`.
   */
  size_t size;
  /**
   * Milliseconds until `RR_E_TIMEOUT`; 0: no deadline. Negative: `RR_E_INVALID_ARGUMENT`.
   */
  int32_t timeout_ms;
  /**
   * A descriptor plus one; 0: none. The call ends with `RR_E_CANCELLED` once the descriptor is readable.
   * An eventfd serves, written to by any thread or signal handler. Borrowed for the call, and nothing is
   * read from it.
   */
  int32_t cancel_fd_plus1;
} rr_call;

/**
 * How a container is created. Fill it with `rr_create_options_init`; `bundle` or `config` is needed.
 * Everything in it is copied or duplicated before the call returns. Since 0.1.
 */
typedef struct rr_create_options {
  /**
   * Set by `rr_create_options_init`.
   */
  size_t size;
  /**
   * `RR_CREATE_*`.
   */
  uint64_t flags;
  /**
   * The directory that holds `config.json`; a relative `root.path` starts here.
   */
  const char *bundle;
  /**
   * The bytes of a `config.json`, instead of the bundle's; NULL: read the bundle's.
   */
  const char *config;
  /**
   * How many bytes.
   */
  size_t config_len;
  /**
   * A file that receives the pid of the container's first process, decimal digits and nothing else; NULL:
   * none.
   */
  const char *pid_file;
  /**
   * Streams, terminal, descriptors of the first process; NULL: the host's own streams. Pipes are written
   * back into it.
   */
  struct rr_io *io;
  /**
   * Deadline and cancellation; NULL: neither.
   */
  const struct rr_call *call;
} rr_create_options;

/**
 * How a further process is executed. Fill it with `rr_exec_options_init`; `process` is needed. Everything in
 * it is copied or duplicated before the call returns. Since 0.1.
 */
typedef struct rr_exec_options {
  /**
   * Set by `rr_exec_options_init`.
   */
  size_t size;
  /**
   * `RR_EXEC_*`.
   */
  uint64_t flags;
  /**
   * A `process` object of the runtime specification as JSON:
   * `{"args": ["ps"], "cwd": "/", "user": {"uid": 0, "gid": 0}}`. Capabilities, rlimits and noNewPrivileges that
   * it leaves out are the container's.
   */
  const char *process;
  /**
   * How many bytes.
   */
  size_t process_len;
  /**
   * `n_cgroups` sub-cgroups for the process, each `[CONTROLLER[,CONTROLLER]:]PATH` below the container's
   * own; NULL with 0: the container's own.
   */
  const char *const *cgroups;
  /**
   * How many.
   */
  size_t n_cgroups;
  /**
   * A file that receives the pid, decimal digits and nothing else; NULL: none.
   */
  const char *pid_file;
  /**
   * Streams, terminal, descriptors; NULL: the host's own streams. Pipes are written back into it.
   */
  struct rr_io *io;
  /**
   * Deadline and cancellation; NULL: neither.
   */
  const struct rr_call *call;
} rr_exec_options;

/**
 * What a container is doing. Set `size` to `sizeof(rr_state_info)` before the call; only so much is written.
 * Since 0.1.
 */
typedef struct rr_state_info {
  /**
   * `sizeof(rr_state_info)`, set by the caller.
   */
  size_t size;
  /**
   * `RR_CREATING` to `RR_PAUSED`.
   */
  int32_t status;
  /**
   * The first process in the host's pid namespace; 0 when it has ended.
   */
  pid_t pid;
  /**
   * When the first process began: clock ticks since boot, field 22 of `/proc/PID/stat`. With `pid` it
   * names a process for good.
   */
  uint64_t start_time;
  /**
   * When the container was created: nanoseconds since 1970 UTC.
   */
  int64_t created_ns;
} rr_state_info;

/**
 * How a process ended. Set `size` to `sizeof(rr_exit)` before the call; only so much is written. Since 0.1.
 */
typedef struct rr_exit {
  /**
   * `sizeof(rr_exit)`, set by the caller.
   */
  size_t size;
  /**
   * The exit code, 0 to 255, when `sig` is 0.
   */
  int32_t code;
  /**
   * The signal that ended it, 0 if it exited by itself.
   */
  int32_t sig;
  /**
   * `RR_EXIT_*`.
   */
  uint64_t flags;
  /**
   * When its end was seen: nanoseconds since 1970 UTC.
   */
  int64_t exited_ns;
} rr_exit;

#ifdef __cplusplus
extern "C" {
#endif // __cplusplus

/**
 * The version of the library at run time, `0xMMmmpp00`.
 *
 * Any thread, does not block, may be called in a signal handler. Since 0.1.
 */
uint32_t rr_version_number(void);

/**
 * The version of the library at run time as text, `"0.1.0"`.
 *
 * Static, never NULL. Any thread, does not block, may be called in a signal handler. Since 0.1.
 */
const char *rr_version_string(void);

/**
 * Whether the library at run time has an ability. The names so far: `"cancel"` (`rr_call`'s deadline and
 * descriptor), `"config-bytes"` (a config without a bundle), `"console"` (terminals), `"exec"`, `"fd-map"` (further
 * descriptors by number), `"init-memfd"` (no helper program need be installed), `"log"`, `"open-cgroup"`, `"open-ns"`
 * and `"stdio-pipe"`.
 *
 * It is about the library, not about the host or its kernel; what those lack a call says with `RR_E_UNSUPPORTED`. A
 * name it does not know, and NULL, give false. Any thread, does not block, may be called in a signal handler. Since
 * 0.1.
 */
bool rr_has_feature(const char *name);

/**
 * The name of a code as this header spells it, `"RR_E_NOT_RUNNING"`; `"RR_E_?"` for a number that is none.
 *
 * The string is static and never NULL. Any thread, does not block. Since 0.1.
 */
const char *rr_code_name(rr_code code);

/**
 * The code that the failed call returned. NULL gives `RR_OK`. Any thread, does not block. Since 0.1.
 */
rr_code rr_error_code(const struct rr_error *err);

/**
 * The errno of the system call that did not succeed, 0 if none is the cause. NULL gives 0. Any thread, does
 * not block. Since 0.1.
 */
int rr_error_errno(const struct rr_error *err);

/**
 * The whole story in one line, as the command line would print it: `mount proc on /proc: operation not
 * permitted`.
 *
 * UTF-8, borrowed: it lives as long as `err`. Never NULL; NULL gives `""`. Any thread, does not block. Since
 * 0.1.
 */
const char *rr_error_message(const struct rr_error *err);

/**
 * How many parts the message has: what was being done, outermost first, and last the cause. NULL gives 0.
 * Any thread, does not block. Since 0.1.
 */
size_t rr_error_chain_len(const struct rr_error *err);

/**
 * Part `i` of the message, 0 being the outermost; NULL past the end.
 *
 * Borrowed: it lives as long as `err`. NULL gives NULL. Any thread, does not block. Since 0.1.
 */
const char *rr_error_chain(const struct rr_error *err, size_t i);

/**
 * A fact about the failure by its name, NULL if this error does not have it. The names are `"phase"`
 * (`host`, `init` or `exec`), `"step"`, `"path"`, `"syscall"`, `"hook"` and `"criu-log"`; later versions may know more.
 *
 * Borrowed: it lives as long as `err`. NULL for either argument gives NULL. Any thread, does not block.
 * Since 0.1.
 */
const char *rr_error_detail(const struct rr_error *err,
                            const char *key);

/**
 * Frees an error and every string that came from it. NULL is fine. Any thread, once per error. Since 0.1.
 */
void rr_error_free(struct rr_error *err);

/**
 * Frees the bytes and resets the struct to `{NULL, 0, 0}`, so that a second call does no harm. NULL and an
 * empty struct are fine. Any thread, one at a time per struct. Since 0.1.
 */
void rr_buf_free(struct rr_buf *buf);

/**
 * Fills options with the default of everything: pass `sizeof(rr_context_options)` as `size`.
 *
 * NULL is fine. Any thread, does not block. Since 0.1.
 */
void rr_context_options_init(struct rr_context_options *options, size_t size);

/**
 * Makes a context. It only looks: nothing is written before the first container.
 *
 * `options` may be NULL: the default of everything. On success `*out` is the caller's, given back by
 * `rr_context_unref`. Any thread; does not block. Since 0.1.
 *
 * Errors: `RR_E_INVALID_ARGUMENT` (`out` is NULL, a level or a pair of flags that is none),
 * `RR_E_UNSUPPORTED` (bits or fields of a newer header), `RR_E_SYSTEM` (the host cannot be looked at).
 */
rr_code rr_context_new(const struct rr_context_options *options,
                       struct rr_context **out,
                       struct rr_error **err);

/**
 * One more owner of a context: returns `ctx`, which now needs one more `rr_context_unref`.
 *
 * NULL gives NULL, and in a forked child too. Any thread, does not block. Since 0.1.
 */
struct rr_context *rr_context_ref(struct rr_context *ctx);

/**
 * Gives back one ownership of a context; the last one frees it. Stops nothing and deletes nothing.
 *
 * NULL is fine. Any thread, does not block. Since 0.1.
 */
void rr_context_unref(struct rr_context *ctx);

/**
 * Fills an `rr_io` with the default of everything: pass `sizeof(rr_io)` as `size`.
 *
 * NULL is fine. Any thread, does not block. Since 0.1.
 */
void rr_io_init(struct rr_io *io, size_t size);

/**
 * Fills options with the default of everything: pass `sizeof(rr_create_options)` as `size`.
 *
 * NULL is fine. Any thread, does not block. Since 0.1.
 */
void rr_create_options_init(struct rr_create_options *options, size_t size);

/**
 * Creates a container: all of it but the execution of its program, for which `rr_start` gives the word.
 *
 * `id` is letters, digits and `_ + - .`; it is unique in the state root. On success `*out` is the caller's
 * (`rr_container_unref`, which leaves the container alone), and so are the host's ends of pipes in
 * `options->io`. The first process is a child of the calling process and inherits from the calling *thread*
 * what a child does: credentials, namespaces, cgroup, affinity, nice value, keyring, seccomp filter. On
 * failure nothing is left behind.
 *
 * Any thread. Blocks until the container is ready, as long as `options->call` allows; hooks of the config
 * run meanwhile. Since 0.1.
 *
 * Errors: `RR_E_INVALID_ARGUMENT` (NULL, neither bundle nor config, a descriptor that is not open),
 * `RR_E_INVALID_ID`, `RR_E_EXISTS`, `RR_E_INVALID_SPEC` (the message names the place in the JSON),
 * `RR_E_ROOTFS`, `RR_E_MOUNT`, `RR_E_UNSAFE_PATH`, `RR_E_CGROUP`, `RR_E_HOOK`, `RR_E_CONSOLE`,
 * `RR_E_PERMISSION`, `RR_E_TIMEOUT`, `RR_E_CANCELLED`, `RR_E_FORKED`, `RR_E_UNSUPPORTED`, `RR_E_SYSTEM` with
 * its errno, and the other codes of a part that refuses (`RR_E_LSM`, `RR_E_SECCOMP`, ...).
 * `RR_E_EXEC_NOT_FOUND`, `RR_E_EXEC_PERMISSION` and `RR_E_CWD` come from here where the program can be
 * looked at beforehand, otherwise from `rr_start`.
 */
rr_code rr_create(struct rr_context *ctx,
                  const char *id,
                  const struct rr_create_options *options,
                  struct rr_container **out,
                  struct rr_error **err);

/**
 * Creates a container and starts it: `rr_create` and `rr_start` in one, and a step cheaper.
 *
 * Arguments, owners, threads and blocking as in `rr_create`; errors those of both. On failure nothing is
 * left behind. Since 0.1.
 */
rr_code rr_run(struct rr_context *ctx,
               const char *id,
               const struct rr_create_options *options,
               struct rr_container **out,
               struct rr_error **err);

/**
 * Finds a container of this state root by its id, whoever made it.
 *
 * On success `*out` is the caller's (`rr_container_unref`). Any thread, does not block. Since 0.1.
 *
 * Errors: `RR_E_INVALID_ARGUMENT` (NULL), `RR_E_INVALID_ID`, `RR_E_NOT_FOUND`, `RR_E_STATE_CORRUPT`,
 * `RR_E_FORKED`, `RR_E_SYSTEM`.
 */
rr_code rr_open(struct rr_context *ctx, const char *id, struct rr_container **out, struct rr_error **err);

/**
 * Lets a created container execute its program. When it returns `RR_OK`, the program runs, or has run
 * already.
 *
 * `call` may be NULL. Any thread. Blocks until the program is executed and the hooks of the config have run.
 * Since 0.1.
 *
 * Errors: `RR_E_INVALID_ARGUMENT` (NULL), `RR_E_RUNNING` (it was started before), `RR_E_NOT_RUNNING` (it has
 * stopped), `RR_E_NOT_FOUND` (it was deleted), `RR_E_EXEC_NOT_FOUND`, `RR_E_EXEC_PERMISSION`, `RR_E_CWD`,
 * `RR_E_HOOK`, `RR_E_BUSY`, `RR_E_TIMEOUT`, `RR_E_CANCELLED`, `RR_E_FORKED`, `RR_E_SYSTEM`.
 */
rr_code rr_start(struct rr_container *c, const struct rr_call *call, struct rr_error **err);

/**
 * Sends a signal, by its number, to the container's first process, or to all with `RR_KILL_ALL`.
 *
 * It does not wait for the signal's effect: that is `rr_process_wait`. `call` may be NULL. Any thread. Since
 * 0.1.
 *
 * Errors: `RR_E_INVALID_ARGUMENT` (NULL, no such signal), `RR_E_NOT_RUNNING`, `RR_E_NOT_FOUND`,
 * `RR_E_PERMISSION`, `RR_E_CANCELLED` (before anything was sent), `RR_E_FORKED`, `RR_E_UNSUPPORTED` (unknown
 * bits), `RR_E_SYSTEM`.
 */
rr_code rr_kill(struct rr_container *c,
                int sig,
                uint64_t flags,
                const struct rr_call *call,
                struct rr_error **err);

/**
 * Stops all processes of a created or running container, until `rr_resume`; its status is `RR_PAUSED` then. If
 * not all can be stopped, none stays stopped.
 *
 * `call` may be NULL. Any thread. Blocks until all have stopped, for ten seconds if `call` sets no deadline.
 * Since 0.1; the kernel's freezer-subsystem.rst, cgroup-v2.rst (`cgroup.freeze`).
 *
 * Errors: `RR_E_INVALID_ARGUMENT` (NULL), `RR_E_NOT_RUNNING` (it has stopped), `RR_E_PAUSED` (it is paused
 * already), `RR_E_NOT_FOUND`, `RR_E_CGROUP` (it has no freezer), `RR_E_PERMISSION`, `RR_E_BUSY`,
 * `RR_E_TIMEOUT`, `RR_E_CANCELLED`, `RR_E_FORKED`, `RR_E_SYSTEM`.
 */
rr_code rr_pause(struct rr_container *c,
                 const struct rr_call *call,
                 struct rr_error **err);

/**
 * Lets the processes of a paused container go on.
 *
 * `call` may be NULL. Any thread. Blocks until they do, for ten seconds if `call` sets no deadline. Since 0.1.
 *
 * Errors: `RR_E_INVALID_ARGUMENT` (NULL), `RR_E_NOT_PAUSED`, `RR_E_NOT_FOUND`, `RR_E_CGROUP` (a cgroup above
 * the container's is frozen), `RR_E_PERMISSION`, `RR_E_BUSY`, `RR_E_TIMEOUT`, `RR_E_CANCELLED`,
 * `RR_E_FORKED`, `RR_E_SYSTEM`.
 */
rr_code rr_resume(struct rr_container *c,
                  const struct rr_call *call,
                  struct rr_error **err);

/**
 * Deletes a container that has stopped or was never started: its cgroups, its state, what its hooks undo.
 * The handle remains to be given back.
 *
 * With `RR_DELETE_FORCE` what still runs is killed first, and a container that is already gone is no error.
 * `call` may be NULL. Any thread. Blocks until it is gone. Since 0.1.
 *
 * Errors: `RR_E_INVALID_ARGUMENT` (NULL), `RR_E_RUNNING` (it runs and no `RR_DELETE_FORCE`),
 * `RR_E_NOT_FOUND`, `RR_E_CGROUP`, `RR_E_HOOK`, `RR_E_BUSY`, `RR_E_TIMEOUT`, `RR_E_CANCELLED`,
 * `RR_E_FORKED`, `RR_E_UNSUPPORTED` (unknown bits), `RR_E_SYSTEM`.
 */
rr_code rr_delete(struct rr_container *c, uint64_t flags, const struct rr_call *call, struct rr_error **err);

/**
 * A handle on the container's first process, also of a container that another process made. Every call gives
 * another handle on the same process.
 *
 * On success `*out` is the caller's (`rr_process_unref`). Any thread, does not block. Since 0.1.
 *
 * Errors: `RR_E_INVALID_ARGUMENT` (NULL), `RR_E_NOT_RUNNING` (it has ended, and this process did not make
 * it), `RR_E_NOT_FOUND`, `RR_E_FORKED`, `RR_E_SYSTEM`.
 */
rr_code rr_init_process(struct rr_container *c, struct rr_process **out, struct rr_error **err);

/**
 * One more owner of a handle: returns `c`, which now needs one more `rr_container_unref`.
 *
 * NULL gives NULL, and in a forked child too. Any thread, does not block. Since 0.1.
 */
struct rr_container *rr_container_ref(struct rr_container *c);

/**
 * Gives back one ownership of a handle; the last one frees it. Never stops or deletes anything.
 *
 * NULL is fine. Any thread, once per owner, does not block. Since 0.1.
 */
void rr_container_unref(struct rr_container *c);

/**
 * Fills options with the default of everything: pass `sizeof(rr_exec_options)` as `size`.
 *
 * NULL is fine. Any thread, does not block. Since 0.1.
 */
void rr_exec_options_init(struct rr_exec_options *options, size_t size);

/**
 * Executes one more process in a running container. When it returns `RR_OK`, the program runs, or has run
 * already.
 *
 * On success `*out` is the caller's (`rr_process_unref`, which leaves the process alone), and so are the
 * host's ends of pipes in `options->io`. The process is a child of the calling process. On failure nothing
 * of it is left.
 *
 * Any thread. Blocks until the program is executed, as long as `options->call` allows. Since 0.1.
 *
 * Errors: `RR_E_INVALID_ARGUMENT` (NULL, no process, a descriptor that is not open), `RR_E_INVALID_SPEC`
 * (the message names the place in the JSON), `RR_E_NOT_RUNNING`, `RR_E_PAUSED`, `RR_E_NOT_FOUND`,
 * `RR_E_EXEC_NOT_FOUND`, `RR_E_EXEC_PERMISSION`, `RR_E_CWD`, `RR_E_CGROUP`, `RR_E_CONSOLE`,
 * `RR_E_PERMISSION`, `RR_E_TIMEOUT`, `RR_E_CANCELLED`, `RR_E_FORKED`, `RR_E_UNSUPPORTED`, `RR_E_SYSTEM`.
 */
rr_code rr_exec(struct rr_container *c,
                const struct rr_exec_options *options,
                struct rr_process **out,
                struct rr_error **err);

/**
 * What a container is doing now, without JSON.
 *
 * `out->size` must be set. Any thread, does not block. Since 0.1.
 *
 * Errors: `RR_E_INVALID_ARGUMENT` (NULL, a size that is none), `RR_E_NOT_FOUND` (it was deleted),
 * `RR_E_STATE_CORRUPT`, `RR_E_FORKED`, `RR_E_SYSTEM`.
 */
rr_code rr_state(struct rr_container *c, struct rr_state_info *out, struct rr_error **err);

/**
 * What a container is doing now, as the JSON that the command line's `state` prints, byte for byte, without
 * its last line end.
 *
 * On success `*out` is the caller's (`rr_buf_free`). Any thread, does not block. Since 0.1.
 *
 * Errors: those of `rr_state`.
 */
rr_code rr_state_json(struct rr_container *c, struct rr_buf *out, struct rr_error **err);

/**
 * The containers of a state root, as the JSON that `list --format json` prints, without its last line end:
 * an array, or `null` for none. A container whose state cannot be read is left out and told to the context's
 * log.
 *
 * On success `*out` is the caller's (`rr_buf_free`). Any thread, does not block. Since 0.1.
 *
 * Errors: `RR_E_INVALID_ARGUMENT` (NULL), `RR_E_FORKED`, `RR_E_PERMISSION`, `RR_E_SYSTEM`.
 */
rr_code rr_list_json(struct rr_context *ctx, struct rr_buf *out, struct rr_error **err);

/**
 * The processes of a container, by their pids in the host's pid namespace.
 *
 * Up to `cap` of them are written to `pids`, and how many there are to `*n`, which may be more: then call
 * again with more room. `pids` may be NULL when `cap` is 0. They may change at any time. Any thread, does
 * not block. Since 0.1.
 *
 * Errors: `RR_E_INVALID_ARGUMENT` (NULL), `RR_E_NOT_FOUND`, `RR_E_CGROUP`, `RR_E_FORKED`, `RR_E_SYSTEM`.
 */
rr_code rr_pids(struct rr_container *c, pid_t *pids, size_t cap, size_t *n, struct rr_error **err);

/**
 * Opens a namespace of a container's first process, its own or one that it shares with the host: for setns(2) and the
 * ioctls of ioctl_nsfs(2). It holds the namespace, also after the container's end.
 *
 * `ns` is one of `RR_NS_*`. On success `*fd` is the caller's to close, close-on-exec. Any thread, does not block. Since
 * 0.1.
 *
 * Errors: `RR_E_INVALID_ARGUMENT` (NULL, no such kind), `RR_E_NOT_RUNNING`, `RR_E_NOT_FOUND` (it was deleted),
 * `RR_E_UNSUPPORTED` (this kernel has no such namespaces), `RR_E_PERMISSION`, `RR_E_FORKED`, `RR_E_SYSTEM`.
 */
rr_code rr_open_ns(struct rr_container *c,
                   int ns,
                   int *fd,
                   struct rr_error **err);

/**
 * Opens a container's directory in the cgroup2 filesystem, to read its files or to be the `cgroup` of clone3(2).
 *
 * On success `*fd` is the caller's to close, close-on-exec. Any thread, does not block. Since 0.1.
 *
 * Errors: `RR_E_INVALID_ARGUMENT` (NULL), `RR_E_NOT_FOUND` (it was deleted), `RR_E_UNSUPPORTED` (the container has no
 * directory in a cgroup2 filesystem), `RR_E_CGROUP`, `RR_E_FORKED`, `RR_E_SYSTEM`.
 */
rr_code rr_open_cgroup(struct rr_container *c,
                       int *fd,
                       struct rr_error **err);

/**
 * A default `config.json`, as the command line's `spec` writes it.
 *
 * On success `*out` is the caller's (`rr_buf_free`). Any thread, does not block. Since 0.1.
 *
 * Errors: `RR_E_INVALID_ARGUMENT` (NULL), `RR_E_UNSUPPORTED` (unknown bits).
 */
rr_code rr_spec_json(uint64_t flags, struct rr_buf *out, struct rr_error **err);

/**
 * The features document: what this build can do, on any host, as the command line's `features` prints it
 * (runtime-spec, features.md).
 *
 * On success `*out` is the caller's (`rr_buf_free`). Any thread, does not block. Since 0.1.
 *
 * Errors: `RR_E_INVALID_ARGUMENT` (NULL).
 */
rr_code rr_features_json(struct rr_buf *out, struct rr_error **err);

/**
 * Whether the bytes of a `config.json` are one that a container can be created from, as far as that can be
 * said without looking at the host: `RR_OK`, or why not.
 *
 * The bytes are borrowed for the call. Any thread, does not block. Since 0.1.
 *
 * Errors: `RR_E_INVALID_ARGUMENT` (NULL), `RR_E_INVALID_SPEC` (the message names the place in the JSON),
 * `RR_E_UNSUPPORTED`.
 */
rr_code rr_config_check(const char *config, size_t len, struct rr_error **err);

/**
 * The pid in the host's pid namespace. It may belong to another process once this one has ended: to act, use
 * `rr_process_signal`.
 *
 * NULL gives -1, and so does a forked child. Any thread, does not block. Since 0.1.
 */
pid_t rr_process_pid(const struct rr_process *p);

/**
 * The process's pidfd, for poll, epoll or an event loop: readable once the process has ended.
 *
 * Borrowed: it lives as long as `p`; do not close it. NULL gives -1, and so does a forked child. Any thread,
 * does not block. Since 0.1.
 */
int rr_process_pidfd(const struct rr_process *p);

/**
 * The master of the process's terminal; -1 if it has none, or if it went to `rr_io.console_socket`.
 *
 * Borrowed: it lives as long as `p`; do not close it. NULL gives -1, and so does a forked child. Any thread,
 * does not block. Since 0.1.
 */
int rr_process_console_fd(const struct rr_process *p);

/**
 * Waits for the end of a process and says how it ended. Any number of threads may wait, any number of times:
 * the answer stays.
 *
 * A host that reaps all children (`waitpid(-1)`) or ignores `SIGCHLD` does no harm: the status comes from
 * the pidfd where the kernel keeps it, and otherwise `RR_EXIT_STATUS_LOST` is set. The status of a process
 * that is not a child of this one is known under the same condition. `call` may be NULL; `out->size` must be
 * set. Any thread. Blocks until the process ends or `call` says so. Since 0.1.
 *
 * Errors: `RR_E_INVALID_ARGUMENT` (NULL, a size that is none), `RR_E_TIMEOUT`, `RR_E_CANCELLED`,
 * `RR_E_FORKED`, `RR_E_SYSTEM`.
 */
rr_code rr_process_wait(struct rr_process *p,
                        const struct rr_call *call,
                        struct rr_exit *out,
                        struct rr_error **err);

/**
 * Sends a signal, by its number, to this process and to no other: it goes through the pidfd.
 *
 * Any thread, does not block. Since 0.1.
 *
 * Errors: `RR_E_INVALID_ARGUMENT` (NULL, no such signal), `RR_E_NOT_RUNNING` (it has ended),
 * `RR_E_PERMISSION`, `RR_E_FORKED`, `RR_E_SYSTEM`.
 */
rr_code rr_process_signal(struct rr_process *p, int sig, struct rr_error **err);

/**
 * Sets the size of the process's terminal, in characters.
 *
 * Any thread, does not block. Since 0.1.
 *
 * Errors: `RR_E_INVALID_ARGUMENT` (NULL, zero rows or columns), `RR_E_CONSOLE` (this handle has no
 * terminal), `RR_E_FORKED`, `RR_E_SYSTEM`.
 */
rr_code rr_process_resize(struct rr_process *p, uint16_t rows, uint16_t cols, struct rr_error **err);

/**
 * One more owner of a handle: returns `p`, which now needs one more `rr_process_unref`.
 *
 * NULL gives NULL, and in a forked child too. Any thread, does not block. Since 0.1.
 */
struct rr_process *rr_process_ref(struct rr_process *p);

/**
 * Gives back one ownership of a handle; the last one frees it. The process goes on; a terminal that only this handle held is closed.
 *
 * NULL is fine. Any thread, once per owner, does not block. Since 0.1.
 */
void rr_process_unref(struct rr_process *p);

#ifdef __cplusplus
}  // extern "C"
#endif  // __cplusplus

#endif  /* RIVERRUN_H */
