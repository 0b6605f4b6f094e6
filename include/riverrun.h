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
 * Moment: the namespaces are there, nothing in them is done yet; after the hooks `prestart` of the config. Since 0.1.
 */
#define RR_HOOK_PRESTART 1

/**
 * Moment: right after `RR_HOOK_PRESTART` and the hooks `createRuntime`. Since 0.1.
 */
#define RR_HOOK_CREATE_RUNTIME 2

/**
 * Moment: the program was executed; after the hooks `poststart`. Since 0.1.
 */
#define RR_HOOK_POSTSTART 3

/**
 * Moment: the container was deleted, or could not be created; after the hooks `poststop`. Since 0.1.
 */
#define RR_HOOK_POSTSTOP 4

/**
 * The container's first process is not a child of the calling process: it goes to the nearest subreaper
 * (`PR_SET_CHILD_SUBREAPER`), or to the first process of the caller's pid namespace, as that of the command line's
 * `create` does. How it ended is known only where the kernel keeps it (`RR_EXIT_STATUS_LOST`). Since 0.1.
 */
#define RR_CREATE_DETACHED (1 << 0)

/**
 * `MS_MOVE` and chroot instead of pivot_root, for a host whose root is an initramfs. Since 0.1.
 */
#define RR_CREATE_NO_PIVOT (1 << 1)

/**
 * Keep the caller's session keyring. Since 0.1.
 */
#define RR_CREATE_NO_NEW_KEYRING (1 << 2)

/**
 * Keep the listener of the config's seccomp filter (`SCMP_ACT_NOTIFY`) for `rr_take_seccomp_fd`; `listenerPath` is not
 * needed then, and not used. Since 0.1.
 */
#define RR_CREATE_WANT_SECCOMP_FD (1 << 3)

/**
 * Give the program a socket to say on that it is ready, at `$NOTIFY_SOCKET` (sd_notify(3)); the other side is
 * `rr_open_notify`'s. Since 0.1.
 */
#define RR_CREATE_NOTIFY (1 << 4)

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
 * Keep established TCP connections; at both ends of a checkpoint. Since 0.1.
 */
#define RR_CRIU_TCP_ESTABLISHED (1 << 0)

/**
 * Leave the other end of unix sockets outside the container alone; at both. Since 0.1.
 */
#define RR_CRIU_EXT_UNIX_SK (1 << 1)

/**
 * Keep the terminal of a session that began outside; at both. Since 0.1.
 */
#define RR_CRIU_SHELL_JOB (1 << 2)

/**
 * Keep file locks; at both. Since 0.1.
 */
#define RR_CRIU_FILE_LOCKS (1 << 3)

/**
 * Bring memory over when it is touched (userfaultfd(2)); at both. Since 0.1.
 */
#define RR_CRIU_LAZY_PAGES (1 << 4)

/**
 * Free pages in the images of a parent that become superfluous. Since 0.1.
 */
#define RR_CRIU_AUTO_DEDUP (1 << 5)

/**
 * Checkpoint: the container goes on afterwards. Since 0.1.
 */
#define RR_CHECKPOINT_LEAVE_RUNNING (1 << 16)

/**
 * Checkpoint: write the memory alone, without stopping the container but for a moment; the images serve as `parent` of
 * the next. Since 0.1.
 */
#define RR_CHECKPOINT_PRE_DUMP (1 << 17)

/**
 * Checkpoint: leave out TCP connections that are not established yet. Since 0.1.
 */
#define RR_CHECKPOINT_TCP_SKIP_IN_FLIGHT (1 << 18)

/**
 * Checkpoint: keep open files that have no name any more by giving them one. Since 0.1.
 */
#define RR_CHECKPOINT_LINK_REMAP (1 << 19)

/**
 * Restore: close established TCP connections instead of keeping them. Since 0.1.
 */
#define RR_RESTORE_TCP_CLOSE (1 << 24)

/**
 * Cgroups: as `RR_CRIU_CGROUPS_SOFT`. Since 0.1.
 */
#define RR_CRIU_CGROUPS_DEFAULT 0

/**
 * Cgroups: CRIU does nothing about them. Since 0.1.
 */
#define RR_CRIU_CGROUPS_IGNORE 1

/**
 * Cgroups: CRIU restores the properties of those that it makes. Since 0.1.
 */
#define RR_CRIU_CGROUPS_SOFT 2

/**
 * Cgroups: CRIU restores all properties. Since 0.1.
 */
#define RR_CRIU_CGROUPS_FULL 3

/**
 * Cgroups: they must not be there, or have the same properties. Since 0.1.
 */
#define RR_CRIU_CGROUPS_STRICT 4

/**
 * Connections are kept still as CRIU does by itself. Since 0.1.
 */
#define RR_CRIU_LOCK_DEFAULT 0

/**
 * Connections are kept still by rules of iptables. Since 0.1.
 */
#define RR_CRIU_LOCK_IPTABLES 1

/**
 * Connections are kept still by rules of nftables. Since 0.1.
 */
#define RR_CRIU_LOCK_NFTABLES 2

/**
 * Connections are kept still by nothing. Since 0.1.
 */
#define RR_CRIU_LOCK_SKIP 3

/**
 * Migrate: all files of the root filesystem are sent, once while the container runs and what has changed since when it is
 * frozen; without it the target has the same files already. Since 0.1.
 */
#define RR_MIGRATE_COPY_ROOTFS (1 << 26)

/**
 * Migrate: no memory is sent before the container is frozen. Since 0.1.
 */
#define RR_MIGRATE_NO_ROUNDS (1 << 27)

/**
 * Migrate: memory goes over CRIU's page server straight into the target's images, and is never written here. Since 0.1.
 */
#define RR_MIGRATE_PAGE_SERVER (1 << 28)

/**
 * Migrate: the container runs at the target before its memory is there, which comes when it is touched, or behind that
 * (userfaultfd(2)). Until all of it is there this host is needed: if it dies, the container is lost. There are no rounds, no
 * page server and no established TCP connections then. What CRIU or the kernel cannot do is `RR_E_UNSUPPORTED`, before
 * anything is done. Since 0.1.
 */
#define RR_MIGRATE_LAZY (1 << 29)

/**
 * Migration: the target has accepted the container. Since 0.1.
 */
#define RR_MIGRATION_ACCEPTED 1

/**
 * Migration: files of the root filesystem were sent; `frozen`: those that had changed since the first time. Since 0.1.
 */
#define RR_MIGRATION_FILES 2

/**
 * Migration: a round of memory was written while the container ran, and sent. Since 0.1.
 */
#define RR_MIGRATION_ROUND 3

/**
 * Migration: memory is not sent in rounds, and `reason` says why: this kernel, or this CRIU, cannot tell which pages have
 * changed. Since 0.1.
 */
#define RR_MIGRATION_NO_ROUNDS 4

/**
 * Migration: the container is frozen; its downtime begins. Since 0.1.
 */
#define RR_MIGRATION_FROZEN 5

/**
 * Migration: all memory that was left was sent. Since 0.1.
 */
#define RR_MIGRATION_IMAGES 6

/**
 * Migration: the target has restored it, and is told to let it run. Since 0.1.
 */
#define RR_MIGRATION_RESTORED 7

/**
 * Migration: it runs there, and the rest of its memory is still here (`RR_MIGRATE_LAZY`). Since 0.1.
 */
#define RR_MIGRATION_RUNNING 8

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
 * Statistics: processor time. Since 0.1.
 */
#define RR_STATS_CPU (1 << 0)

/**
 * Statistics: memory, and how often it ran out. Since 0.1.
 */
#define RR_STATS_MEMORY (1 << 1)

/**
 * Statistics: processes and threads. Since 0.1.
 */
#define RR_STATS_PIDS (1 << 2)

/**
 * Statistics: block devices. Since 0.1.
 */
#define RR_STATS_IO (1 << 3)

/**
 * Statistics: stalls (the kernel's psi.rst). Since 0.1.
 */
#define RR_STATS_PRESSURE (1 << 4)

/**
 * Statistics: RDMA resources. Since 0.1.
 */
#define RR_STATS_RDMA (1 << 5)

/**
 * Statistics: processor time by CPU, which cgroup v1 alone counts. Since 0.1.
 */
#define RR_STATS_PERCPU (1 << 6)

/**
 * Event: nothing after all; go on waiting. Since 0.1.
 */
#define RR_EV_NONE 0

/**
 * Event: the container's first process has ended; `exit_code`, `exit_sig` and `exit_flags` say how. Since 0.1.
 */
#define RR_EV_EXIT 1

/**
 * Event: memory ran out, `count` times since the last such event. Since 0.1.
 */
#define RR_EV_OOM 2

/**
 * Event: processes were killed because of it, `count` of them since the last such event. Since 0.1.
 */
#define RR_EV_OOM_KILL 3

/**
 * Event: the time for statistics has come; `json` has them, as `rr_stats_json` makes them. Since 0.1.
 */
#define RR_EV_STATS 4

/**
 * Event: processes waited for a resource, as the trigger of the options says whose number is in `index`. Since 0.1.
 */
#define RR_EV_PRESSURE 5

/**
 * Event: the container was paused (`status` is `RR_PAUSED`) or goes on, whoever did it. Its start is no event, for that is
 * the return of `rr_start`; its end is `RR_EV_EXIT`. Since 0.1.
 */
#define RR_EV_STATE 6

/**
 * Event: nothing more will come. Since 0.1.
 */
#define RR_EV_END 7

/**
 * In `mask`: wants `RR_EV_EXIT`. Since 0.1.
 */
#define RR_WANT_EXIT (1 << 1)

/**
 * In `mask`: wants `RR_EV_OOM` and `RR_EV_OOM_KILL`. Since 0.1.
 */
#define RR_WANT_OOM (1 << 2)

/**
 * In `mask`: wants `RR_EV_STATS`. Since 0.1.
 */
#define RR_WANT_STATS (1 << 4)

/**
 * In `mask`: wants `RR_EV_STATE`. Since 0.1.
 */
#define RR_WANT_STATE (1 << 6)

/**
 * The first process was ended by SIGKILL, and processes of the container had been killed for lack of memory. Since 0.1.
 */
#define RR_EXIT_OOM_KILLED (1 << 0)

/**
 * Pressure: waiting for a CPU. Since 0.1.
 */
#define RR_PRESSURE_CPU 1

/**
 * Pressure: waiting for memory. Since 0.1.
 */
#define RR_PRESSURE_MEMORY 2

/**
 * Pressure: waiting for block devices. Since 0.1.
 */
#define RR_PRESSURE_IO 3

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
 * The events of one container, from `rr_events` on. Any number of threads may use one; each event is had by one of them.
 * A host that watches many containers puts their descriptors into one epoll. Since 0.1.
 */
typedef struct rr_event_stream rr_event_stream;

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
 * A function of the host's in place of a hook program: what `createRuntime` does for a network can be done here without
 * a process. `data` is the options' `hook_data`, `kind` one of `RR_HOOK_*`, `pid` the container's first process (0 at
 * `RR_HOOK_POSTSTOP`), `state_json` the container's state as hook programs read it, `len` bytes and a closing 0.
 *
 * It runs on the thread of the call that has come to the moment, during that call and never after it: the first two in
 * `rr_create` or `rr_run`, `RR_HOOK_POSTSTART` in `rr_start` or `rr_run`, `RR_HOOK_POSTSTOP` in `rr_delete`, the latter
 * two if the handle is the one that the create gave. Anything but `RR_OK` has the effect that a failed hook has: the
 * call ends with `RR_E_HOOK` and nothing is left behind; at `RR_HOOK_POSTSTOP` a line in the log.
 *
 * The text is borrowed until it returns. It may call this library, but not for the container that it is called for. It
 * must not unwind (C++ exceptions), longjmp, or give away a handle that the call uses. Since 0.1.
 */
typedef rr_code (*rr_hook_fn)(void *data, int kind, pid_t pid, const char *state_json, size_t len);

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
   * The root filesystem, a descriptor plus one: an open directory, instead of the config's `root.path`; 0: none. It is
   * found by its path in the caller's mount namespace, and it is an error if another directory is there by then.
   */
  int32_t rootfs_fd_plus1;
  /**
   * Zero.
   */
  uint32_t reserved0;
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
   * A function of the host's at the moments of hooks; NULL: none. The handle that the call gives keeps it.
   */
  rr_hook_fn hook;
  /**
   * The first argument of `hook`, usable as long as that handle is.
   */
  void *hook_data;
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
 * What an update changes beside `linux.resources`. Fill it with `rr_update_options_init`. Everything in it is copied
 * before the call returns. Since 0.1.
 */
typedef struct rr_update_options {
  /**
   * Set by `rr_update_options_init`.
   */
  size_t size;
  /**
   * Zero.
   */
  uint64_t flags;
  /**
   * A line for the container's group in resctrl, `L3:0=f`; NULL: none.
   */
  const char *l3_cache_schema;
  /**
   * Likewise, `MB:0=50`; NULL: none.
   */
  const char *mem_bw_schema;
  /**
   * Deadline and cancellation; NULL: neither.
   */
  const struct rr_call *call;
} rr_update_options;

/**
 * How a container is checkpointed. Fill it with `rr_checkpoint_options_init`; one of `images` and `images_fd_plus1` is
 * needed. Everything in it is copied or only borrowed for the call. Since 0.1.
 */
typedef struct rr_checkpoint_options {
  /**
   * Set by `rr_checkpoint_options_init`.
   */
  size_t size;
  /**
   * `RR_CRIU_*` and `RR_CHECKPOINT_*`.
   */
  uint64_t flags;
  /**
   * The directory that the images go to; made, for its owner alone, if it is not there.
   */
  const char *images;
  /**
   * The same directory as an open descriptor plus one; 0: none.
   */
  int32_t images_fd_plus1;
  /**
   * The directory of CRIU's log and working files as an open descriptor plus one; 0: none.
   */
  int32_t work_fd_plus1;
  /**
   * That directory as a path; with neither: that of the images.
   */
  const char *work;
  /**
   * The images of an earlier `RR_CHECKPOINT_PRE_DUMP`, a path relative to the images: what is in them is not written
   * again; NULL: none.
   */
  const char *parent;
  /**
   * The address of a page server (`criu page-server`) that memory is sent to, instead of to files; NULL: none.
   */
  const char *page_server;
  /**
   * Its port, 1 to 65535; 0 without an address.
   */
  uint32_t page_server_port;
  /**
   * A descriptor plus one that gets a zero byte once memory can be asked for, with `RR_CRIU_LAZY_PAGES`; 0: none.
   */
  int32_t status_fd_plus1;
  /**
   * `RR_CRIU_CGROUPS_*`.
   */
  uint32_t manage_cgroups;
  /**
   * `RR_CRIU_LOCK_*`.
   */
  uint32_t network_lock;
  /**
   * CRIU's program; NULL: the first `criu` in the usual directories.
   */
  const char *criu;
  /**
   * Deadline and cancellation; NULL: neither.
   */
  const struct rr_call *call;
} rr_checkpoint_options;

/**
 * How a container is restored, beside how it is created. Fill it with `rr_restore_options_init`; one of `images` and
 * `images_fd_plus1` is needed. Everything in it is copied or only borrowed for the call. Since 0.1.
 */
typedef struct rr_restore_options {
  /**
   * Set by `rr_restore_options_init`.
   */
  size_t size;
  /**
   * `RR_CRIU_*`, those that the checkpoint was made with, and `RR_RESTORE_*`.
   */
  uint64_t flags;
  /**
   * The directory of the images.
   */
  const char *images;
  /**
   * The same directory as an open descriptor plus one; 0: none.
   */
  int32_t images_fd_plus1;
  /**
   * The directory of CRIU's log and working files as an open descriptor plus one; 0: none.
   */
  int32_t work_fd_plus1;
  /**
   * That directory as a path; with neither: that of the images.
   */
  const char *work;
  /**
   * `RR_CRIU_CGROUPS_*`.
   */
  uint32_t manage_cgroups;
  /**
   * `RR_CRIU_LOCK_*`.
   */
  uint32_t network_lock;
  /**
   * `TYPE:NAME`, the label of the security module instead of the one that the processes had; NULL: theirs.
   */
  const char *lsm_profile;
  /**
   * The SELinux context of mounts instead of the one that they had; NULL: theirs.
   */
  const char *lsm_mount_context;
  /**
   * CRIU's program; NULL: the first `criu` in the usual directories.
   */
  const char *criu;
} rr_restore_options;

/**
 * What happens during a migration, at the source. Since 0.1.
 */
typedef struct rr_migration_event {
  /**
   * How much of it the library has written; what this header has beyond that is not there.
   */
  size_t size;
  /**
   * `RR_MIGRATION_*`; a later version may have more: pass them over.
   */
  int32_t type;
  /**
   * ROUND: its number, from 1 on.
   */
  uint32_t round;
  /**
   * FILES, ROUND, IMAGES: how many files were sent, with directories, links and the like.
   */
  uint64_t files;
  /**
   * FILES, ROUND, IMAGES: bytes on the stream for it.
   */
  uint64_t bytes;
  /**
   * FILES, ROUND, IMAGES: nanoseconds that the sending took.
   */
  uint64_t sending_ns;
  /**
   * ROUND, IMAGES: bytes of memory that no round before had.
   */
  uint64_t memory;
  /**
   * RUNNING: nanoseconds; the downtime is over.
   */
  uint64_t downtime_ns;
  /**
   * RUNNING: the first process, in the target's pid namespace.
   */
  pid_t pid;
  /**
   * FILES: 1 if the container is frozen.
   */
  uint32_t frozen;
  /**
   * NO_ROUNDS: one line, borrowed until the function returns; else NULL.
   */
  const char *reason;
} rr_migration_event;

/**
 * Receives what happens during a migration: `data` is the options' `progress_data`, `event` borrowed until it returns.
 *
 * It runs on the thread that called `rr_migrate`, during that call and never after it. What it takes from
 * `RR_MIGRATION_FROZEN` on is downtime. It may call this library, but not for the container that is migrated. It must not
 * unwind (C++ exceptions), longjmp, or give away a handle that the call uses; to end the migration it makes the call's
 * `cancel_fd` readable. Since 0.1.
 */
typedef void (*rr_migration_fn)(void *data, const struct rr_migration_event *event);

/**
 * How a container is sent away. NULL in its place, or all zero: the target has its files, and memory goes in rounds. Fill
 * it with `rr_migrate_options_init`. Everything in it is copied or only borrowed for the call. Since 0.1.
 */
typedef struct rr_migrate_options {
  /**
   * Set by `rr_migrate_options_init`.
   */
  size_t size;
  /**
   * `RR_MIGRATE_*`; `RR_CRIU_TCP_ESTABLISHED`, `_EXT_UNIX_SK`, `_SHELL_JOB` and `_FILE_LOCKS`, which hold for the target
   * as well; `RR_CHECKPOINT_LINK_REMAP` and `_TCP_SKIP_IN_FLIGHT`.
   */
  uint64_t flags;
  /**
   * At most so many rounds of memory while the container runs; 0: 8, or none with `RR_MIGRATE_LAZY`.
   */
  uint32_t rounds;
  /**
   * Milliseconds that the other side may say nothing before it counts as gone; 0: 300000.
   */
  uint32_t patience_ms;
  /**
   * A directory in which images are kept until all is over; NULL: that for temporary files.
   */
  const char *work;
  /**
   * `RR_CRIU_CGROUPS_*`.
   */
  uint32_t manage_cgroups;
  /**
   * `RR_CRIU_LOCK_*`.
   */
  uint32_t network_lock;
  /**
   * CRIU's program; NULL: the first `criu` in the usual directories.
   */
  const char *criu;
  /**
   * Told what happens; NULL: nobody.
   */
  rr_migration_fn progress;
  /**
   * The first argument of `progress`.
   */
  void *progress_data;
  /**
   * Deadline and cancellation; NULL: neither.
   */
  const struct rr_call *call;
} rr_migrate_options;

/**
 * How a container is received, beside how it is created. NULL in its place, or all zero: the default of everything. Fill it
 * with `rr_receive_options_init`. Everything in it is copied or only borrowed for the call. Since 0.1.
 */
typedef struct rr_receive_options {
  /**
   * Set by `rr_receive_options_init`.
   */
  size_t size;
  /**
   * 0.
   */
  uint64_t flags;
  /**
   * At most so many bytes of files and images are stored; 0: any number.
   */
  uint64_t limit;
  /**
   * Milliseconds that the other side may say nothing before it counts as gone; 0: 300000.
   */
  uint32_t patience_ms;
  /**
   * `RR_CRIU_CGROUPS_*`.
   */
  uint32_t manage_cgroups;
  /**
   * `RR_CRIU_LOCK_*`.
   */
  uint32_t network_lock;
  /**
   * 0.
   */
  uint32_t reserved0;
  /**
   * A directory in which images are kept until all is over; NULL: that for temporary files.
   */
  const char *work;
  /**
   * CRIU's program; NULL: the first `criu` in the usual directories.
   */
  const char *criu;
} rr_receive_options;

/**
 * A migration that has succeeded. Set `size` to `sizeof(rr_migrated)` before the call; only so much is written. Since 0.1.
 */
typedef struct rr_migrated {
  /**
   * `sizeof(rr_migrated)`, set by the caller.
   */
  size_t size;
  /**
   * The first process, in the target's pid namespace.
   */
  pid_t pid;
  /**
   * Rounds of memory before the container was frozen.
   */
  uint32_t rounds;
  /**
   * On the stream, both ways.
   */
  uint64_t bytes;
  /**
   * Nanoseconds from the moment at which the container was to be frozen until the target said that it runs.
   */
  uint64_t downtime_ns;
  /**
   * Nanoseconds, all of it.
   */
  uint64_t total_ns;
} rr_migrated;

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

/**
 * Which numbers `rr_stats` reads. NULL in its place reads all groups but the times by CPU. Since 0.1.
 */
typedef struct rr_stats_options {
  /**
   * `sizeof(rr_stats_options)`.
   */
  size_t size;
  /**
   * `RR_STATS_*`: a group that is not asked for costs nothing. 0: all but `RR_STATS_PERCPU`.
   */
  uint64_t what;
  /**
   * Room for the nanoseconds by CPU; NULL with `percpu_cap` 0. Needed with `RR_STATS_PERCPU` only.
   */
  uint64_t *percpu;
  /**
   * How many fit there.
   */
  size_t percpu_cap;
} rr_stats_options;

/**
 * What the kernel counts for a container. Set `size` to `sizeof(rr_stats_info)` before the call; only so much is written.
 * Times are nanoseconds, sizes bytes, and what this kernel does not count is 0. The files are those of the
 * kernel's cgroup-v2.rst, or cgroup-v1. Since 0.1.
 */
typedef struct rr_stats_info {
  /**
   * `sizeof(rr_stats_info)`, set by the caller.
   */
  size_t size;
  /**
   * The `RR_STATS_*` groups that were read: asked for, and counted here.
   */
  uint64_t present;
  /**
   * When: nanoseconds since 1970 UTC.
   */
  int64_t taken_ns;
  /**
   * Processor time.
   */
  uint64_t cpu_total;
  /**
   * In programs.
   */
  uint64_t cpu_user;
  /**
   * In the kernel.
   */
  uint64_t cpu_kernel;
  /**
   * Periods of the CPU quota that have passed.
   */
  uint64_t cpu_periods;
  /**
   * Those in which the quota was used up.
   */
  uint64_t cpu_throttled_periods;
  /**
   * Time not had because of it.
   */
  uint64_t cpu_throttled;
  /**
   * Memory in use, cached files included.
   */
  uint64_t memory_usage;
  /**
   * Its limit; `UINT64_MAX` for none.
   */
  uint64_t memory_limit;
  /**
   * The most in use so far (on v2 KERNEL 5.19).
   */
  uint64_t memory_max;
  /**
   * How often the limit was hit.
   */
  uint64_t memory_failcnt;
  /**
   * Of the memory, what is not of files.
   */
  uint64_t memory_anon;
  /**
   * What is of files.
   */
  uint64_t memory_file;
  /**
   * Of that, what was not used lately: `memory_usage` less this is what kubelet calls the working set.
   */
  uint64_t memory_inactive_file;
  /**
   * The kernel's own.
   */
  uint64_t memory_kernel;
  /**
   * On swap.
   */
  uint64_t memory_swap;
  /**
   * Page faults.
   */
  uint64_t memory_pgfault;
  /**
   * Those that had to read.
   */
  uint64_t memory_pgmajfault;
  /**
   * How often memory ran out (v2).
   */
  uint64_t memory_oom;
  /**
   * Processes killed because of it.
   */
  uint64_t memory_oom_kill;
  /**
   * Processes and threads.
   */
  uint64_t pids_current;
  /**
   * Their limit; `UINT64_MAX` for none.
   */
  uint64_t pids_limit;
  /**
   * Read from all block devices.
   */
  uint64_t io_read_bytes;
  /**
   * Written to them.
   */
  uint64_t io_write_bytes;
  /**
   * Read operations.
   */
  uint64_t io_reads;
  /**
   * Write operations.
   */
  uint64_t io_writes;
  /**
   * Time in which some processes waited for a CPU.
   */
  uint64_t cpu_some;
  /**
   * Time in which all waited for one.
   */
  uint64_t cpu_full;
  /**
   * Time in which some waited for memory.
   */
  uint64_t memory_some;
  /**
   * Time in which all waited for memory.
   */
  uint64_t memory_full;
  /**
   * Time in which some waited for I/O.
   */
  uint64_t io_some;
  /**
   * Time in which all waited for I/O.
   */
  uint64_t io_full;
  /**
   * HCA handles of all devices.
   */
  uint64_t rdma_handles;
  /**
   * HCA objects of all devices.
   */
  uint64_t rdma_objects;
  /**
   * How many CPUs there are times of; no more than `percpu_cap` of the options were written.
   */
  size_t n_percpu;
} rr_stats_info;

/**
 * Stalls that are worth an event (the kernel's psi.rst): `stall_us` of waiting within `window_us`. Since 0.1.
 */
typedef struct rr_pressure {
  /**
   * `RR_PRESSURE_*`.
   */
  uint32_t resource;
  /**
   * 0: some processes wait; 1: all do.
   */
  uint32_t full;
  /**
   * Microseconds, at least 1.
   */
  uint32_t stall_us;
  /**
   * Microseconds: 500000 to 10000000; without CAP_SYS_RESOURCE a multiple of 2000000 (KERNEL 6.5).
   */
  uint32_t window_us;
} rr_pressure;

/**
 * Which events are wanted. NULL in its place, or all zero: exit and OOM. Since 0.1.
 */
typedef struct rr_events_options {
  /**
   * `sizeof(rr_events_options)`.
   */
  size_t size;
  /**
   * `RR_WANT_*`; 0: exit, and OOM if the container's memory is counted. What is asked for here and cannot be told
   * is an error.
   */
  uint64_t mask;
  /**
   * Milliseconds between two `RR_EV_STATS`; 0: 5000.
   */
  uint32_t stats_interval_ms;
  /**
   * 0.
   */
  uint32_t reserved0;
  /**
   * Triggers for `RR_EV_PRESSURE`; copied.
   */
  const struct rr_pressure *pressure;
  /**
   * How many.
   */
  size_t n_pressure;
} rr_events_options;

/**
 * What happened. Set `size` to `sizeof(rr_event)` before the call; only so much is written. Since 0.1.
 */
typedef struct rr_event {
  /**
   * `sizeof(rr_event)`, set by the caller.
   */
  size_t size;
  /**
   * `RR_EV_*`; a later version may have more: pass them over.
   */
  int32_t type;
  /**
   * The container's first process, as the host sees it.
   */
  pid_t pid;
  /**
   * When it was seen: nanoseconds since 1970 UTC.
   */
  int64_t time_ns;
  /**
   * OOM, OOM_KILL: how often, how many.
   */
  uint64_t count;
  /**
   * EXIT: the code, when `exit_sig` is 0.
   */
  int32_t exit_code;
  /**
   * EXIT: the signal that ended it.
   */
  int32_t exit_sig;
  /**
   * EXIT: `RR_EXIT_*`.
   */
  uint64_t exit_flags;
  /**
   * STATE: `RR_PAUSED`, or `RR_RUNNING` or `RR_CREATED` when it goes on.
   */
  int32_t status;
  /**
   * PRESSURE: which trigger of the options.
   */
  uint32_t index;
  /**
   * STATS: text that ends with a 0, borrowed until the next `rr_event_stream_next` on this stream; else NULL.
   */
  const char *json;
  /**
   * Its length.
   */
  size_t json_len;
} rr_event;

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
 * Whether the library at run time has an ability. The names so far: `"cancel"` (`rr_call`'s deadline and descriptor),
 * `"checkpoint"` (`rr_checkpoint`, `rr_restore`), `"config-bytes"` (a config without a bundle), `"console"`
 * (terminals), `"detached"` (`RR_CREATE_DETACHED`), `"events"` (`rr_events`), `"exec"`, `"fd-map"` (further
 * descriptors by number), `"hook"` (`rr_hook_fn`), `"init-memfd"` (no helper program need be installed), `"log"`,
 * `"migrate"` (`rr_migrate`, `rr_receive`), `"notify"` (`RR_CREATE_NOTIFY`), `"open-cgroup"`, `"open-ns"`, `"pause"`, `"rootfs-fd"` (a root filesystem by descriptor), `"seccomp-fd"`
 * (`rr_take_seccomp_fd`), `"stats"` (`rr_stats`), `"stdio-pipe"` and `"update"`.
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
 * (`host`, `init` or `exec`), `"step"`, `"path"`, `"syscall"`, `"hook"`, `"criu-log"` and `"migration"` (`undecided`:
 * which of the two hosts has the container must be looked up); later versions may know more.
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
 * what a child does: credentials, namespaces, cgroup, affinity, nice value, keyring, seccomp filter
 * (`RR_CREATE_DETACHED`: it inherits the same, and is nobody's child). On failure nothing is left behind.
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
 * `RR_E_PERMISSION`, `RR_E_TIMEOUT`, `RR_E_CANCELLED`, `RR_E_FORKED`, `RR_E_UNSUPPORTED`, `RR_E_SYSTEM`, and
 * `RR_E_OOM` where the kernel has killed for lack of memory in the container meanwhile.
 */
rr_code rr_exec(struct rr_container *c,
                const struct rr_exec_options *options,
                struct rr_process **out,
                struct rr_error **err);

/**
 * Fills options with the default of everything: pass `sizeof(rr_update_options)` as `size`.
 *
 * NULL is fine. Any thread, does not block. Since 0.1.
 */
void rr_update_options_init(struct rr_update_options *options, size_t size);

/**
 * Changes the limits of a container that has not stopped, and remembers them for the next update.
 *
 * `resources` is a `linux.resources` object of the runtime specification as JSON, `len` bytes:
 * `{"memory": {"limit": 268435456}}`; NULL with 0: none. Memory is in bytes, time in microseconds. What it leaves out
 * keeps its value; where a number is asked for, 0 leaves it out and -1 lifts the limit. Device rules, where there are
 * any, take the place of all that were (cgroup-v1/devices.rst, or a `BPF_PROG_TYPE_CGROUP_DEVICE` program), without a
 * moment in which a device is gone that both allow. `options` may be NULL.
 *
 * On failure everything is as it was. Any thread, does not block but for the container's lock. Since 0.1.
 *
 * Errors: `RR_E_INVALID_ARGUMENT` (NULL), `RR_E_INVALID_SPEC` (the message names the place in the JSON),
 * `RR_E_NOT_RUNNING` (it has stopped), `RR_E_NOT_FOUND`, `RR_E_CGROUP` (the kernel refuses, or has no such controller),
 * `RR_E_PERMISSION`, `RR_E_BUSY`, `RR_E_TIMEOUT`, `RR_E_CANCELLED`, `RR_E_FORKED`, `RR_E_UNSUPPORTED` (the cgroup version has no such limit; a schema
 * without a group in resctrl; unknown bits), `RR_E_SYSTEM`.
 */
rr_code rr_update(struct rr_container *c,
                  const char *resources,
                  size_t len,
                  const struct rr_update_options *options,
                  struct rr_error **err);

/**
 * Fills options with the default of everything: pass `sizeof(rr_checkpoint_options)` as `size`.
 *
 * NULL is fine. Any thread, does not block. Since 0.1.
 */
void rr_checkpoint_options_init(struct rr_checkpoint_options *options, size_t size);

/**
 * Fills options with the default of everything: pass `sizeof(rr_restore_options)` as `size`.
 *
 * NULL is fine. Any thread, does not block. Since 0.1.
 */
void rr_restore_options_init(struct rr_restore_options *options, size_t size);

/**
 * Writes a container's processes, with their memory and what they have open, as images from which `rr_restore` makes
 * them again. Afterwards they are gone and the container has stopped, to be deleted, unless
 * `RR_CHECKPOINT_LEAVE_RUNNING` or `RR_CHECKPOINT_PRE_DUMP` let it go on.
 *
 * CRIU (criu.org, 3.0 or later) does it, a program that has to be installed; it is a child of the calling process for
 * the time of the call. Images hold the container's memory: whoever can read them can read its secrets.
 *
 * On failure the container runs on, or stays paused if it was. The error's detail `"criu-log"` is the path of CRIU's
 * log, the message has its decisive lines. Any thread. Blocks until all is written, as long as `options->call` allows;
 * other calls that change the container wait. Since 0.1; criu(8).
 *
 * Errors: `RR_E_INVALID_ARGUMENT` (NULL, no images, a directory that cannot be opened, options that exclude each
 * other), `RR_E_NOT_RUNNING`, `RR_E_NOT_FOUND`, `RR_E_CRIU` (CRIU is not there, or refuses), `RR_E_UNSUPPORTED` (this
 * CRIU or this kernel cannot do it; unknown bits), `RR_E_BUSY`, `RR_E_TIMEOUT`, `RR_E_CANCELLED`, `RR_E_FORKED`,
 * `RR_E_SYSTEM`.
 */
rr_code rr_checkpoint(struct rr_container *c,
                      const struct rr_checkpoint_options *options,
                      struct rr_error **err);

/**
 * Makes a container of the images of a checkpoint: its processes go on where they were, under the id `id`, which may be
 * another.
 *
 * `options` are those of `rr_create`, with the same owners: the configuration says where the root filesystem, the
 * mounts and the cgroups are, what the images say of them notwithstanding. The streams in `options->io` take the place
 * of those of the first process that were pipes or sockets; its terminal, where it had one, goes to
 * `console_socket`, or is had by `rr_process_console_fd`. Hooks of the config and `hook` are called as at a create; none
 * of `poststart`, which was called when the program was started.
 * `RR_CREATE_NO_PIVOT` and `RR_CREATE_NO_NEW_KEYRING` have no effect. `restore` says where the images are.
 *
 * On success `*out` is the caller's (`rr_container_unref`), and the first process a child of the calling process. On
 * failure nothing is left behind, and the error tells of CRIU's log as that of `rr_checkpoint`. Any thread. Blocks
 * until the processes run, as long as `options->call` allows: CRIU does not end on images that are damaged in some
 * ways, so that a deadline is advisable. Since 0.1; criu(8).
 *
 * Errors: those of `rr_create`; `RR_E_INVALID_ARGUMENT` (no images, or not those of a container), `RR_E_CRIU`,
 * `RR_E_UNSUPPORTED` (further descriptors in `options->io`, `RR_CREATE_DETACHED`, `RR_CREATE_WANT_SECCOMP_FD`; this
 * CRIU or this kernel cannot do it; unknown bits).
 */
rr_code rr_restore(struct rr_context *ctx,
                   const char *id,
                   const struct rr_create_options *options,
                   const struct rr_restore_options *restore,
                   struct rr_container **out,
                   struct rr_error **err);

/**
 * Fills options with the default of everything: pass `sizeof(rr_migrate_options)` as `size`.
 *
 * NULL is fine. Any thread, does not block. Since 0.1.
 */
void rr_migrate_options_init(struct rr_migrate_options *options, size_t size);

/**
 * Fills options with the default of everything: pass `sizeof(rr_receive_options)` as `size`.
 *
 * NULL is fine. Any thread, does not block. Since 0.1.
 */
void rr_receive_options_init(struct rr_receive_options *options, size_t size);

/**
 * Sends a running container to whoever calls `rr_receive`, or `riverrun receive`, at the other end of `socket`, a connected
 * stream socket of any family, and deletes it here once it runs there. At no time do two copies run.
 *
 * `socket` stays the caller's, who closes it afterwards: what is left in it says nothing more. Nothing on it is encrypted and
 * nobody proves who they are. CRIU is needed as for `rr_checkpoint`, and a freezer (`RR_E_CGROUP`). `out` may be NULL;
 * else `out->size` must be set. Hooks are called as at `rr_delete`. The handle remains to be given back.
 *
 * Until the target is told to run it every failure leaves the container running here and nothing there. If nothing is heard
 * from the target after that, the container stays here *paused*: the error's detail `"migration"` is `"undecided"` then, and
 * only a look at the target tells whether to `rr_resume` or to `rr_delete` it.
 *
 * Any thread. Blocks until the container runs there with all of its memory, as long as `options->call` allows, and up to five seconds more to tell the
 * other side that it does not; from the moment at which the target is told to run it, only the other side's silence ends it.
 * Other calls that change the container wait. Since 0.1; criu(8).
 *
 * Errors: those of `rr_checkpoint`; `RR_E_INVALID_ARGUMENT` (NULL, no stream socket), `RR_E_PAUSED` (resume it first),
 * `RR_E_UNSUPPORTED` (the other side is of another version, or cannot have it; unknown bits), `RR_E_CGROUP`, and whatever
 * code the target gives its own failure.
 */
rr_code rr_migrate(struct rr_container *c,
                   int socket,
                   const struct rr_migrate_options *options,
                   struct rr_migrated *out,
                   struct rr_error **err);

/**
 * Receives a container from whoever calls `rr_migrate`, or `riverrun migrate`, at the other end of `socket`, a connected
 * stream socket of any family. It runs when this returns.
 *
 * `socket` stays the caller's, who closes it afterwards. Whoever can write to it is as good as root: the configuration comes
 * with the container, hooks and all, and images are as good as programs. `id` is what the container is called here; NULL: as
 * at the source. `options`, which may be NULL, are those of `rr_restore`, but that neither a bundle nor a config is
 * needed: `bundle` is the directory that relative paths start in (NULL: that of the source's path), and one that is made if
 * the source sends the root filesystem; `config` is used in place of the source's. `receive` may be NULL.
 *
 * On success `*out` is the caller's (`rr_container_unref`), and the first process a child of the calling process. On failure
 * nothing is left behind, and the source's container runs on. Any thread. Blocks as `rr_migrate` does. Since 0.1; criu(8).
 *
 * Errors: those of `rr_restore`; `RR_E_EXISTS` (an id or a bundle that is there), `RR_E_INVALID_ARGUMENT` (no stream socket),
 * `RR_E_UNSUPPORTED` (a source of another version or architecture), and whatever code the source gives its own failure.
 */
rr_code rr_receive(struct rr_context *ctx,
                   int socket,
                   const char *id,
                   const struct rr_create_options *options,
                   const struct rr_receive_options *receive,
                   struct rr_container **out,
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
 * Makes the socket on which a container's program says that it is ready, and more (sd_notify(3)), of a container that
 * was created with `RR_CREATE_NOTIFY`: to be called before `rr_start`, since what the program says before is lost. One
 * that was made earlier hears nothing any more.
 *
 * On success `*fd` is a datagram socket, the caller's to read from and to close, close-on-exec: each message is lines
 * such as `READY=1`. It is also in reach of every process of the container. Any thread, does not block. Since 0.1.
 *
 * Errors: `RR_E_INVALID_ARGUMENT` (NULL), `RR_E_NOT_FOUND` (it was deleted), `RR_E_UNSUPPORTED` (it was created without
 * `RR_CREATE_NOTIFY`), `RR_E_STATE_CORRUPT`, `RR_E_FORKED`, `RR_E_SYSTEM`.
 */
rr_code rr_open_notify(struct rr_container *c,
                       int *fd,
                       struct rr_error **err);

/**
 * Takes the listener of the seccomp filter of a container that was created with `RR_CREATE_WANT_SECCOMP_FD`, from the
 * handle that the create gave (seccomp_unotify(2)); then those of the processes that this handle executed, in their
 * order. Each can be taken once; what nobody takes is closed with the handle, and the calls that it would answer fail
 * with ENOSYS.
 *
 * On success `*fd` is the caller's to close, close-on-exec. Any thread, does not block. Since 0.1.
 *
 * Errors: `RR_E_INVALID_ARGUMENT` (NULL), `RR_E_SECCOMP` (there is none: not asked for, none in the profile, or taken),
 * `RR_E_FORKED`.
 */
rr_code rr_take_seccomp_fd(struct rr_container *c,
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

/**
 * Fills the struct with its defaults. Since 0.1.
 */
void rr_stats_options_init(struct rr_stats_options *o, size_t size);

/**
 * What the kernel counts for a container, as flat numbers: a few small files are read, nothing is parsed but them, and
 * whether the container runs is not asked. A handle that is kept remembers where the files are.
 *
 * `o` may be NULL; `out->size` must be set. Any thread, does not block. Since 0.1.
 *
 * Errors: `RR_E_INVALID_ARGUMENT` (NULL, a size that is none), `RR_E_UNSUPPORTED` (unknown bits),
 * `RR_E_NOT_FOUND` (it was deleted), `RR_E_CGROUP` (it has no cgroups, or they are gone), `RR_E_PERMISSION`,
 * `RR_E_STATE_CORRUPT`, `RR_E_FORKED`, `RR_E_SYSTEM`.
 */
rr_code rr_stats(struct rr_container *c,
                 const struct rr_stats_options *o,
                 struct rr_stats_info *out,
                 struct rr_error **err);

/**
 * Everything that the kernel counts for a container, as the JSON that is the `data` of what the command line's
 * `events --stats` prints: runc's names and units.
 *
 * On success `*out` is the caller's (`rr_buf_free`). Any thread, does not block. Since 0.1.
 *
 * Errors: `RR_E_INVALID_ARGUMENT` (NULL), `RR_E_NOT_RUNNING` (it has stopped), `RR_E_NOT_FOUND`, `RR_E_CGROUP`,
 * `RR_E_PERMISSION`, `RR_E_STATE_CORRUPT`, `RR_E_FORKED`, `RR_E_SYSTEM`.
 */
rr_code rr_stats_json(struct rr_container *c,
                      struct rr_buf *out,
                      struct rr_error **err);

/**
 * Fills the struct with its defaults. Since 0.1.
 */
void rr_events_options_init(struct rr_events_options *o, size_t size);

/**
 * Begins to listen to a container, made here or elsewhere. What happened before is not told; of a container that this
 * context started and that has ended, the end is.
 *
 * `o` may be NULL. On success `*out` is the caller's (`rr_event_stream_close`); it needs `c` no longer. Any
 * thread, does not block. Since 0.1; the kernel's cgroup-v2.rst (`memory.events`, `cgroup.events`), psi.rst,
 * cgroup-v1/memory.rst (OOM control).
 *
 * Errors: `RR_E_INVALID_ARGUMENT` (NULL, a trigger that the kernel does not take), `RR_E_UNSUPPORTED`
 * (unknown bits, no PSI), `RR_E_NOT_RUNNING` (it has ended, and this context did not start it),
 * `RR_E_NOT_FOUND`, `RR_E_CGROUP` (its cgroups cannot tell), `RR_E_FORKED`, `RR_E_SYSTEM` (no descriptors
 * left).
 */
rr_code rr_events(struct rr_container *c,
                  const struct rr_events_options *o,
                  struct rr_event_stream **out,
                  struct rr_error **err);

/**
 * The stream's descriptor, for poll or epoll: readable means that `rr_event_stream_next` will not wait. It stays readable
 * as long as there is something to be had, and for ever after the end.
 *
 * Borrowed: it closes with the stream. -1 for NULL and in a forked child. Any thread, does not block. Since 0.1.
 */
int rr_event_stream_fd(const struct rr_event_stream *ev);

/**
 * Takes the next event; waits for one if there is none, as long as `call` says.
 *
 * When the descriptor was readable it does not wait, but what made it so may turn out to be nothing:
 * `RR_EV_NONE`. The OOM events of a container come before its `RR_EV_EXIT`, `RR_EV_END` comes last, whatever was asked
 * for, and then every time. `call` may be NULL; `out->size` must be set. Any thread. Since 0.1.
 *
 * Errors: `RR_E_INVALID_ARGUMENT` (NULL, a size that is none), `RR_E_TIMEOUT`, `RR_E_CANCELLED`, `RR_E_FORKED`,
 * `RR_E_SYSTEM`.
 */
rr_code rr_event_stream_next(struct rr_event_stream *ev,
                             const struct rr_call *call,
                             struct rr_event *out,
                             struct rr_error **err);

/**
 * Ends a stream and closes all that it held.
 *
 * NULL is fine. Any thread, once per stream, does not block. Since 0.1.
 */
void rr_event_stream_close(struct rr_event_stream *ev);

#ifdef __cplusplus
}  // extern "C"
#endif  // __cplusplus

#endif  /* RIVERRUN_H */
