/* forked.c: a forked child of the host gets RR_E_FORKED for every call with a handle, may give handles back, and does
 * the parent's container no harm. `forked ROOT BUNDLE` */
#include "check.h"

static void in_the_child(rr_context *ctx, rr_container *c, rr_process *p) {
  rr_container *out = NULL;
  rr_process *q = NULL;
  rr_buf buf = {NULL, 0, 0};
  rr_state_info info = {sizeof info, 0, 0, 0, 0};
  rr_exit end = {sizeof end, 0, 0, 0, 0};
  size_t n = 0;
  EXPECT(RR_E_FORKED, rr_open(ctx, "any", &out, &err));
  EXPECT(RR_E_FORKED, rr_create(ctx, "any", NULL, &out, &err));
  EXPECT(RR_E_FORKED, rr_run(ctx, "any", NULL, &out, &err));
  EXPECT(RR_E_FORKED, rr_list_json(ctx, &buf, &err));
  EXPECT(RR_E_FORKED, rr_start(c, NULL, &err));
  EXPECT(RR_E_FORKED, rr_kill(c, SIGKILL, 0, NULL, &err));
  EXPECT(RR_E_FORKED, rr_delete(c, RR_DELETE_FORCE, NULL, &err));
  EXPECT(RR_E_FORKED, rr_exec(c, NULL, &q, &err));
  EXPECT(RR_E_FORKED, rr_update(c, NULL, 0, NULL, &err));
  EXPECT(RR_E_FORKED, rr_init_process(c, &q, &err));
  EXPECT(RR_E_FORKED, rr_state(c, &info, &err));
  EXPECT(RR_E_FORKED, rr_state_json(c, &buf, &err));
  EXPECT(RR_E_FORKED, rr_pids(c, NULL, 0, &n, &err));
  EXPECT(RR_E_FORKED, rr_process_wait(p, NULL, &end, &err));
  EXPECT(RR_E_FORKED, rr_process_signal(p, SIGKILL, &err));
  EXPECT(RR_E_FORKED, rr_process_resize(p, 1, 1, &err));
  CHECK(rr_process_pid(p) == -1 && rr_process_pidfd(p) == -1 && rr_process_console_fd(p) == -1);
  CHECK(rr_context_ref(ctx) == NULL);
  rr_process_unref(p);
  rr_container_unref(c);
  rr_context_unref(ctx);
}

int main(int argc, char **argv) {
  CHECK(argc == 3);
  alarm(60);
  rr_context *ctx = context(argv[1]);
  char id[64];
  snprintf(id, sizeof id, "rr-abi-forked-%d", (int)getpid());
  rr_io io;
  quiet(&io);
  rr_container *c = create(ctx, argv[2], id, &io);
  rr_process *p = NULL;
  OK(rr_init_process(c, &p, &err));
  pid_t child = fork();
  CHECK(child >= 0);
  if (child == 0) {
    in_the_child(ctx, c, p);
    _exit(0);
  }
  int status = -1;
  CHECK(waitpid(child, &status, 0) == child && status == 0);
  CHECK(status_of(c) == RR_CREATED); /* the child's unrefs were about its own copies */
  OK(rr_start(c, NULL, &err));
  CHECK(status_of(c) == RR_RUNNING);
  OK(rr_delete(c, RR_DELETE_FORCE, NULL, &err));
  rr_process_unref(p);
  rr_container_unref(c);
  rr_context_unref(ctx);
  CHECK(childless());
  puts("ok");
  return 0;
}
