/* life.c: a container's life, step by step, as an engine would lead it. `life ROOT SLEEPER TALKER`: two bundles, one
 * sleeps, the other prints "out" and "err" and exits with 7. A fourth argument is the kind of host that leads it. */
#include "kind_of_host.h"
#include <poll.h>
#include <sys/eventfd.h>

static char id[64];

/* All that comes out of a pipe until it is closed; at most a screen full. */
static const char *all(int fd) {
  static char text[4096];
  size_t len = 0;
  ssize_t n;
  while ((n = read(fd, text + len, sizeof text - 1 - len)) > 0)
    len += (size_t)n;
  CHECK(n == 0 || errno == EIO); /* a terminal ends with EIO */
  text[len] = '\0';
  close(fd);
  return text;
}

static void talks_and_stops(rr_context *ctx, const char *talker) {
  rr_io io;
  quiet(&io);
  io.out.kind = io.err.kind = RR_STDIO_PIPE;
  io.out.fd = io.err.fd = -7;
  rr_container *c = create(ctx, talker, id, &io);
  CHECK(io.out.fd > 2 && io.err.fd > 2 && io.in.fd == 0);
  CHECK(fcntl(io.out.fd, F_GETFD) == FD_CLOEXEC && fcntl(io.err.fd, F_GETFD) == FD_CLOEXEC);
  CHECK(status_of(c) == RR_CREATED);
  rr_process *init = NULL;
  OK(rr_init_process(c, &init, &err));
  OK(rr_start(c, NULL, &err));
  CHECK(strcmp(all(io.out.fd), "out\n") == 0);
  CHECK(strcmp(all(io.err.fd), "err\n") == 0);
  for (int i = 0; i < 3; i++) {
    CHECK(ended_with(init, 7, 0));
  }
  CHECK(rr_process_console_fd(init) == -1);
  EXPECT(RR_E_CONSOLE, rr_process_resize(init, 24, 80, &err));
  EXPECT(RR_E_NOT_RUNNING, rr_process_signal(init, SIGTERM, &err));
  CHECK(status_of(c) == RR_STOPPED);
  rr_process *p = NULL;
  rr_exec_options options;
  rr_exec_options_init(&options, sizeof options);
  options.process = AS_ROOT "\"args\": [\"/bin/true\"]}";
  options.process_len = strlen(options.process);
  EXPECT(RR_E_NOT_RUNNING, rr_exec(c, &options, &p, &err));
  EXPECT(RR_E_NOT_RUNNING, rr_kill(c, SIGTERM, 0, NULL, &err));
  EXPECT(RR_E_NOT_RUNNING, rr_start(c, NULL, &err));
  OK(rr_delete(c, 0, NULL, &err));
  rr_state_info info;
  info.size = sizeof info;
  EXPECT(RR_E_NOT_FOUND, rr_state(c, &info, &err));
  EXPECT(RR_E_NOT_FOUND, rr_delete(c, 0, NULL, &err));
  OK(rr_delete(c, RR_DELETE_FORCE, NULL, &err));
  CHECK(ended_with(init, 7, 0)); /* the handle outlives the container */
  rr_process_unref(init);
  rr_container_unref(c);
}

static void is_seen_by_others(rr_container *c, const char *root, const char *bundle) {
  rr_context *elsewhere = context(root);
  rr_container *same = NULL;
  OK(rr_open(elsewhere, id, &same, &err));
  rr_buf here = {NULL, 0, 0}, there = {NULL, 0, 0};
  OK(rr_state_json(c, &here, &err));
  OK(rr_state_json(same, &there, &err));
  CHECK(here.len == there.len && strcmp(here.data, there.data) == 0 && strlen(here.data) == here.len);
  CHECK(strstr(here.data, "\"status\": \"running\"") != NULL);
  rr_buf_free(&here);
  rr_buf_free(&there);
  OK(rr_list_json(elsewhere, &there, &err));
  CHECK(strstr(there.data, id) != NULL);
  rr_buf_free(&there);
  rr_io io;
  quiet(&io);
  rr_create_options options;
  rr_create_options_init(&options, sizeof options);
  options.bundle = bundle, options.io = &io;
  rr_container *twice = NULL;
  EXPECT(RR_E_EXISTS, rr_create(elsewhere, id, &options, &twice, &err));
  CHECK(twice == NULL);
  rr_context_unref(elsewhere); /* before the container that came from it */
  CHECK(status_of(same) == RR_RUNNING);
  EXPECT(RR_E_RUNNING, rr_start(same, NULL, &err));
  rr_container_unref(same);
}

static void takes_visitors(rr_container *c) {
  rr_io io;
  quiet(&io);
  io.in.kind = io.out.kind = RR_STDIO_PIPE;
  rr_process *cat = exec_json(c, AS_ROOT "\"args\": [\"/bin/cat\"]}", &io);
  CHECK(write(io.in.fd, "there and back\n", 15) == 15);
  close(io.in.fd);
  CHECK(strcmp(all(io.out.fd), "there and back\n") == 0);
  CHECK(ended_with(cat, 0, 0));
  rr_process_unref(cat);

  int ends[2];
  CHECK(pipe2(ends, O_CLOEXEC) == 0);
  rr_fd_map map = {ends[1], 5};
  quiet(&io);
  io.fds = &map, io.n_fds = 1;
  rr_process *p = exec_json(c, AS_ROOT "\"args\": [\"/bin/sh\", \"-c\", \"echo five >&5; kill -9 $$\"]}", &io);
  close(ends[1]);
  CHECK(strcmp(all(ends[0]), "five\n") == 0);
  CHECK(ended_with(p, 0, SIGKILL));
  rr_process_unref(p);

  CHECK(pipe2(ends, O_CLOEXEC) == 0);
  quiet(&io);
  io.out.kind = RR_STDIO_FD, io.out.fd = ends[1];
  p = exec_json(c, AS_ROOT "\"args\": [\"/bin/echo\", \"lent\"]}", &io);
  CHECK(fcntl(ends[1], F_GETFD) == FD_CLOEXEC); /* still ours */
  close(ends[1]);
  CHECK(strcmp(all(ends[0]), "lent\n") == 0);
  CHECK(ended_with(p, 0, 0));
  rr_process_unref(p);
}

static void has_a_terminal(rr_container *c) {
  rr_io io;
  rr_io_init(&io, sizeof io);
  io.rows = 33, io.cols = 99;
  rr_process *p = exec_json(
      c, AS_ROOT "\"terminal\": true, \"args\": [\"/bin/sh\", \"-c\", \"tty >/dev/null && busybox stty size; read x\"],"
         " \"env\": [\"PATH=/bin\"]}", &io);
  int fd = rr_process_console_fd(p);
  CHECK(fd > 2 && fcntl(fd, F_GETFD) == FD_CLOEXEC);
  char text[64] = "";
  CHECK(read(fd, text, sizeof text - 1) > 0);
  CHECK(strcmp(text, "33 99\r\n") == 0);
  OK(rr_process_resize(p, 50, 120, &err));
  EXPECT(RR_E_INVALID_ARGUMENT, rr_process_resize(p, 0, 120, &err));
  CHECK(write(fd, "\n", 1) == 1);
  CHECK(ended_with(p, 0, 0));
  rr_process_unref(p);
  CHECK(fcntl(fd, F_GETFD) == -1); /* borrowed: it went with its process */
}

static void can_be_waited_for(rr_container *c) {
  rr_io io;
  quiet(&io);
  rr_process *p = exec_json(c, AS_ROOT "\"args\": [\"/bin/sleep\", \"1000\"]}", &io);
  CHECK(rr_process_pid(p) > 1);
  struct pollfd ended = {rr_process_pidfd(p), POLLIN, 0};
  CHECK(poll(&ended, 1, 0) == 0);
  rr_exit end = {sizeof end, 77, 77, 77, 77};
  rr_call call = {sizeof call, 20, 0};
  EXPECT(RR_E_TIMEOUT, rr_process_wait(p, &call, &end, &err));
  int cancel = eventfd(1, EFD_CLOEXEC);
  call.timeout_ms = 0, call.cancel_fd_plus1 = cancel + 1;
  EXPECT(RR_E_CANCELLED, rr_process_wait(p, &call, &end, &err));
  CHECK(end.code == 77 && end.exited_ns == 77);
  uint64_t count = 0;
  CHECK(read(cancel, &count, sizeof count) == sizeof count && count == 1); /* it was only looked at */
  close(cancel);
  end.size = 0;
  EXPECT(RR_E_INVALID_ARGUMENT, rr_process_wait(p, NULL, &end, &err));
  EXPECT(RR_E_INVALID_ARGUMENT, rr_process_signal(p, 4711, &err));
  OK(rr_process_signal(p, SIGTERM, &err));
  CHECK(ended_with(p, 0, SIGTERM));
  CHECK(poll(&ended, 1, 0) == 1);
  rr_process_unref(p);
}

static void refuses_what_is_not_there(rr_container *c) {
  static const struct { const char *json; rr_code code; } cases[] = {
      {AS_ROOT "\"args\": [\"/bin/none-such\"]}", RR_E_EXEC_NOT_FOUND},
      {AS_ROOT "\"args\": [\"none-such\"], \"env\": [\"PATH=/bin\"]}", RR_E_EXEC_NOT_FOUND},
      {AS_ROOT "\"args\": [\"/etc/passwd\"]}", RR_E_EXEC_PERMISSION},
      {AS_ROOT "\"args\": [\"/etc\"]}", RR_E_EXEC_PERMISSION},
      {"{\"user\": {\"uid\": 0, \"gid\": 0}, \"args\": [\"/bin/true\"], \"cwd\": \"bin\"}", RR_E_INVALID_SPEC},
      {"{\"user\": {\"uid\": 0, \"gid\": 0}, \"args\": [\"/bin/true\"], \"cwd\": \"/etc/passwd\"}", RR_E_CWD},
      {AS_ROOT "\"args\": []}", RR_E_INVALID_SPEC},
      {AS_ROOT "\"args\": \"/bin/true\"}", RR_E_INVALID_SPEC},
      {"{", RR_E_INVALID_SPEC},
      {"", RR_E_INVALID_SPEC},
  };
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    rr_io io;
    quiet(&io);
    io.out.kind = RR_STDIO_PIPE, io.out.fd = -7;
    rr_exec_options options;
    rr_exec_options_init(&options, sizeof options);
    options.process = cases[i].json, options.process_len = strlen(cases[i].json), options.io = &io;
    rr_process *p = NULL;
    EXPECT(cases[i].code, rr_exec(c, &options, &p, &err));
    CHECK(p == NULL && io.out.fd == -7);
  }
  size_t n = 0;
  OK(rr_pids(c, NULL, 0, &n, &err));
  CHECK(n == 1);
}

int main(int argc, char **argv) {
  CHECK(argc == 4 || argc == 5);
  alarm(300);
  become(argc == 5 ? argv[4] : "plain");
  snprintf(id, sizeof id, "rr-abi-life-%d", (int)getpid());
  rr_context *ctx = context(argv[1]);
  talks_and_stops(ctx, argv[3]);

  rr_create_options options;
  rr_create_options_init(&options, sizeof options);
  rr_io io;
  quiet(&io);
  options.bundle = argv[2], options.io = &io;
  rr_container *c = NULL;
  OK(rr_run(ctx, id, &options, &c, &err));
  CHECK(status_of(c) == RR_RUNNING);
  is_seen_by_others(c, argv[1], argv[2]);
  takes_visitors(c);
  has_a_terminal(c);
  can_be_waited_for(c);
  refuses_what_is_not_there(c);
  EXPECT(RR_E_RUNNING, rr_delete(c, 0, NULL, &err));
  rr_process *init = NULL;
  OK(rr_init_process(c, &init, &err));
  OK(rr_kill(c, SIGKILL, RR_KILL_ALL, NULL, &err));
  CHECK(ended_with(init, 0, SIGKILL));
  OK(rr_delete(c, 0, NULL, &err));
  rr_process_unref(init);
  rr_container_unref(c);
  rr_context_unref(ctx);
  CHECK(childless());
  puts("ok");
  return 0;
}
