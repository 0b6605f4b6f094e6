/* run.c: a container's whole life from C, with every error looked at.
 *
 *     cc run.c $(pkg-config --cflags --libs riverrun) -o run && sudo ./run BUNDLE [ID]
 *
 * Creates a container from the bundle, shows its state, starts it, executes a second process in it if it still runs,
 * copies its output, waits, deletes it, and exits as the container did.
 */
#include <errno.h>
#include <riverrun.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Whether a call went well. If not, says why and frees the error. */
static bool fine(const char *what, rr_code code, rr_error **err) {
  if (code == RR_OK)
    return true;
  fprintf(stderr, "run: %s: %s (%s)\n", what, rr_error_message(*err), rr_code_name(code));
  rr_error_free(*err);
  *err = NULL;
  return false;
}

static void log_line(void *data, int level, const char *msg, size_t len, const char *fields) {
  (void)data, (void)fields;
  fprintf(stderr, "run: %s: %.*s\n", level <= RR_LOG_WARN ? "warning" : "note", (int)len, msg);
}

/* Copies what comes out of a pipe until its last writer is gone. */
static bool drain(int fd) {
  char bytes[4096];
  ssize_t n;
  while ((n = read(fd, bytes, sizeof bytes)) != 0) {
    if (n < 0 && errno == EINTR)
      continue;
    if (n < 0 || fwrite(bytes, 1, (size_t)n, stdout) != (size_t)n) {
      perror("run: copy output");
      return false;
    }
  }
  return fflush(stdout) == 0;
}

/* How a process ended as a shell would say it: the exit code, or 128 + the signal; -1 if that cannot be known. */
static int await(rr_process *process, rr_error **err) {
  rr_call patience = {sizeof patience, 60 * 1000, 0};
  rr_exit end;
  end.size = sizeof end;
  if (!fine("wait", rr_process_wait(process, &patience, &end, err), err) || (end.flags & RR_EXIT_STATUS_LOST))
    return -1;
  return end.sig ? 128 + end.sig : end.code;
}

/* A second process in the container, its output being ours. */
static bool visit(rr_container *c, rr_error **err) {
  static const char process[] = "{ \"args\": [\"/bin/id\"], \"cwd\": \"/\", \"user\": { \"uid\": 0, \"gid\": 0 } }";
  rr_exec_options options;
  rr_exec_options_init(&options, sizeof options);
  options.process = process;
  options.process_len = strlen(process);
  rr_process *visitor = NULL;
  rr_code code = rr_exec(c, &options, &visitor, err);
  if (code == RR_E_NOT_RUNNING) { /* The container was faster: told by the code, not by the words. */
    printf("run: too late for a visit\n");
    rr_error_free(*err);
    *err = NULL;
    return true;
  }
  if (!fine("exec", code, err))
    return false;
  printf("run: the visitor exited with %d\n", await(visitor, err));
  rr_process_unref(visitor);
  return true;
}

/* From created to stopped. `out` is the host's end of the container's output. */
static int live(rr_container *c, int out, rr_error **err) {
  rr_buf state = {NULL, 0, 0};
  if (!fine("state", rr_state_json(c, &state, err), err))
    return EXIT_FAILURE;
  printf("%s\n", state.data);
  rr_buf_free(&state);
  fflush(stdout);
  rr_process *init = NULL; /* taken while it is there: afterwards nobody could say how it ended */
  if (!fine("find init", rr_init_process(c, &init, err), err))
    return EXIT_FAILURE;
  int status = EXIT_FAILURE;
  if (fine("start", rr_start(c, NULL, err), err) && visit(c, err) && drain(out))
    status = await(init, err);
  rr_process_unref(init);
  return status < 0 ? EXIT_FAILURE : status;
}

int main(int argc, char **argv) {
  if (argc < 2 || argc > 3 || argv[1][0] == '-') {
    fprintf(stderr, "usage: run BUNDLE [ID]\n\n"
                    "Takes a container through its whole life with riverrun %s.\n", rr_version_string());
    return 2;
  }
  char id[32];
  snprintf(id, sizeof id, "run-%d", (int)getpid());
  rr_error *err = NULL;
  rr_context_options setup;
  rr_context_options_init(&setup, sizeof setup);
  setup.log = log_line;
  rr_context *ctx = NULL;
  if (!fine("set up", rr_context_new(&setup, &ctx, &err), &err))
    return EXIT_FAILURE;

  rr_io io;
  rr_io_init(&io, sizeof io);
  io.in.kind = RR_STDIO_NULL;
  io.out.kind = RR_STDIO_PIPE; /* rr_create writes the host's end to io.out.fd */
  rr_create_options options;
  rr_create_options_init(&options, sizeof options);
  options.bundle = argv[1];
  options.io = &io;
  rr_container *c = NULL;
  int status = EXIT_FAILURE;
  if (fine("create", rr_create(ctx, argc > 2 ? argv[2] : id, &options, &c, &err), &err)) {
    status = live(c, io.out.fd, &err);
    close(io.out.fd);
    if (!fine("delete", rr_delete(c, RR_DELETE_FORCE, NULL, &err), &err))
      status = EXIT_FAILURE;
  }
  rr_container_unref(c);
  rr_context_unref(ctx);
  return status;
}
