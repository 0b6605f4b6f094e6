/* check.h: what the C programs of this folder share. tests/abi.rs compiles each against the library that cargo has just
 * built and runs it; a program that ends with 0 and prints "ok" has kept its promises. */
#ifndef CHECK_H
#define CHECK_H
#include <errno.h>
#include <fcntl.h>
#include <riverrun.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define CHECK(claim)                                                                                                   \
  do {                                                                                                                 \
    if (!(claim)) {                                                                                                    \
      fprintf(stderr, "%s:%d: not so: %s (errno %d: %s)\n", __FILE__, __LINE__, #claim, errno, strerror(errno));       \
      exit(1);                                                                                                         \
    }                                                                                                                  \
  } while (0)

/* Makes a call whose last argument is `&err`, and checks its code; prints the error otherwise. */
#define EXPECT(wanted, call)                                                                                           \
  do {                                                                                                                 \
    rr_error *err = NULL;                                                                                              \
    rr_code code = (call);                                                                                             \
    if (code != (wanted)) {                                                                                            \
      fprintf(stderr, "%s:%d: %s is %s, not %s: %s\n", __FILE__, __LINE__, #call, rr_code_name(code),                  \
              rr_code_name(wanted), rr_error_message(err));                                                            \
      exit(1);                                                                                                         \
    }                                                                                                                  \
    CHECK((code == RR_OK) == (err == NULL));                                                                           \
    CHECK(rr_error_code(err) == code);                                                                                 \
    rr_error_free(err);                                                                                                \
  } while (0)

#define OK(call) EXPECT(RR_OK, call)

/* How an OCI process object begins. */
#define AS_ROOT "{\"user\": {\"uid\": 0, \"gid\": 0}, \"cwd\": \"/\", "

static inline rr_context *context(const char *root) {
  rr_context_options options;
  rr_context_options_init(&options, sizeof options);
  options.root = root;
  rr_context *ctx = NULL;
  OK(rr_context_new(&options, &ctx, &err));
  CHECK(ctx != NULL);
  return ctx;
}

/* Streams to nowhere, so that a container never writes into a test's output. */
static inline void quiet(rr_io *io) {
  rr_io_init(io, sizeof *io);
  io->in.kind = io->out.kind = io->err.kind = RR_STDIO_NULL;
}

static inline rr_container *create(rr_context *ctx, const char *bundle, const char *id, rr_io *io) {
  rr_create_options options;
  rr_create_options_init(&options, sizeof options);
  options.bundle = bundle;
  options.io = io;
  rr_container *c = NULL;
  OK(rr_create(ctx, id, &options, &c, &err));
  CHECK(c != NULL);
  return c;
}

static inline rr_process *exec_json(rr_container *c, const char *json, rr_io *io) {
  rr_exec_options options;
  rr_exec_options_init(&options, sizeof options);
  options.process = json;
  options.process_len = strlen(json);
  options.io = io;
  rr_process *p = NULL;
  OK(rr_exec(c, &options, &p, &err));
  CHECK(p != NULL);
  return p;
}

static inline rr_exit wait_for(rr_process *p) {
  rr_call call = {sizeof call, 30 * 1000, 0};
  rr_exit end;
  end.size = sizeof end;
  OK(rr_process_wait(p, &call, &end, &err));
  return end;
}

static inline int status_of(rr_container *c) {
  rr_state_info info;
  info.size = sizeof info;
  OK(rr_state(c, &info, &err));
  return info.status;
}

/* Set in a host that takes every status away. */
static bool statuses_may_get_lost;

/* How a process ended, unless a status that may get lost is. */
static inline bool ended_with(rr_process *p, int code, int sig) {
  rr_exit end = wait_for(p);
  if (end.flags & RR_EXIT_STATUS_LOST)
    return statuses_may_get_lost;
  return end.code == code && end.sig == sig && end.flags == 0 && end.exited_ns > 0;
}

/* Whether this process has neither children nor zombies. */
static inline bool childless(void) { return waitpid(-1, NULL, WNOHANG | __WALL) == -1 && errno == ECHILD; }

/* The next whole number that comes out of the pipe. */
static inline long next_number(int fd) {
  char text[32];
  for (size_t i = 0; i < sizeof text - 1; i++) {
    CHECK(read(fd, text + i, 1) == 1);
    if (text[i] == '\n') {
      text[i] = '\0';
      return strtol(text, NULL, 10);
    }
  }
  CHECK(!"a line is short");
  return -1;
}

#endif
