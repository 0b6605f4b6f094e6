// The claims of bindings/claims.txt, kept by riverrun.hpp: a function a claim. Needs root, and a busybox root filesystem in $ROOTFS.
//
// Prints "ok - NAME" or "not ok - NAME: why" for each. tests/bindings/run compiles and calls it.
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <iostream>
#include <riverrun.hpp>
#include <sstream>
#include <thread>

using namespace std::chrono_literals;
using riverrun::Config, riverrun::Container, riverrun::Context, riverrun::Error, riverrun::Fd, riverrun::Io, riverrun::Stream;

namespace {

const riverrun::Limits kLong{60s, -1};
std::string work;  // NOLINT
std::vector<std::string> log_lines;

[[noreturn]] void fail(const std::string &why) { throw std::logic_error(why); }
void expect(bool holds, const char *what, int line) {
  if (!holds) fail("line " + std::to_string(line) + ": " + what);
}
#define EXPECT(condition) expect((condition), #condition, __LINE__)

riverrun::ContextOptions root_options() {
  riverrun::ContextOptions options;
  options.root = work + "/state";
  return options;
}

const Context &context() {
  static const Context made = [] {
    auto options = root_options();
    options.log_level = RR_LOG_WARN;
    options.log = [](int, std::string_view line, std::string_view) { log_lines.emplace_back(line); };
    return Context(options);
  }();
  return made;
}

std::string fresh() {
  static int count = 0;
  return "cpp-" + std::to_string(getpid()) + "-" + std::to_string(count++);
}

std::string quoted(const std::string &text) {
  std::string json = "\"";
  for (char c : text) (c == '"' || c == '\\') ? (json += '\\', json += c) : json += c;
  return json + "\"";
}

/// A config that executes `args`; `more` goes into its process.
Config config(const std::vector<std::string> &args, const std::string &more = "") {
  std::string list;
  for (const auto &arg : args) list += (list.empty() ? "" : ",") + quoted(arg);
  std::string namespaces;
  for (const char *type : {"pid", "network", "ipc", "uts", "mount"})
    namespaces += (namespaces.empty() ? "" : ",") + std::string("{\"type\":\"") + type + "\"}";
  return {R"({"ociVersion":"1.0.2","root":{"path":)" + quoted(std::getenv("ROOTFS")) +
          R"(,"readonly":true},"process":{"cwd":"/","user":{"uid":0,"gid":0},"env":["PATH=/bin"],"args":[)" + list + "]" +
          more + R"(},"mounts":[{"destination":"/proc","type":"proc","source":"proc"},)"
                 R"({"destination":"/dev","type":"tmpfs","source":"tmpfs","options":["mode=755"]},)"
                 R"({"destination":"/dev/pts","type":"devpts","source":"devpts","options":["newinstance","ptmxmode=0666"]}],)"
                 R"("linux":{"namespaces":[)" + namespaces + "]}}"};
}

Config shell(const std::string &script, const std::string &more = "") { return config({"/bin/sh", "-c", script}, more); }

std::string process(const std::vector<std::string> &args) {
  std::string list;
  for (const auto &arg : args) list += (list.empty() ? "" : ",") + quoted(arg);
  return R"({"cwd":"/","user":{"uid":0,"gid":0},"env":["PATH=/bin"],"args":[)" + list + "]}";
}

riverrun::CreateOptions quiet() {
  riverrun::CreateOptions options;
  options.io = Io::null();
  options.limits = kLong;
  return options;
}

/// A running container that is deleted at the end.
struct Running {
  Container container;
  explicit Running(const std::string &script, const riverrun::CreateOptions &options = quiet())
      : Running(shell(script), options) {}
  explicit Running(const Config &config, const riverrun::CreateOptions &options = quiet(), std::string name = fresh())
      : container(context().run(name, config, options)), id(std::move(name)) {}
  Running(const Running &) = delete;
  ~Running() {
    try {
      container.remove(RR_DELETE_FORCE);
    } catch (const Error &error) {
      std::cerr << error.what() << '\n';
    }
  }
  Container *operator->() { return &container; }
  std::string id;
};

template <class F>
Error refused(rr_code code, F &&call) {
  try {
    call();
  } catch (const Error &error) {
    if (error.code() != code) fail(std::string("refused with ") + std::string(error.name()) + ": " + error.what());
    return error;
  }
  fail(std::string("not refused with ") + rr_code_name(code));
}

std::string read_all(int fd) {
  std::string text;
  char buffer[4096];
  for (ssize_t n; (n = read(fd, buffer, sizeof buffer)) > 0;) text.append(buffer, static_cast<size_t>(n));
  return text;
}

void write_all(int fd, std::string_view text) { EXPECT(write(fd, text.data(), text.size()) == static_cast<ssize_t>(text.size())); }

bool readable(int fd, std::chrono::milliseconds limit) {
  pollfd entry{fd, POLLIN, 0};
  return poll(&entry, 1, static_cast<int>(limit.count())) == 1;
}

std::string slurp(const std::string &path) {
  std::ifstream file(path);
  std::stringstream text;
  text << file.rdbuf();
  return text.str();
}

bool has(const std::string &text, const std::string &part) { return text.find(part) != std::string::npos; }

struct Pipe {
  Fd reader, writer;
  Pipe() {
    int ends[2];
    EXPECT(pipe2(ends, O_CLOEXEC) == 0);
    reader.reset(ends[0]);
    writer.reset(ends[1]);
  }
};

// ---- what needs no container ----

void version_is_the_headers() {
  const uint32_t number = RR_VERSION_NUMBER;
  const auto text = std::to_string(number >> 24) + "." + std::to_string(number >> 16 & 255) + "." + std::to_string(number >> 8 & 255);
  EXPECT(riverrun::version() == text);
}
void features_are_told_by_name() { EXPECT(riverrun::has_feature("exec") && !riverrun::has_feature("flight")); }
void spec_is_a_valid_config() {
  riverrun::config_check(riverrun::spec_json());
  riverrun::config_check(riverrun::spec_json(RR_SPEC_ROOTLESS));
}
void bad_config_names_the_place() {
  const auto error = refused(RR_E_INVALID_SPEC, [] { riverrun::config_check(R"({"ociVersion":"1.0.2","process":{"cwd":7}})"); });
  EXPECT(has(error.what(), "process.cwd"));
}
void features_document_is_complete() {
  const auto document = riverrun::features_json();
  EXPECT(has(document, "\"startContainer\"") && has(document, "\"rbind\""));
}

// ---- errors ----

Error no_bundle() {
  return refused(RR_E_INVALID_ARGUMENT, [] { (void)context().create(fresh(), riverrun::Bundle{work + "/no-bundle"}); });
}
void error_has_code_and_message() {
  const auto error = refused(RR_E_NOT_FOUND, [] { (void)context().open("nobody"); });
  EXPECT(error.name() == "RR_E_NOT_FOUND" && has(error.what(), "does not exist"));
}
void error_has_its_chain() {
  const auto error = no_bundle();
  std::string joined;
  for (const auto &part : error.chain()) joined += (joined.empty() ? "" : ": ") + part;
  EXPECT(error.chain().size() > 1 && joined == error.what());
}
void error_has_its_errno() { EXPECT(no_bundle().system() == std::errc::no_such_file_or_directory); }
void error_has_its_details() {
  const auto error = refused(RR_E_INVALID_SPEC, [] { (void)context().create(fresh(), riverrun::Bundle{work}, quiet()); });
  EXPECT(has(error.detail("path").value_or(""), work) && !error.detail("weather"));
}

// ---- the life of a container ----

void created_running_stopped() {
  const auto id = fresh();
  auto web = context().create(id, shell("exit 7"), quiet());
  EXPECT(web.state().status == RR_CREATED && web.state().pid > 0);
  const auto init = web.init_process();
  web.start(kLong);
  const auto end = init.wait(kLong);
  EXPECT(end.code == 7 && end.signal == 0 && end.shell_status() == 7);
  EXPECT(web.state().status == RR_STOPPED);
  web.remove();
  refused(RR_E_NOT_FOUND, [&] { (void)web.state(); });
}
void run_is_create_and_start() {
  Running web("sleep 60");
  EXPECT(web->state().status == RR_RUNNING);
}
void config_without_a_bundle() {
  Running web("true");
  EXPECT(web->init_process().wait(kLong).code == 0);
}
void state_document_is_the_command_lines() {
  Running web("sleep 60");
  const auto document = web->state_json();
  EXPECT(has(document, "\"id\": \"" + web.id + "\"") && has(document, "\"status\": \"running\""));
  EXPECT(has(document, "\"pid\": " + std::to_string(web->state().pid)) && has(document, "\"bundle\""));
}
void list_names_the_containers() {
  Running one("sleep 60"), two("sleep 60");
  const auto list = context().list_json();
  EXPECT(has(list, quoted(one.id)) && has(list, quoted(two.id)));
}
void open_finds_what_another_made() {
  Running web("sleep 60");
  EXPECT(Context(root_options()).open(web.id).state().pid == web->state().pid);
}
void existing_id_is_refused() {
  Running web("sleep 60");
  refused(RR_E_EXISTS, [&] { (void)context().create(web.id, shell("true"), quiet()); });
}
void invalid_id_is_refused() {
  refused(RR_E_INVALID_ID, [] { (void)context().create("a/b", shell("true"), quiet()); });
}
void missing_container_is_not_found() {
  refused(RR_E_NOT_FOUND, [] { (void)context().open("nobody"); });
}
void missing_program_is_named() {
  const auto error = refused(RR_E_EXEC_NOT_FOUND, [] { Running web(config({"/bin/nothing"})); });
  EXPECT(has(error.what(), "/bin/nothing"));
}
void second_start_is_refused() {
  Running web("sleep 60");
  refused(RR_E_RUNNING, [&] { web->start(); });
}
void running_container_is_not_deleted() {
  Running web("sleep 60");
  refused(RR_E_RUNNING, [&] { web->remove(); });
  EXPECT(web->state().status == RR_RUNNING);
}
void forced_delete_leaves_nothing() {
  Running web("sleep 60");
  const auto init = web->init_process();
  web->remove(RR_DELETE_FORCE);
  EXPECT(init.wait(kLong).signal == SIGKILL);
  EXPECT(!has(context().list_json(), quoted(web.id)));
  web->remove(RR_DELETE_FORCE);
}
void kill_ends_by_the_signal() {
  Running web("sleep 60");
  const auto init = web->init_process();
  web->kill(SIGKILL);
  const auto end = init.wait(kLong);
  EXPECT(end.signal == SIGKILL && end.shell_status() == 137);
}

// ---- waiting ----

void many_may_wait() {
  Running web("sleep 1; exit 9");
  const auto init = web->init_process();
  std::vector<int> codes(8);
  std::vector<std::thread> threads;
  for (auto &code : codes) threads.emplace_back([&] { code = init.wait(kLong).code; });
  for (auto &thread : threads) thread.join();
  EXPECT(codes == std::vector<int>(8, 9));
}
void wait_has_a_deadline() {
  Running web("sleep 60");
  const auto init = web->init_process();
  refused(RR_E_TIMEOUT, [&] { init.wait({50ms, -1}); });
}
void wait_is_cancelled() {
  Running web("sleep 60");
  Pipe cancel;
  const auto init = web->init_process();
  std::thread canceller([fd = cancel.writer.get()] { (void)!write(fd, "x", 1); });
  try {
    refused(RR_E_CANCELLED, [&] { init.wait({0ms, cancel.reader.get()}); });
  } catch (...) {
    canceller.join();
    throw;
  }
  canceller.join();
}
void cancelled_create_leaves_nothing() {
  Pipe cancel;
  write_all(cancel.writer.get(), "x");
  auto options = quiet();
  options.limits.cancel_fd = cancel.reader.get();
  const auto id = fresh();
  refused(RR_E_CANCELLED, [&] { (void)context().create(id, shell("true"), options); });
  refused(RR_E_NOT_FOUND, [&] { (void)context().open(id); });
}

// ---- streams ----

void output_comes_through_a_pipe() {
  auto options = quiet();
  options.io.out = options.io.err = Stream::pipe();
  Running web("echo out; echo err >&2", options);
  EXPECT(read_all(web->pipes.out.get()) == "out\n" && read_all(web->pipes.err.get()) == "err\n");
}
void input_goes_through_a_pipe() {
  auto options = quiet();
  options.io.in = options.io.out = Stream::pipe();
  Running web("read word; echo got $word", options);
  write_all(web->pipes.in.get(), "a-word\n");
  EXPECT(read_all(web->pipes.out.get()) == "got a-word\n");
}
void output_goes_to_a_descriptor() {
  const auto path = work + "/output";
  {
    Fd file(open(path.c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0600));
    auto options = quiet();
    options.io.out = Stream::descriptor(file.get());
    Running web("echo to-a-file", options);
    web->init_process().wait(kLong);
  }
  EXPECT(slurp(path) == "to-a-file\n");
}
void null_streams_are_empty() {
  Running web("cat; exit 5");
  EXPECT(web->init_process().wait(kLong).code == 5);
}
void extra_descriptor_arrives() {
  Pipe pipe;
  auto options = quiet();
  options.io.fds = {{pipe.writer.get(), 5}};
  Running web("echo by-five >&5", options);
  web->init_process().wait(kLong);
  pipe.writer.reset();
  EXPECT(read_all(pipe.reader.get()) == "by-five\n");
}
void read_until(int fd, const std::string &wanted, std::string &seen) {
  while (!has(seen, wanted)) {
    if (!readable(fd, 60s)) fail("terminal says " + seen);
    char buffer[1024];
    const ssize_t n = read(fd, buffer, sizeof buffer);
    if (n <= 0) fail("terminal ended after " + seen);
    seen.append(buffer, static_cast<size_t>(n));
  }
}
void terminal_has_its_size() {
  riverrun::CreateOptions options;
  options.io.rows = 31;
  options.io.cols = 97;
  Running web(shell("/bin/busybox stty size; read line; /bin/busybox stty size", R"(,"terminal":true)"), options);
  const auto init = web->init_process();
  std::string seen;
  read_until(init.console_fd(), "31 97", seen);
  init.resize(40, 120);
  write_all(init.console_fd(), "\n");
  read_until(init.console_fd(), "40 120", seen);
}

// ---- further processes ----

riverrun::ExecOptions quiet_exec() {
  riverrun::ExecOptions options;
  options.io = Io::null();
  options.limits = kLong;
  return options;
}
void exec_has_its_own_exit() {
  Running web("sleep 60");
  EXPECT(web->exec(process({"/bin/sh", "-c", "exit 4"}), quiet_exec()).wait(kLong).code == 4);
  EXPECT(web->state().status == RR_RUNNING);
}
void exec_reads_its_input() {
  Running web("sleep 60");
  auto options = quiet_exec();
  options.io.in = options.io.out = Stream::pipe();
  auto cat = web->exec(process({"/bin/cat"}), options);
  write_all(cat.pipes.in.get(), "through");
  cat.pipes.in.reset();
  EXPECT(read_all(cat.pipes.out.get()) == "through");
}
void executed_process_is_signalled() {
  Running web("sleep 60");
  const auto second = web->exec(process({"/bin/sleep", "60"}), quiet_exec());
  EXPECT(second.pid() > 0 && second.pid() != web->state().pid);
  second.signal(SIGKILL);
  EXPECT(second.wait(kLong).signal == SIGKILL && web->state().status == RR_RUNNING);
}
void exec_into_a_stopped_container_is_refused() {
  Running web("true");
  web->init_process().wait(kLong);
  refused(RR_E_NOT_RUNNING, [&] { (void)web->exec(process({"/bin/true"}), quiet_exec()); });
}
void members_are_listed() {
  Running web("sleep 60 & sleep 60 & wait");
  for (int i = 0; i < 6000 && web->pids().size() < 3; ++i) std::this_thread::sleep_for(10ms);
  const auto pids = web->pids();
  bool first = false;
  for (const pid_t pid : pids) first |= pid == web->state().pid;
  EXPECT(pids.size() == 3 && first);
}
void pid_file_holds_the_pid() {
  auto options = quiet();
  options.pid_file = work + "/pid";
  Running web("sleep 60", options);
  EXPECT(slurp(options.pid_file) == std::to_string(web->state().pid));
}

// ---- the host ----

void log_lines_arrive() {
  Running web(shell("true", R"(,"capabilities":{"bounding":["CAP_OF_NOBODY"]})"));
  bool told = false;
  for (const auto &line : log_lines) told |= has(line, "CAP_OF_NOBODY");
  EXPECT(told);
}
void pidfd_is_readable_at_the_end() {
  Running web("sleep 60");
  const auto init = web->init_process();
  EXPECT(!readable(init.pidfd(), 0ms));
  web->kill(SIGKILL);
  EXPECT(readable(init.pidfd(), 60s));
}
void handles_outlive_their_context() {
  auto own = std::make_unique<Context>(root_options());
  auto web = std::make_unique<Container>(own->run(fresh(), shell("sleep 60"), quiet()));
  const auto init = web->init_process();
  own.reset();
  web->remove(RR_DELETE_FORCE);
  web.reset();
  EXPECT(init.wait(kLong).signal == SIGKILL);
}
void forked_child_is_refused() {
  Running web("sleep 60");
  const pid_t child = fork();
  if (child == 0) {
    try {
      (void)web->state();
    } catch (const Error &error) {
      _exit(error.code() == RR_E_FORKED ? 0 : 2);
    }
    _exit(1);
  }
  int status = 0;
  EXPECT(waitpid(child, &status, 0) == child && status == 0);
}
std::string host() {
  std::string kept;
  std::ifstream status("/proc/self/status");
  for (std::string line; std::getline(status, line);)
    for (const char *key : {"SigBlk", "SigIgn", "SigCgt", "Umask", "Threads", "Cap", "NoNew"})
      if (line.rfind(key, 0) == 0) kept += line + "\n";
  char here[4096];
  kept += getcwd(here, sizeof here);
  for (int fd = 0; fd < 1024; ++fd) kept += fcntl(fd, F_GETFD) >= 0 ? "+" : "-";
  return kept;
}
void host_is_untouched() {
  { Running web("true"); }
  const auto before = host();
  for (int i = 0; i < 20; ++i) Running web("true");
  EXPECT(host() == before);
}

std::string link(const std::string &path) {
  char target[256];
  const ssize_t n = readlink(path.c_str(), target, sizeof target);
  return n < 0 ? "" : std::string(target, static_cast<size_t>(n));
}
void namespace_is_opened() {
  Running web("sleep 60");
  const auto fd = web->open_namespace(RR_NS_UTS);
  const auto theirs = link("/proc/self/fd/" + std::to_string(fd.get()));
  EXPECT(theirs.rfind("uts:", 0) == 0 && theirs != link("/proc/self/ns/uts"));
}

void cgroup_is_opened() {
  Running web("sleep 60");
  const auto directory = web->open_cgroup();
  const Fd members(openat(directory.get(), "cgroup.procs", O_RDONLY | O_CLOEXEC));
  EXPECT(std::stoi(read_all(members.get())) == web->state().pid);
}
void seccomp_listener_is_taken() {
  auto asking = shell("sleep 60");
  asking.json.insert(asking.json.find("\"linux\":{") + 9,
                     R"("seccomp":{"defaultAction":"SCMP_ACT_ALLOW",)"
                     R"("syscalls":[{"names":["swapon"],"action":"SCMP_ACT_NOTIFY"}]},)");
  auto options = quiet();
  options.flags = RR_CREATE_WANT_SECCOMP_FD;
  Running web(asking, options);
  const auto listener = web->take_seccomp_listener();
  EXPECT(has(link("/proc/self/fd/" + std::to_string(listener.get())), "seccomp notify"));
  refused(RR_E_SECCOMP, [&] { (void)web->take_seccomp_listener(); });
}

// A message to the socket that the container sees, from outside.
void readiness_is_heard() {
  riverrun::CreateOptions options;
  options.io = Io::null();
  options.limits = kLong;
  options.flags = RR_CREATE_NOTIFY;
  const auto web = context().create(fresh(), Config{shell("sleep 60")}, options);
  const auto heard = web.open_notify();
  web.start(kLong);
  sockaddr_un there{};
  there.sun_family = AF_UNIX;
  const auto path = "/proc/" + std::to_string(web.init_process().pid()) + "/root/run/notify/notify.sock";
  path.copy(there.sun_path, sizeof there.sun_path - 1);
  const Fd program(socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  EXPECT(sendto(program.get(), "READY=1", 7, 0, reinterpret_cast<const sockaddr *>(&there), sizeof there) == 7);
  char message[64];
  EXPECT(read(heard.get(), message, sizeof message) == 7 && std::string(message, 7) == "READY=1");
  web.remove(RR_DELETE_FORCE, kLong);
  Running other("sleep 60");
  refused(RR_E_UNSUPPORTED, [&] { (void)other->open_notify(); });
}

// ---- pause, limits, numbers, events ----

void pause_freezes_and_resume_thaws() {
  Running web("sleep 60");
  web->pause(kLong);
  EXPECT(web->state().status == RR_PAUSED);
  refused(RR_E_PAUSED, [&] { (void)web->exec(process({"/bin/true"}), quiet_exec()); });
  web->resume(kLong);
  EXPECT(web->state().status == RR_RUNNING);
  EXPECT(web->exec(process({"/bin/true"}), quiet_exec()).wait(kLong).code == 0);
}
/// The next whole number that is read.
long number(int fd) {
  std::string text;
  for (char c; read(fd, &c, 1) == 1 && c != '\n';) text += c;
  return std::stol(text);
}
void checkpointed_container_goes_on() {
  const char *criu = std::getenv("CRIU");
  if (!criu || !*criu) {
    std::cout << "skipped: checkpointed_container_goes_on: no CRIU that starts here" << std::endl;
    return;
  }
  auto options = quiet();
  options.io.out = Stream::pipe();
  const auto counting = shell("i=0; while :; do i=$((i+1)); echo $i; sleep 0.05; done");
  riverrun::CheckpointOptions checkpoint;
  checkpoint.limits = kLong;
  long seen = 0;
  {
    Running web(counting, options);
    while (number(web->pipes.out.get()) < 3) {
    }
    refused(RR_E_INVALID_ARGUMENT, [&] { web->checkpoint(checkpoint); });
    checkpoint.criu.images = work + "/images";
    checkpoint.criu.program = criu;
    checkpoint.criu.flags = RR_CHECKPOINT_LEAVE_RUNNING;
    web->checkpoint(checkpoint);
    EXPECT(web->state().status == RR_RUNNING);
    seen = number(web->pipes.out.get());
    checkpoint.criu.flags = 0;
    web->checkpoint(checkpoint);
    EXPECT(web->state().status == RR_STOPPED);
  }
  const Fd images(open(checkpoint.criu.images.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  riverrun::RestoreOptions restore;
  restore.criu.images_fd = images.get();
  restore.criu.program = criu;
  auto again = context().restore(fresh(), counting, restore, options);
  const auto status = again.state().status;
  const auto after = number(again.pipes.out.get());
  again.remove(RR_DELETE_FORCE);
  EXPECT(status == RR_RUNNING && after > seen);
}
void migrated_container_goes_on() {
  const char *criu = std::getenv("CRIU");
  if (!criu || !*criu) {
    std::cout << "skipped: migrated_container_goes_on: no CRIU that starts here\n";
    return;
  }
  riverrun::ContextOptions other;
  other.root = work + "/there";
  const Context there(other);
  auto options = quiet();
  options.io.out = Stream::pipe();
  auto web = context().run(fresh(), shell("i=0; while :; do i=$((i+1)); echo $i; sleep 0.05; done"), options);
  while (number(web.pipes.out.get()) < 3) continue;
  const auto seen = number(web.pipes.out.get());
  int ends[2];
  EXPECT(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) == 0);
  const Fd here(ends[0]), beyond(ends[1]);
  riverrun::MigrateOptions migrate;
  migrate.program = criu;
  migrate.limits = kLong;
  std::vector<int> steps;
  migrate.progress = [&](const riverrun::MigrationEvent &event) { steps.push_back(event.step); };
  riverrun::Migrated migrated;
  std::string why;
  std::thread source([&] {
    try {
      migrated = web.migrate(here.get(), migrate);
    } catch (const Error &error) {
      why = error.what();
    }
  });
  riverrun::ReceiveOptions receive;
  receive.program = criu;
  std::optional<Container> again;
  try {
    again = there.receive(beyond.get(), fresh(), riverrun::AsSent{}, receive, options);
  } catch (const Error &error) {
    source.join();
    fail(error.what() + (" / " + why));
  }
  source.join();
  const auto state = again->state();
  const auto after = number(again->pipes.out.get());
  again->remove(RR_DELETE_FORCE);
  EXPECT(state.status == RR_RUNNING && state.pid == migrated.pid && migrated.downtime.count() > 0 && after > seen);
  EXPECT(!steps.empty() && steps.front() == RR_MIGRATION_ACCEPTED && steps.back() == RR_MIGRATION_RESTORED);
  refused(RR_E_NOT_FOUND, [&] { (void)web.state(); });
}
void migration_to_nobody_leaves_it_running() {
  Running web("sleep 60");
  int ends[2];
  EXPECT(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) == 0);
  const Fd here(ends[0]);
  close(ends[1]);
  refused(RR_E_SYSTEM, [&] { (void)web->migrate(here.get()); });
  EXPECT(web->state().status == RR_RUNNING);
}
void update_changes_a_limit() {
  Running web("sleep 60");
  web->update(R"({"pids":{"limit":77}})", kLong);
  EXPECT(web->stats().pids_limit == 77);
}
void stats_count_what_runs() {
  Running web("sleep 60 & wait");
  for (int i = 0; i < 6000 && web->stats().pids_current != 2; ++i) std::this_thread::sleep_for(10ms);
  EXPECT(web->stats().pids_current == 2 && web->stats().memory_usage > 0);
}
void stats_document_is_the_command_lines() {
  Running web("sleep 60");
  const auto document = web->stats_json();
  EXPECT(has(document, R"("pids":{"current":1)") && has(document, R"("memory":{)"));
}
riverrun::CreateOptions with_input() {
  auto options = quiet();
  options.io.in = Stream::pipe();
  return options;
}
std::vector<riverrun::Event> to_the_end(riverrun::EventStream stream) {
  std::vector<riverrun::Event> all;
  do all.push_back(stream.next(kLong));
  while (all.back().type != RR_EV_END);
  return all;
}
size_t position(const std::vector<riverrun::Event> &all, int type) {
  for (size_t i = 0; i < all.size(); ++i)
    if (all[i].type == type) return i;
  fail("no event of type " + std::to_string(type));
}
void events_end_with_exit() {
  Running web("read line; exit 6", with_input());
  auto stream = web->events();
  web->pipes.in.reset();
  const auto all = to_the_end(std::move(stream));
  EXPECT(all[position(all, RR_EV_EXIT)].exit_code == 6);
}
void events_tell_out_of_memory_before_exit() {
  auto config = shell("read line; x=aaaaaaaa; while :; do x=$x$x; done");
  const std::string linux_object = R"("linux":{)";
  config.json.insert(config.json.find(linux_object) + linux_object.size(),
                     R"("resources":{"memory":{"limit":16777216,"swap":16777216}},)");
  Running web(config, with_input());
  auto stream = web->events();
  write_all(web->pipes.in.get(), "\n");
  const auto all = to_the_end(std::move(stream));
  EXPECT(position(all, RR_EV_OOM_KILL) < position(all, RR_EV_EXIT));
}
void events_of_many_in_one_loop() {
  std::vector<std::unique_ptr<Running>> webs;
  std::vector<riverrun::EventStream> streams;
  for (int i = 0; i < 5; ++i) {
    webs.push_back(std::make_unique<Running>("read line; exit 3", with_input()));
    streams.push_back(webs.back()->container.events());
  }
  for (auto &web : webs) web->container.pipes.in.reset();
  int exits = 0;
  for (size_t open = streams.size(); open > 0;) {
    std::vector<pollfd> entries;
    for (auto &stream : streams) entries.push_back({stream.fd(), POLLIN, 0});
    EXPECT(poll(entries.data(), entries.size(), 60000) > 0);
    for (size_t i = entries.size(); i-- > 0;) {
      if (!(entries[i].revents & POLLIN)) continue;
      const auto event = streams[i].next(kLong);
      exits += event.type == RR_EV_EXIT && event.exit_code == 3;
      if (event.type == RR_EV_END) {
        streams.erase(streams.begin() + static_cast<ptrdiff_t>(i));
        --open;
      }
    }
  }
  EXPECT(exits == 5);
}

struct Claim {
  const char *name;
  void (*keep)();
};
#define CLAIM(name) {#name, name}
const Claim kClaims[] = {
    CLAIM(version_is_the_headers), CLAIM(features_are_told_by_name), CLAIM(spec_is_a_valid_config),
    CLAIM(bad_config_names_the_place), CLAIM(features_document_is_complete), CLAIM(error_has_code_and_message),
    CLAIM(error_has_its_chain), CLAIM(error_has_its_errno), CLAIM(error_has_its_details),
    CLAIM(created_running_stopped), CLAIM(run_is_create_and_start),
    CLAIM(config_without_a_bundle), CLAIM(state_document_is_the_command_lines), CLAIM(list_names_the_containers),
    CLAIM(open_finds_what_another_made), CLAIM(existing_id_is_refused), CLAIM(invalid_id_is_refused),
    CLAIM(missing_container_is_not_found), CLAIM(missing_program_is_named), CLAIM(second_start_is_refused),
    CLAIM(running_container_is_not_deleted), CLAIM(forced_delete_leaves_nothing), CLAIM(kill_ends_by_the_signal),
    CLAIM(many_may_wait), CLAIM(wait_has_a_deadline), CLAIM(wait_is_cancelled), CLAIM(cancelled_create_leaves_nothing),
    CLAIM(output_comes_through_a_pipe), CLAIM(input_goes_through_a_pipe), CLAIM(output_goes_to_a_descriptor),
    CLAIM(null_streams_are_empty), CLAIM(extra_descriptor_arrives), CLAIM(terminal_has_its_size),
    CLAIM(exec_has_its_own_exit), CLAIM(exec_reads_its_input), CLAIM(exec_into_a_stopped_container_is_refused),
    CLAIM(members_are_listed), CLAIM(pid_file_holds_the_pid), CLAIM(log_lines_arrive), CLAIM(pidfd_is_readable_at_the_end),
    CLAIM(handles_outlive_their_context), CLAIM(forked_child_is_refused), CLAIM(host_is_untouched),
    CLAIM(executed_process_is_signalled), CLAIM(cgroup_is_opened), CLAIM(seccomp_listener_is_taken),
    CLAIM(namespace_is_opened), CLAIM(readiness_is_heard),
    CLAIM(pause_freezes_and_resume_thaws), CLAIM(update_changes_a_limit),
    CLAIM(stats_count_what_runs), CLAIM(stats_document_is_the_command_lines), CLAIM(events_end_with_exit),
    CLAIM(checkpointed_container_goes_on), CLAIM(migrated_container_goes_on), CLAIM(migration_to_nobody_leaves_it_running),
    CLAIM(events_tell_out_of_memory_before_exit), CLAIM(events_of_many_in_one_loop),
};

}  // namespace

int main() {
  char directory[] = "/tmp/rr-cpp-XXXXXX";
  const char *base = std::getenv("TMPDIR");
  work = base ? std::string(base) + "/rr-cpp-" + std::to_string(getpid()) : mkdtemp(directory);
  mkdir(work.c_str(), 0700);
  int failed = 0;
  for (const auto &claim : kClaims) {
    try {
      claim.keep();
      std::cout << "ok - " << claim.name << std::endl;
    } catch (const std::exception &error) {
      ++failed;
      std::cout << "not ok - " << claim.name << ": " << error.what() << std::endl;
    }
  }
  return failed != 0;
}
