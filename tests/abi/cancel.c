/* cancel.c: what a call is told of time. One that is cancelled already does nothing; one that is cancelled or late on its
 * way leaves nothing. `cancel ROOT SLEEPER HOOKED MARK`: the second bundle has a createRuntime hook that makes the file MARK
 * and sleeps. */
#include "check.h"
#include <pthread.h>
#include <sys/eventfd.h>
#include <sys/file.h>

static char id[64];
static const char *root;

static void *when_marked(void *mark_and_fd) {
  void **both = mark_and_fd;
  while (access(both[0], F_OK) != 0)
    usleep(1000);
  uint64_t one = 1;
  CHECK(write(*(int *)both[1], &one, sizeof one) == sizeof one);
  return NULL;
}

static bool has_directory(void) {
  char path[4096];
  snprintf(path, sizeof path, "%s/%s", root, id);
  return access(path, F_OK) == 0;
}

static void cancelled_before(rr_context *ctx, const char *sleeper, const rr_call *call) {
  rr_io io;
  quiet(&io);
  rr_create_options options;
  rr_create_options_init(&options, sizeof options);
  options.bundle = sleeper, options.io = &io, options.call = call;
  rr_container *c = NULL;
  EXPECT(RR_E_CANCELLED, rr_create(ctx, id, &options, &c, &err));
  EXPECT(RR_E_CANCELLED, rr_run(ctx, id, &options, &c, &err));
  CHECK(c == NULL && !has_directory() && access(root, F_OK) != 0);

  c = create(ctx, sleeper, id, &io);
  EXPECT(RR_E_CANCELLED, rr_start(c, call, &err));
  CHECK(status_of(c) == RR_CREATED);
  OK(rr_start(c, NULL, &err));
  rr_exec_options exec;
  rr_exec_options_init(&exec, sizeof exec);
  exec.process = AS_ROOT "\"args\": [\"/bin/true\"]}";
  exec.process_len = strlen(exec.process);
  exec.io = &io, exec.call = call;
  rr_process *p = NULL;
  EXPECT(RR_E_CANCELLED, rr_exec(c, &exec, &p, &err));
  CHECK(p == NULL);
  EXPECT(RR_E_CANCELLED, rr_kill(c, SIGKILL, 0, call, &err));
  rr_update_options update;
  rr_update_options_init(&update, sizeof update);
  update.call = call;
  EXPECT(RR_E_CANCELLED, rr_update(c, "{}", 2, &update, &err));
  EXPECT(RR_E_CANCELLED, rr_delete(c, RR_DELETE_FORCE, call, &err));
  CHECK(status_of(c) == RR_RUNNING);

  /* Somebody else's call goes on and on. */
  char path[4096];
  snprintf(path, sizeof path, "%s/%s", root, id);
  int lock = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  CHECK(lock >= 0 && flock(lock, LOCK_EX) == 0);
  rr_call soon = {sizeof soon, 50, 0};
  EXPECT(RR_E_TIMEOUT, rr_delete(c, RR_DELETE_FORCE, &soon, &err));
  EXPECT(RR_E_TIMEOUT, rr_start(c, &soon, &err));
  close(lock);
  CHECK(status_of(c) == RR_RUNNING);
  OK(rr_delete(c, RR_DELETE_FORCE, NULL, &err));
  rr_container_unref(c);
}

static void ended_on_the_way(rr_context *ctx, const char *hooked, const char *mark) {
  rr_io io;
  quiet(&io);
  io.out.kind = RR_STDIO_PIPE, io.out.fd = -7;
  int cancel = eventfd(0, EFD_CLOEXEC);
  rr_call call = {sizeof call, 60 * 1000, cancel + 1};
  rr_create_options options;
  rr_create_options_init(&options, sizeof options);
  options.bundle = hooked, options.io = &io, options.call = &call;
  rr_container *c = NULL;
  pthread_t canceller;
  void *both[] = {(void *)mark, &cancel};
  CHECK(pthread_create(&canceller, NULL, when_marked, both) == 0);
  EXPECT(RR_E_CANCELLED, rr_create(ctx, id, &options, &c, &err));
  CHECK(pthread_join(canceller, NULL) == 0);
  CHECK(c == NULL && io.out.fd == -7 && !has_directory() && childless());
  close(cancel);

  call.timeout_ms = 1000, call.cancel_fd_plus1 = 0;
  EXPECT(RR_E_TIMEOUT, rr_run(ctx, id, &options, &c, &err));
  CHECK(c == NULL && io.out.fd == -7 && !has_directory() && childless());
}

int main(int argc, char **argv) {
  CHECK(argc == 5);
  alarm(180);
  root = argv[1];
  snprintf(id, sizeof id, "rr-abi-cancel-%d", (int)getpid());
  rr_context *ctx = context(root);
  int cancel = eventfd(1, EFD_CLOEXEC);
  rr_call call = {sizeof call, 0, cancel + 1};
  cancelled_before(ctx, argv[2], &call);
  close(cancel);
  ended_on_the_way(ctx, argv[3], argv[4]);
  rr_context_unref(ctx);
  CHECK(childless());
  puts("ok");
  return 0;
}
