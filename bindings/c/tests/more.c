/* more.c: the claims about streams, further processes, numbers, events, checkpoints. */
#include "claims.h"
#include <pthread.h>
#include <sys/socket.h>
#include <sys/un.h>

/* ---- streams ---- */

void output_comes_through_a_pipe(void) {
  rr_io io = silent();
  io.out.kind = io.err.kind = RR_STDIO_PIPE;
  rr_container *c = run_of(fresh(), shell("echo out; echo err >&2"), &io);
  CHECK(is(all_of(io.out.fd), "out\n") && is(all_of(io.err.fd), "err\n"));
  gone(c);
}
void input_goes_through_a_pipe(void) {
  rr_io io = silent();
  io.in.kind = io.out.kind = RR_STDIO_PIPE;
  rr_container *c = run_of(fresh(), shell("read word; echo got $word"), &io);
  CHECK(write(io.in.fd, "a-word\n", 7) == 7);
  CHECK(is(all_of(io.out.fd), "got a-word\n"));
  close(io.in.fd);
  gone(c);
}
void output_goes_to_a_descriptor(void) {
  const char *path = text("%s/output", work);
  rr_io io = silent();
  io.out.kind = RR_STDIO_FD;
  io.out.fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
  rr_container *c = run_of(fresh(), shell("echo to-a-file"), &io);
  rr_process *init = init_of(c);
  CHECK(ended_with(init, 0, 0) && is(file(path), "to-a-file\n"));
  close(io.out.fd);
  rr_process_unref(init);
  gone(c);
}
void null_streams_are_empty(void) {
  rr_container *c = run("cat; exit 5");
  rr_process *init = init_of(c);
  CHECK(ended_with(init, 5, 0));
  rr_process_unref(init);
  gone(c);
}
void extra_descriptor_arrives(void) {
  int ends[2];
  CHECK(pipe(ends) == 0);
  rr_io io = silent();
  rr_fd_map five = {ends[1], 5};
  io.fds = &five;
  io.n_fds = 1;
  rr_container *c = run_of(fresh(), shell("echo by-five >&5"), &io);
  close(ends[1]);
  CHECK(is(all_of(ends[0]), "by-five\n"));
  gone(c);
}
static void says(int terminal, const char *wanted) {
  char seen[4096] = "";
  for (size_t len = 0; !has(seen, wanted); seen[len] = 0) {
    CHECK(readable(terminal, 60000) && len < sizeof seen - 1);
    ssize_t n = read(terminal, seen + len, sizeof seen - 1 - len);
    CHECK(n > 0);
    len += (size_t)n;
  }
}
void terminal_has_its_size(void) {
  rr_io io;
  rr_io_init(&io, sizeof io);
  io.rows = 31;
  io.cols = 97;
  const char *script = "[\"/bin/sh\",\"-c\",\"/bin/busybox stty size; read line; /bin/busybox stty size\"]";
  rr_container *c = run_of(fresh(), config(script, ",\"terminal\":true", ""), &io);
  rr_process *init = init_of(c);
  int terminal = rr_process_console_fd(init);
  says(terminal, "31 97");
  OK(rr_process_resize(init, 40, 120, &err));
  CHECK(write(terminal, "\n", 1) == 1);
  says(terminal, "40 120");
  rr_process_unref(init);
  gone(c);
}

/* ---- further processes ---- */

void exec_has_its_own_exit(void) {
  rr_container *c = run("sleep 60");
  CHECK(exec_code(c, "exit 4") == 4 && status_of(c) == RR_RUNNING);
  gone(c);
}
void exec_reads_its_input(void) {
  rr_container *c = run("sleep 60");
  rr_io io = silent();
  io.in.kind = io.out.kind = RR_STDIO_PIPE;
  rr_process *cat = NULL;
  CHECK(execute(c, "cat", &io, &cat) == RR_OK);
  CHECK(write(io.in.fd, "through", 7) == 7 && close(io.in.fd) == 0 && is(all_of(io.out.fd), "through"));
  rr_process_unref(cat);
  gone(c);
}
void executed_process_is_signalled(void) {
  rr_container *c = run("sleep 60");
  rr_io io = silent();
  rr_process *second = NULL;
  CHECK(execute(c, "sleep 60", &io, &second) == RR_OK && rr_process_pid(second) > 0 && rr_process_pid(second) != pid_of(c));
  OK(rr_process_signal(second, SIGKILL, &err));
  CHECK(ended_with(second, 0, SIGKILL) && status_of(c) == RR_RUNNING);
  rr_process_unref(second);
  gone(c);
}
void exec_into_a_stopped_container_is_refused(void) {
  rr_container *c = run("true");
  rr_process *init = init_of(c), *p = NULL;
  CHECK(ended_with(init, 0, 0));
  rr_io io = silent();
  CHECK(execute(c, "true", &io, &p) == RR_E_NOT_RUNNING && p == NULL);
  rr_process_unref(init);
  gone(c);
}
static size_t members(rr_container *c, pid_t *pids, size_t room) {
  size_t n = 0;
  OK(rr_pids(c, pids, room, &n, &err));
  return n;
}
void members_are_listed(void) {
  rr_container *c = run("sleep 60 & sleep 60 & wait");
  pid_t pids[8];
  EVENTUALLY(members(c, pids, 8) == 3);
  CHECK(members(c, NULL, 0) == 3);
  pid_t first = pid_of(c);
  CHECK(pids[0] == first || pids[1] == first || pids[2] == first);
  gone(c);
}
void pid_file_holds_the_pid(void) {
  rr_io io = silent();
  rr_create_options options = of(shell("sleep 60"), &io);
  options.pid_file = text("%s/pid", work);
  rr_container *c = NULL;
  OK(rr_run(ctx, fresh(), &options, &c, &err));
  CHECK(is(file(options.pid_file), text("%d", (int)pid_of(c))));
  gone(c);
}
void pidfd_is_readable_at_the_end(void) {
  rr_container *c = run("sleep 60");
  rr_process *init = init_of(c);
  CHECK(!readable(rr_process_pidfd(init), 0));
  OK(rr_kill(c, SIGKILL, 0, &LONG, &err));
  CHECK(readable(rr_process_pidfd(init), 60000));
  rr_process_unref(init);
  gone(c);
}
static const char *place(const char *path) {
  char target[256];
  ssize_t n = readlink(path, target, sizeof target);
  CHECK(n > 0);
  return text("%.*s", (int)n, target);
}
void namespace_is_opened(void) {
  rr_container *c = run("sleep 60");
  int fd = -1;
  OK(rr_open_ns(c, RR_NS_UTS, &fd, &err));
  const char *theirs = place(text("/proc/self/fd/%d", fd));
  CHECK(strncmp(theirs, "uts:", 4) == 0 && !is(theirs, place("/proc/self/ns/uts")));
  close(fd);
  gone(c);
}
void cgroup_is_opened(void) {
  rr_container *c = run("sleep 60");
  int fd = -1;
  OK(rr_open_cgroup(c, &fd, &err));
  CHECK(atoi(all_of(openat(fd, "cgroup.procs", O_RDONLY | O_CLOEXEC))) == pid_of(c));
  close(fd);
  gone(c);
}
void seccomp_listener_is_taken(void) {
  rr_io io = silent();
  rr_create_options options = of(config("[\"/bin/sleep\",\"60\"]", "", "\"seccomp\":{\"defaultAction\":\"SCMP_ACT_ALLOW\","
                                        "\"syscalls\":[{\"names\":[\"swapon\"],\"action\":\"SCMP_ACT_NOTIFY\"}]},"), &io);
  options.flags = RR_CREATE_WANT_SECCOMP_FD;
  rr_container *c = NULL;
  OK(rr_run(ctx, fresh(), &options, &c, &err));
  int listener = -1;
  OK(rr_take_seccomp_fd(c, &listener, &err));
  CHECK(fcntl(listener, F_GETFD) == FD_CLOEXEC && has(place(text("/proc/self/fd/%d", listener)), "seccomp notify"));
  close(listener);
  EXPECT(RR_E_SECCOMP, rr_take_seccomp_fd(c, &listener, &err));
  gone(c);
}
/* A message to the socket that the container sees, from outside. */
void readiness_is_heard(void) {
  rr_io io = silent();
  rr_create_options options = of(shell("sleep 60"), &io);
  options.flags = RR_CREATE_NOTIFY;
  rr_container *c = NULL;
  OK(rr_create(ctx, fresh(), &options, &c, &err));
  int heard = -1;
  OK(rr_open_notify(c, &heard, &err));
  OK(rr_start(c, &LONG, &err));
  struct sockaddr_un there = {.sun_family = AF_UNIX};
  snprintf(there.sun_path, sizeof there.sun_path, "/proc/%d/root/run/notify/notify.sock", (int)pid_of(c));
  int program = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  CHECK(sendto(program, "READY=1", 7, 0, (struct sockaddr *)&there, sizeof there) == 7);
  char message[64];
  CHECK(read(heard, message, sizeof message) == 7 && memcmp(message, "READY=1", 7) == 0);
  close(program);
  close(heard);
  gone(c);
  c = run("sleep 60");
  EXPECT(RR_E_UNSUPPORTED, rr_open_notify(c, &heard, &err));
  gone(c);
}

/* ---- pause, limits, numbers ---- */

void pause_freezes_and_resume_thaws(void) {
  rr_container *c = run("sleep 60");
  OK(rr_pause(c, &LONG, &err));
  CHECK(status_of(c) == RR_PAUSED);
  rr_io io = silent();
  rr_process *p = NULL;
  CHECK(execute(c, "true", &io, &p) == RR_E_PAUSED && p == NULL);
  OK(rr_resume(c, &LONG, &err));
  CHECK(status_of(c) == RR_RUNNING && exec_code(c, "true") == 0);
  gone(c);
}
static rr_stats_info stats_of(rr_container *c) {
  rr_stats_info info = {.size = sizeof info};
  OK(rr_stats(c, NULL, &info, &err));
  return info;
}
void update_changes_a_limit(void) {
  rr_container *c = run("sleep 60");
  const char *limit = "{\"pids\":{\"limit\":77}}";
  rr_update_options options;
  rr_update_options_init(&options, sizeof options);
  options.call = &LONG;
  OK(rr_update(c, limit, strlen(limit), &options, &err));
  CHECK(stats_of(c).pids_limit == 77);
  gone(c);
}
void stats_count_what_runs(void) {
  rr_container *c = run("sleep 60 & wait");
  EVENTUALLY(stats_of(c).pids_current == 2);
  CHECK(stats_of(c).memory_usage > 0);
  rr_stats_options only;
  rr_stats_options_init(&only, sizeof only);
  only.what = RR_STATS_PIDS;
  rr_stats_info info = {.size = sizeof info};
  OK(rr_stats(c, &only, &info, &err));
  CHECK(info.present == RR_STATS_PIDS && info.pids_current == 2 && info.memory_usage == 0);
  gone(c);
}
void stats_document_is_the_command_lines(void) {
  rr_container *c = run("sleep 60");
  rr_buf document = {NULL, 0, 0};
  OK(rr_stats_json(c, &document, &err));
  CHECK(has(document.data, "\"pids\":{\"current\":1") && has(document.data, "\"memory\":{"));
  rr_buf_free(&document);
  gone(c);
}

/* ---- events ---- */

static rr_event next(rr_event_stream *events) {
  rr_event event = {.size = sizeof event};
  OK(rr_event_stream_next(events, &LONG, &event, &err));
  return event;
}
static rr_event_stream *listen_to(rr_container *c) {
  rr_event_stream *events = NULL;
  OK(rr_events(c, NULL, &events, &err));
  return events;
}
void events_end_with_exit(void) {
  rr_io io = silent();
  io.in.kind = RR_STDIO_PIPE;
  rr_container *c = run_of(fresh(), shell("read line; exit 6"), &io);
  rr_events_options only;
  rr_events_options_init(&only, sizeof only);
  only.mask = RR_WANT_EXIT;
  rr_event_stream *events = NULL;
  OK(rr_events(c, &only, &events, &err));
  close(io.in.fd);
  rr_event event = next(events), exit_ = {0};
  for (; event.type != RR_EV_END; event = next(events))
    if (event.type == RR_EV_EXIT)
      exit_ = event;
  CHECK(exit_.type == RR_EV_EXIT && exit_.exit_code == 6 && next(events).type == RR_EV_END);
  rr_event_stream_close(events);
  gone(c);
}
void events_tell_out_of_memory_before_exit(void) {
  rr_io io = silent();
  io.in.kind = RR_STDIO_PIPE;
  const char *eater = "[\"/bin/sh\",\"-c\",\"read line; x=aaaaaaaa; while :; do x=$x$x; done\"]";
  const char *limit = "\"resources\":{\"memory\":{\"limit\":16777216,\"swap\":16777216}},";
  rr_container *c = run_of(fresh(), config(eater, "", limit), &io);
  rr_event_stream *events = listen_to(c);
  CHECK(write(io.in.fd, "\n", 1) == 1);
  int killed = 0;
  rr_event event = next(events);
  for (; event.type != RR_EV_EXIT; event = next(events))
    killed += event.type == RR_EV_OOM_KILL;
  CHECK(killed > 0 && event.exit_sig == SIGKILL && event.exit_flags & RR_EXIT_OOM_KILLED);
  close(io.in.fd);
  rr_event_stream_close(events);
  gone(c);
}
void events_of_many_in_one_loop(void) {
  enum { MANY = 5 };
  rr_container *c[MANY];
  rr_event_stream *events[MANY];
  struct pollfd entries[MANY];
  int input[MANY], exits = 0;
  for (int i = 0; i < MANY; i++) {
    rr_io io = silent();
    io.in.kind = RR_STDIO_PIPE;
    c[i] = run_of(fresh(), shell("read line; exit 3"), &io);
    input[i] = io.in.fd;
    events[i] = listen_to(c[i]);
    entries[i] = (struct pollfd){rr_event_stream_fd(events[i]), POLLIN, 0};
  }
  for (int i = 0; i < MANY; i++)
    close(input[i]);
  for (int open = MANY; open > 0;) {
    CHECK(poll(entries, MANY, 60000) > 0);
    for (int i = 0; i < MANY; i++) {
      if (!(entries[i].revents & POLLIN))
        continue;
      rr_event event = next(events[i]);
      exits += event.type == RR_EV_EXIT && event.exit_code == 3;
      if (event.type == RR_EV_END)
        entries[i].fd = -1, open--;
    }
  }
  CHECK(exits == MANY);
  for (int i = 0; i < MANY; i++) {
    rr_event_stream_close(events[i]);
    gone(c[i]);
  }
}

/* ---- checkpoint, restore, migration ---- */

static long number(int fd) {
  char line[32] = "";
  for (size_t len = 0; len < sizeof line - 1 && read(fd, line + len, 1) == 1 && line[len] != '\n';)
    len++;
  return atol(line);
}
void checkpointed_container_goes_on(void) {
  const char *criu = getenv("CRIU");
  if (criu == NULL || *criu == 0) {
    puts("skipped: checkpointed_container_goes_on: no CRIU that starts here");
    return;
  }
  const char *counting = shell("i=0; while :; do i=$((i+1)); echo $i; sleep 0.05; done");
  rr_io io = silent();
  io.out.kind = RR_STDIO_PIPE;
  rr_container *c = run_of(fresh(), counting, &io);
  while (number(io.out.fd) < 3)
    continue;
  rr_checkpoint_options options;
  rr_checkpoint_options_init(&options, sizeof options);
  options.call = &LONG;
  EXPECT(RR_E_INVALID_ARGUMENT, rr_checkpoint(c, &options, &err));
  options.images = text("%s/images", work);
  options.criu = criu;
  options.flags = RR_CHECKPOINT_LEAVE_RUNNING;
  OK(rr_checkpoint(c, &options, &err));
  CHECK(status_of(c) == RR_RUNNING);
  long seen = number(io.out.fd);
  options.flags = 0;
  OK(rr_checkpoint(c, &options, &err));
  CHECK(status_of(c) == RR_STOPPED);
  close(io.out.fd);
  gone(c);
  rr_restore_options how;
  rr_restore_options_init(&how, sizeof how);
  int images = open(options.images, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  how.images_fd_plus1 = images + 1;
  how.criu = criu;
  rr_create_options again = of(counting, &io);
  OK(rr_restore(ctx, fresh(), &again, &how, &c, &err));
  CHECK(status_of(c) == RR_RUNNING && number(io.out.fd) > seen);
  close(images);
  close(io.out.fd);
  gone(c);
}

struct moving {
  rr_container *c;
  int socket;
  rr_migrated out;
};
static void remember(void *data, const rr_migration_event *event) { *(int *)data = event->type; }
static void *send_away(void *argument) {
  struct moving *moving = argument;
  int last = 0;
  rr_migrate_options options;
  rr_migrate_options_init(&options, sizeof options);
  options.criu = getenv("CRIU"), options.call = &LONG;
  options.progress = remember, options.progress_data = &last;
  OK(rr_migrate(moving->c, moving->socket, &options, &moving->out, &err));
  CHECK(last == RR_MIGRATION_RESTORED);
  return NULL;
}
void migrated_container_goes_on(void) {
  const char *criu = getenv("CRIU");
  if (criu == NULL || *criu == 0) {
    puts("skipped: migrated_container_goes_on: no CRIU that starts here");
    return;
  }
  rr_context *there = context(text("%s/there", work));
  rr_io io = silent();
  io.out.kind = RR_STDIO_PIPE;
  struct moving moving = {.out = {.size = sizeof moving.out}};
  moving.c = run_of(fresh(), shell("i=0; while :; do i=$((i+1)); echo $i; sleep 0.05; done"), &io);
  while (number(io.out.fd) < 3)
    continue;
  long seen = number(io.out.fd);
  close(io.out.fd);
  int ends[2];
  CHECK(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) == 0);
  moving.socket = ends[0];
  pthread_t source;
  CHECK(pthread_create(&source, NULL, send_away, &moving) == 0);
  rr_create_options options;
  rr_create_options_init(&options, sizeof options);
  options.io = &io, options.call = &LONG;
  rr_receive_options receive;
  rr_receive_options_init(&receive, sizeof receive);
  receive.criu = criu;
  rr_container *c = NULL;
  OK(rr_receive(there, ends[1], fresh(), &options, &receive, &c, &err));
  CHECK(pthread_join(source, NULL) == 0);
  CHECK(status_of(c) == RR_RUNNING && pid_of(c) == moving.out.pid && moving.out.downtime_ns > 0);
  CHECK(number(io.out.fd) > seen);
  rr_state_info info = {.size = sizeof info};
  EXPECT(RR_E_NOT_FOUND, rr_state(moving.c, &info, &err));
  rr_container_unref(moving.c);
  rr_context_unref(there);
  close(ends[0]), close(ends[1]), close(io.out.fd);
  gone(c);
}
void migration_to_nobody_leaves_it_running(void) {
  rr_container *c = run("sleep 60");
  int ends[2];
  CHECK(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) == 0);
  close(ends[1]);
  CHECK(rr_migrate(c, ends[0], NULL, NULL, NULL) != RR_OK && status_of(c) == RR_RUNNING);
  CHECK(fcntl(ends[0], F_GETFD) == FD_CLOEXEC);
  close(ends[0]);
  gone(c);
}
