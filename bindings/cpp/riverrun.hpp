// riverrun.hpp: riverrun.h for C++17: handles that give themselves back, options with defaults, exceptions for codes.
//
// Header-only. The contract is riverrun.h's: ownership, threads, blocking and errors are as said there of the function of the
// same name. Types are move-only; a moved-from one may only be destroyed or assigned to. Nothing here is a thread or a global.
//
//     riverrun::Context context;
//     auto web = context.run("web", riverrun::Bundle{"/bundles/web"});
//     return web.init_process().wait().shell_status();
//
// SPDX-License-Identifier: Apache-2.0
#ifndef RIVERRUN_HPP
#define RIVERRUN_HPP

#include <riverrun.h>
#include <unistd.h>

#include <chrono>
#include <functional>
#include <initializer_list>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>
#include <vector>

namespace riverrun {

/// A call that did not succeed. `code()` is stable, the text is not.
class Error : public std::runtime_error {
 public:
  /// Takes the error over.
  explicit Error(rr_error *error)
      : std::runtime_error(rr_error_message(error)), error_(error, rr_error_free) {}

  /// One of RR_E_*.
  [[nodiscard]] rr_code code() const noexcept { return rr_error_code(error_.get()); }
  /// The code as the header spells it.
  [[nodiscard]] std::string_view name() const noexcept { return rr_code_name(code()); }
  /// The errno of the system call that did not succeed; no error if none is the cause.
  [[nodiscard]] std::error_code system() const noexcept {
    return {rr_error_errno(error_.get()), std::generic_category()};
  }
  /// What was being done, outermost first, and last the cause.
  [[nodiscard]] std::vector<std::string> chain() const {
    std::vector<std::string> parts;
    for (size_t i = 0; i < rr_error_chain_len(error_.get()); ++i) parts.emplace_back(rr_error_chain(error_.get(), i));
    return parts;
  }
  /// A fact about the failure by its name: phase, step, path, syscall, hook.
  [[nodiscard]] std::optional<std::string> detail(const char *key) const {
    const char *value = rr_error_detail(error_.get(), key);
    return value ? std::optional<std::string>(value) : std::nullopt;
  }

 private:
  std::shared_ptr<rr_error> error_;  // exceptions are copied
};

namespace detail {

/// Makes a call that takes an `rr_error **`, and throws if it does not succeed.
template <class F>
void check(F &&call) {
  rr_error *error = nullptr;
  if (const rr_code code = call(&error); code != RR_OK) throw Error(error);
}

template <auto Unref>
struct Deleter {
  template <class T>
  void operator()(T *handle) const noexcept {
    Unref(handle);
  }
};

template <class T, auto Unref>
using Handle = std::unique_ptr<T, Deleter<Unref>>;

/// The bytes of a function that fills an rr_buf.
template <class F>
std::string bytes(F &&fill) {
  rr_buf buf = {nullptr, 0, 0};
  check([&](rr_error **error) { return fill(&buf, error); });
  std::string text(buf.data ? buf.data : "", buf.len);
  rr_buf_free(&buf);
  return text;
}

inline const char *optional(const std::string &text) { return text.empty() ? nullptr : text.c_str(); }

}  // namespace detail

/// A descriptor that closes itself.
class Fd {
 public:
  Fd() = default;
  explicit Fd(int fd) : fd_(fd) {}
  Fd(Fd &&other) noexcept : fd_(other.release()) {}
  Fd &operator=(Fd &&other) noexcept {
    reset(other.release());
    return *this;
  }
  ~Fd() { reset(); }

  [[nodiscard]] int get() const noexcept { return fd_; }
  [[nodiscard]] int release() noexcept { return std::exchange(fd_, -1); }
  void reset(int fd = -1) noexcept {
    if (fd_ >= 0) ::close(fd_);
    fd_ = fd;
  }
  explicit operator bool() const noexcept { return fd_ >= 0; }

 private:
  int fd_ = -1;
};

/// How long a call may take and what ends it early; the default waits for ever.
struct Limits {
  std::chrono::milliseconds timeout{0};  ///< 0: no deadline
  int cancel_fd = -1;                    ///< the call ends once it is readable; borrowed

  [[nodiscard]] rr_call c() const {
    rr_call call{};
    call.size = sizeof call;
    call.timeout_ms = static_cast<int32_t>(timeout.count());
    call.cancel_fd_plus1 = cancel_fd + 1;
    return call;
  }
};

/// Where one stream leads.
struct Stream {
  uint32_t kind = RR_STDIO_INHERIT;
  int fd = -1;

  static Stream inherit() { return {RR_STDIO_INHERIT, -1}; }
  static Stream null() { return {RR_STDIO_NULL, -1}; }
  static Stream pipe() { return {RR_STDIO_PIPE, -1}; }
  /// Borrowed for the call.
  static Stream descriptor(int fd) { return {RR_STDIO_FD, fd}; }
};

/// Streams, terminal and further descriptors of a process; the default is the host's own three streams.
struct Io {
  Stream in, out, err;
  std::string console_socket;      ///< empty: take Process::console_fd
  uint16_t rows = 0, cols = 0;     ///< the terminal's first size
  std::vector<rr_fd_map> fds;      ///< host's number, number in the process (3 or more)

  static Io null() { return {Stream::null(), Stream::null(), Stream::null(), {}, 0, 0, {}}; }
};

/// The host's ends of pipes.
struct Pipes {
  Fd in, out, err;
};

namespace detail {

/// An rr_io, lent to one call.
class Lent {
 public:
  explicit Lent(const Io &io) {
    rr_io_init(&io_, sizeof io_);
    io_.in = {io.in.kind, io.in.fd};
    io_.out = {io.out.kind, io.out.fd};
    io_.err = {io.err.kind, io.err.fd};
    io_.console_socket = optional(io.console_socket);
    io_.rows = io.rows;
    io_.cols = io.cols;
    io_.fds = io.fds.empty() ? nullptr : io.fds.data();
    io_.n_fds = io.fds.size();
  }
  rr_io *get() { return &io_; }
  [[nodiscard]] Pipes pipes() const {
    auto taken = [](const rr_stdio &stream) { return Fd(stream.kind == RR_STDIO_PIPE ? stream.fd : -1); };
    return {taken(io_.in), taken(io_.out), taken(io_.err)};
  }

 private:
  rr_io io_{};
};

}  // namespace detail

/// How a process ended.
struct Exit {
  int code = 0;         ///< if it exited by itself
  int signal = 0;       ///< the signal that ended it, else 0
  uint64_t flags = 0;   ///< RR_EXIT_*
  int64_t exited_ns = 0;

  [[nodiscard]] bool status_lost() const { return (flags & RR_EXIT_STATUS_LOST) != 0; }
  /// As a shell says it.
  [[nodiscard]] int shell_status() const { return signal ? 128 + signal : code; }
};

/// A process of a container.
class Process {
 public:
  Process(rr_process *handle, Pipes pipes_) : pipes(std::move(pipes_)), handle_(handle) {}

  [[nodiscard]] pid_t pid() const { return rr_process_pid(handle_.get()); }
  /// Borrowed: readable once the process has ended.
  [[nodiscard]] int pidfd() const { return rr_process_pidfd(handle_.get()); }
  /// Borrowed: the terminal's master, or -1.
  [[nodiscard]] int console_fd() const { return rr_process_console_fd(handle_.get()); }

  /// Any thread, any number of times.
  Exit wait(const Limits &limits = {}) const {
    rr_exit end{};
    end.size = sizeof end;
    rr_call call = limits.c();
    detail::check([&](rr_error **error) { return rr_process_wait(handle_.get(), &call, &end, error); });
    return {end.code, end.sig, end.flags, end.exited_ns};
  }
  void signal(int number) const {
    detail::check([&](rr_error **error) { return rr_process_signal(handle_.get(), number, error); });
  }
  void resize(uint16_t rows, uint16_t cols) const {
    detail::check([&](rr_error **error) { return rr_process_resize(handle_.get(), rows, cols, error); });
  }
  [[nodiscard]] rr_process *get() const noexcept { return handle_.get(); }

  Pipes pipes;  ///< the host's ends of the pipes that were asked for

 private:
  detail::Handle<rr_process, rr_process_unref> handle_;
};

/// What a container is doing.
struct State {
  int status = RR_CREATING;  ///< RR_CREATING to RR_PAUSED
  pid_t pid = 0;
  uint64_t start_time = 0;
  int64_t created_ns = 0;
};

/// One thing that happened to a container.
struct Event {
  int type = RR_EV_NONE;  ///< RR_EV_*
  pid_t pid = 0;
  int64_t time_ns = 0;
  uint64_t count = 0;
  int exit_code = 0, exit_signal = 0;  ///< of RR_EV_EXIT
  uint64_t exit_flags = 0;             ///< RR_EXIT_*
  int status = 0;                      ///< of RR_EV_STATE
  std::string json;                    ///< of RR_EV_STATS
};

/// What happens to a container, with one descriptor for the host's own loop.
class EventStream {
 public:
  explicit EventStream(rr_event_stream *handle) : handle_(handle) {}

  /// Borrowed: readable when next() will not wait.
  [[nodiscard]] int fd() const { return rr_event_stream_fd(handle_.get()); }
  /// Waits for the next one. Out of memory comes before the exit, RR_EV_END last.
  Event next(const Limits &limits = {}) {
    rr_event told{};
    told.size = sizeof told;
    rr_call call = limits.c();
    detail::check([&](rr_error **error) { return rr_event_stream_next(handle_.get(), &call, &told, error); });
    return {told.type, told.pid, told.time_ns, told.count, told.exit_code, told.exit_sig, told.exit_flags, told.status,
            told.json ? std::string(told.json, told.json_len) : std::string()};
  }

 private:
  detail::Handle<rr_event_stream, rr_event_stream_close> handle_;
};

/// Options of Container::exec.
struct ExecOptions {
  Io io;
  Limits limits;
  std::vector<std::string> cgroups;
  std::string pid_file;
  uint64_t flags = 0;  ///< RR_EXEC_*
};

/// What a checkpoint and a restore share: where the images are, and what CRIU is to do.
struct CriuOptions {
  std::string images, work;           ///< directories by path; no work: CRIU's log goes to the images
  int images_fd = -1, work_fd = -1;   ///< the same by descriptor, instead; borrowed
  uint64_t flags = 0;                 ///< RR_CRIU_*, with RR_CHECKPOINT_* or RR_RESTORE_*
  uint32_t manage_cgroups = RR_CRIU_CGROUPS_DEFAULT;
  uint32_t network_lock = RR_CRIU_LOCK_DEFAULT;
  std::string program;                ///< CRIU's; empty: the first in the usual directories

  template <class C>
  void lend(C &c) const {
    c.flags = flags;
    c.images = detail::optional(images);
    c.images_fd_plus1 = images_fd + 1;
    c.work = detail::optional(work);
    c.work_fd_plus1 = work_fd + 1;
    c.manage_cgroups = manage_cgroups;
    c.network_lock = network_lock;
    c.criu = detail::optional(program);
  }
};

/// Options of Container::checkpoint.
struct CheckpointOptions {
  CriuOptions criu;
  Limits limits;
  std::string parent;              ///< images of an earlier RR_CHECKPOINT_PRE_DUMP, relative to the images
  std::string page_server;         ///< the address that memory is sent to
  uint16_t page_server_port = 0;
  int status_fd = -1;              ///< gets a zero byte once memory can be asked for, with RR_CRIU_LAZY_PAGES; borrowed
};

/// Options of Context::restore.
struct RestoreOptions {
  CriuOptions criu;
  std::string lsm_profile;        ///< TYPE:NAME, the label instead of the one that the processes had
  std::string lsm_mount_context;  ///< that of mounts
};

/// What has happened of a migration.
struct MigrationEvent {
  int step = 0;              ///< RR_MIGRATION_*; a later version may have more
  uint32_t round = 0;        ///< of RR_MIGRATION_ROUND, from 1 on
  uint64_t files = 0, bytes = 0;
  std::chrono::nanoseconds sending{0};
  uint64_t memory = 0;       ///< bytes that no round before had
  bool frozen = false;       ///< the files are those that have changed since the first time
  pid_t pid = 0;             ///< of RR_MIGRATION_RUNNING, in the target's pid namespace
  std::chrono::nanoseconds downtime{0};  ///< of RR_MIGRATION_RUNNING
  std::string_view reason;   ///< of RR_MIGRATION_NO_ROUNDS; until the function returns
};

/// Options of Container::migrate; the default: the target has the files, and memory goes in rounds.
struct MigrateOptions {
  uint64_t flags = 0;                     ///< RR_MIGRATE_*, and what riverrun.h allows of RR_CRIU_* and RR_CHECKPOINT_*
  uint32_t rounds = 0;                    ///< at most; 0: the library's default
  std::chrono::milliseconds patience{0};  ///< how long the other side may say nothing; 0: the library's default
  std::string work;                       ///< a directory for images; empty: that for temporary files
  uint32_t manage_cgroups = RR_CRIU_CGROUPS_DEFAULT;
  uint32_t network_lock = RR_CRIU_LOCK_DEFAULT;
  std::string program;                    ///< CRIU's; empty: the first in the usual directories
  /// During the call, on its thread; must not throw. What it takes while the container is frozen is downtime.
  std::function<void(const MigrationEvent &)> progress;
  Limits limits;
};

/// Options of Context::receive.
struct ReceiveOptions {
  uint64_t limit = 0;                     ///< bytes that are stored at most; 0: any number
  std::chrono::milliseconds patience{0};  ///< how long the other side may say nothing; 0: the library's default
  std::string work;                       ///< a directory for images; empty: that for temporary files
  uint32_t manage_cgroups = RR_CRIU_CGROUPS_DEFAULT;
  uint32_t network_lock = RR_CRIU_LOCK_DEFAULT;
  std::string program;                    ///< CRIU's; empty: the first in the usual directories
};

/// A migration that has succeeded.
struct Migrated {
  pid_t pid = 0;  ///< of the first process, in the target's pid namespace
  uint32_t rounds = 0;
  uint64_t bytes = 0;  ///< on the stream, both ways
  std::chrono::nanoseconds downtime{0}, total{0};
};

/// A container. The object is not the container: letting go of it stops nothing.
class Container {
 public:
  Container(rr_container *handle, Pipes pipes_) : pipes(std::move(pipes_)), handle_(handle) {}

  void start(const Limits &limits = {}) const {
    rr_call call = limits.c();
    detail::check([&](rr_error **error) { return rr_start(get(), &call, error); });
  }
  void kill(int signal, uint64_t flags = 0, const Limits &limits = {}) const {
    rr_call call = limits.c();
    detail::check([&](rr_error **error) { return rr_kill(get(), signal, flags, &call, error); });
  }
  void remove(uint64_t flags = 0, const Limits &limits = {}) const {
    rr_call call = limits.c();
    detail::check([&](rr_error **error) { return rr_delete(get(), flags, &call, error); });
  }
  [[nodiscard]] Process init_process() const {
    rr_process *process = nullptr;
    detail::check([&](rr_error **error) { return rr_init_process(get(), &process, error); });
    return {process, {}};
  }
  /// `process` is a `process` object of the runtime specification, as JSON.
  [[nodiscard]] Process exec(std::string_view process, const ExecOptions &options = {}) const {
    detail::Lent io(options.io);
    rr_call call = options.limits.c();
    std::vector<const char *> cgroups;
    for (const auto &path : options.cgroups) cgroups.push_back(path.c_str());
    rr_exec_options c;
    rr_exec_options_init(&c, sizeof c);
    c.flags = options.flags;
    c.process = process.data();
    c.process_len = process.size();
    c.cgroups = cgroups.empty() ? nullptr : cgroups.data();
    c.n_cgroups = cgroups.size();
    c.pid_file = detail::optional(options.pid_file);
    c.io = io.get();
    c.call = &call;
    rr_process *made = nullptr;
    detail::check([&](rr_error **error) { return rr_exec(get(), &c, &made, error); });
    return {made, io.pipes()};
  }
  [[nodiscard]] State state() const {
    rr_state_info info{};
    info.size = sizeof info;
    detail::check([&](rr_error **error) { return rr_state(get(), &info, error); });
    return {info.status, info.pid, info.start_time, info.created_ns};
  }
  /// What the command line's `state` prints.
  [[nodiscard]] std::string state_json() const {
    return detail::bytes([&](rr_buf *buf, rr_error **error) { return rr_state_json(get(), buf, error); });
  }
  [[nodiscard]] std::vector<pid_t> pids() const {
    std::vector<pid_t> found(64);
    for (;;) {
      size_t count = 0;
      detail::check([&](rr_error **error) { return rr_pids(get(), found.data(), found.size(), &count, error); });
      const bool all = count <= found.size();
      found.resize(all ? count : count * 2);
      if (all) return found;
    }
  }
  void pause(const Limits &limits = {}) const {
    rr_call call = limits.c();
    detail::check([&](rr_error **error) { return rr_pause(get(), &call, error); });
  }
  void resume(const Limits &limits = {}) const {
    rr_call call = limits.c();
    detail::check([&](rr_error **error) { return rr_resume(get(), &call, error); });
  }
  /// Its processes become images, from which Context::restore makes them again; on failure it runs on.
  void checkpoint(const CheckpointOptions &options) const {
    rr_call call = options.limits.c();
    rr_checkpoint_options c;
    rr_checkpoint_options_init(&c, sizeof c);
    options.criu.lend(c);
    c.parent = detail::optional(options.parent);
    c.page_server = detail::optional(options.page_server);
    c.page_server_port = options.page_server_port;
    c.status_fd_plus1 = options.status_fd + 1;
    c.call = &call;
    detail::check([&](rr_error **error) { return rr_checkpoint(get(), &c, error); });
  }
  /// To whoever receives it at the other end of `socket`, a connected stream socket, borrowed; deleted here once it runs there.
  /// An error whose detail "migration" is "undecided" leaves it paused: only a look at the target tells what to do with it.
  Migrated migrate(int socket, const MigrateOptions &options = {}) const {
    rr_call call = options.limits.c();
    rr_migrate_options c;
    rr_migrate_options_init(&c, sizeof c);
    c.flags = options.flags;
    c.rounds = options.rounds;
    c.patience_ms = static_cast<uint32_t>(options.patience.count());
    c.work = detail::optional(options.work);
    c.manage_cgroups = options.manage_cgroups;
    c.network_lock = options.network_lock;
    c.criu = detail::optional(options.program);
    c.call = &call;
    if (options.progress) {
      c.progress_data = const_cast<std::function<void(const MigrationEvent &)> *>(&options.progress);
      c.progress = [](void *data, const rr_migration_event *event) {
        (*static_cast<const std::function<void(const MigrationEvent &)> *>(data))(
            {event->type, event->round, event->files, event->bytes, std::chrono::nanoseconds(event->sending_ns), event->memory,
             event->frozen != 0, event->pid, std::chrono::nanoseconds(event->downtime_ns), event->reason ? event->reason : ""});
      };
    }
    rr_migrated out{};
    out.size = sizeof out;
    detail::check([&](rr_error **error) { return rr_migrate(get(), socket, &c, &out, error); });
    return {out.pid, out.rounds, out.bytes, std::chrono::nanoseconds(out.downtime_ns), std::chrono::nanoseconds(out.total_ns)};
  }
  /// `resources` is a `linux.resources` object, as JSON; what is left out stays.
  void update(std::string_view resources, const Limits &limits = {}) const {
    rr_call call = limits.c();
    rr_update_options options;
    rr_update_options_init(&options, sizeof options);
    options.call = &call;
    detail::check([&](rr_error **error) { return rr_update(get(), resources.data(), resources.size(), &options, error); });
  }
  /// What the kernel counts, as flat numbers.
  [[nodiscard]] rr_stats_info stats() const {
    rr_stats_info info{};
    info.size = sizeof info;
    detail::check([&](rr_error **error) { return rr_stats(get(), nullptr, &info, error); });
    return info;
  }
  /// The `data` of what the command line's `events --stats` prints.
  [[nodiscard]] std::string stats_json() const {
    return detail::bytes([&](rr_buf *buf, rr_error **error) { return rr_stats_json(get(), buf, error); });
  }
  /// Listens from now on; without options to exit and out of memory.
  [[nodiscard]] EventStream events(const rr_events_options *options = nullptr) const {
    rr_event_stream *stream = nullptr;
    detail::check([&](rr_error **error) { return rr_events(get(), options, &stream, error); });
    return EventStream(stream);
  }
  /// A namespace of the container; `kind` is one of RR_NS_*.
  [[nodiscard]] Fd open_namespace(int kind) const {
    int fd = -1;
    detail::check([&](rr_error **error) { return rr_open_ns(get(), kind, &fd, error); });
    return Fd(fd);
  }
  /// The container's directory in the cgroup2 filesystem.
  [[nodiscard]] Fd open_cgroup() const {
    int fd = -1;
    detail::check([&](rr_error **error) { return rr_open_cgroup(get(), &fd, error); });
    return Fd(fd);
  }
  /// A datagram socket that hears what the program says by sd_notify(3); before start(), with RR_CREATE_NOTIFY.
  [[nodiscard]] Fd open_notify() const {
    int fd = -1;
    detail::check([&](rr_error **error) { return rr_open_notify(get(), &fd, error); });
    return Fd(fd);
  }
  /// The listener of the seccomp filter, then those of processes that were executed, each once; with RR_CREATE_WANT_SECCOMP_FD.
  [[nodiscard]] Fd take_seccomp_listener() const {
    int fd = -1;
    detail::check([&](rr_error **error) { return rr_take_seccomp_fd(get(), &fd, error); });
    return Fd(fd);
  }
  [[nodiscard]] rr_container *get() const noexcept { return handle_.get(); }

  Pipes pipes;  ///< the host's ends of the pipes that were asked for

 private:
  detail::Handle<rr_container, rr_container_unref> handle_;
};

/// A directory that holds config.json.
struct Bundle {
  std::string path;
};
/// The bytes of a config.json.
struct Config {
  std::string json;
};
/// What the source of a migration has said.
struct AsSent {};

/// Options of Context::create and run.
struct CreateOptions {
  Io io;
  Limits limits;
  std::string pid_file;
  uint64_t flags = 0;  ///< RR_CREATE_*
};

/// Options of a context.
struct ContextOptions {
  std::string root;    ///< empty: the default
  uint64_t flags = 0;  ///< RR_CTX_*
  /// Level, line, further facts as JSON or nothing. On the thread of the call that logs; must not throw.
  std::function<void(int, std::string_view, std::string_view)> log;
  int32_t log_level = 0;  ///< 0: RR_LOG_INFO
  std::string init_path;
};

/// A state root with its policy and its log.
///
/// With a log function, containers and processes made from it must not be used after it is gone.
class Context {
 public:
  explicit Context(const ContextOptions &options = {}) {
    rr_context_options c;
    rr_context_options_init(&c, sizeof c);
    c.root = detail::optional(options.root);
    c.init_path = detail::optional(options.init_path);
    c.flags = options.flags;
    c.log_level = options.log_level;
    if (options.log) {
      log_ = std::make_unique<Log>(options.log);
      c.log_data = log_.get();
      c.log = [](void *data, int level, const char *message, size_t length, const char *fields) {
        (*static_cast<Log *>(data))(level, {message, length}, fields ? fields : "");
      };
    }
    rr_context *made = nullptr;
    detail::check([&](rr_error **error) { return rr_context_new(&c, &made, error); });
    handle_.reset(made);
  }

  /// All of a container but the execution of its program. `from` is a Bundle or a Config.
  template <class From>
  [[nodiscard]] Container create(const std::string &id, const From &from, const CreateOptions &options = {}) const {
    return make(rr_create, id, from, options);
  }
  /// create and start in one.
  template <class From>
  [[nodiscard]] Container run(const std::string &id, const From &from, const CreateOptions &options = {}) const {
    return make(rr_run, id, from, options);
  }
  /// A container of the images of a checkpoint: its processes go on where they were.
  template <class From>
  [[nodiscard]] Container restore(const std::string &id, const From &from, const RestoreOptions &restore,
                                  const CreateOptions &options = {}) const {
    rr_restore_options r;
    rr_restore_options_init(&r, sizeof r);
    restore.criu.lend(r);
    r.lsm_profile = detail::optional(restore.lsm_profile);
    r.lsm_mount_context = detail::optional(restore.lsm_mount_context);
    auto call = [&r](rr_context *context, const char *name, const rr_create_options *c, rr_container **out,
                     rr_error **error) { return rr_restore(context, name, c, &r, out, error); };
    return make(call, id, from, options);
  }
  /// A container from whoever migrates it at the other end of `socket`, a connected stream socket, borrowed. An empty `id` is the
  /// source's. `from` is AsSent, a Bundle (made if the source sends the root filesystem), or a Config in place of the source's.
  template <class From = AsSent>
  [[nodiscard]] Container receive(int socket, const std::string &id = {}, const From &from = {},
                                  const ReceiveOptions &receive = {}, const CreateOptions &options = {}) const {
    rr_receive_options r;
    rr_receive_options_init(&r, sizeof r);
    r.limit = receive.limit;
    r.patience_ms = static_cast<uint32_t>(receive.patience.count());
    r.work = detail::optional(receive.work);
    r.manage_cgroups = receive.manage_cgroups;
    r.network_lock = receive.network_lock;
    r.criu = detail::optional(receive.program);
    auto call = [&r, socket](rr_context *context, const char *name, const rr_create_options *c, rr_container **out,
                             rr_error **error) {
      return rr_receive(context, socket, *name ? name : nullptr, c, &r, out, error);
    };
    return make(call, id, from, options);
  }
  /// Finds a container, whoever made it.
  [[nodiscard]] Container open(const std::string &id) const {
    rr_container *found = nullptr;
    detail::check([&](rr_error **error) { return rr_open(get(), id.c_str(), &found, error); });
    return {found, {}};
  }
  /// What the command line's `list --format json` prints.
  [[nodiscard]] std::string list_json() const {
    return detail::bytes([&](rr_buf *buf, rr_error **error) { return rr_list_json(get(), buf, error); });
  }
  [[nodiscard]] rr_context *get() const noexcept { return handle_.get(); }

 private:
  using Log = std::function<void(int, std::string_view, std::string_view)>;

  static void place(rr_create_options &, const AsSent &) {}
  static void place(rr_create_options &c, const Bundle &from) { c.bundle = from.path.c_str(); }
  static void place(rr_create_options &c, const Config &from) {
    c.config = from.json.data();
    c.config_len = from.json.size();
  }

  template <class F, class From>
  Container make(F function, const std::string &id, const From &from, const CreateOptions &options) const {
    detail::Lent io(options.io);
    rr_call call = options.limits.c();
    rr_create_options c;
    rr_create_options_init(&c, sizeof c);
    place(c, from);
    c.flags = options.flags;
    c.pid_file = detail::optional(options.pid_file);
    c.io = io.get();
    c.call = &call;
    rr_container *made = nullptr;
    detail::check([&](rr_error **error) { return function(get(), id.c_str(), &c, &made, error); });
    return {made, io.pipes()};
  }

  std::unique_ptr<Log> log_;
  detail::Handle<rr_context, rr_context_unref> handle_;
};

/// The version of the library at run time.
inline std::string_view version() { return rr_version_string(); }

/// Whether the library at run time has an ability.
inline bool has_feature(const char *name) { return rr_has_feature(name); }

/// A default config.json.
inline std::string spec_json(uint64_t flags = 0) {
  return detail::bytes([&](rr_buf *buf, rr_error **error) { return rr_spec_json(flags, buf, error); });
}

/// The features document.
inline std::string features_json() {
  return detail::bytes([](rr_buf *buf, rr_error **error) { return rr_features_json(buf, error); });
}

/// Throws if no container can be created from these bytes of a config.json.
inline void config_check(std::string_view config) {
  detail::check([&](rr_error **error) { return rr_config_check(config.data(), config.size(), error); });
}

}  // namespace riverrun

#endif  // RIVERRUN_HPP
