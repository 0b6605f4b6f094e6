/* reaped.c: a host that takes the status of every child away (`reaper`: a thread in waitpid(-1), `ignore`: SIGCHLD is
 * ignored, so the kernel does it). The library must neither fail nor hang, and never make up a status.
 * `reaped ROOT BUNDLE reaper|ignore` */
#include "check.h"
#include <pthread.h>
#include <stdatomic.h>

static atomic_bool done;

static void *reap(void *nothing) {
  while (!atomic_load(&done))
    if (waitpid(-1, NULL, __WALL) < 0)
      usleep(100);
  return nothing;
}

int main(int argc, char **argv) {
  CHECK(argc == 4);
  alarm(120);
  pthread_t reaper;
  if (strcmp(argv[3], "ignore") == 0)
    signal(SIGCHLD, SIG_IGN);
  else
    CHECK(pthread_create(&reaper, NULL, reap, NULL) == 0);
  rr_context *ctx = context(argv[1]);
  for (int round = 0; round < 20; round++) {
    char id[64];
    snprintf(id, sizeof id, "rr-abi-reaped-%d-%d", (int)getpid(), round);
    rr_io io;
    quiet(&io);
    rr_container *c = create(ctx, argv[2], id, &io);
    rr_process *init = NULL;
    OK(rr_init_process(c, &init, &err));
    OK(rr_start(c, NULL, &err));
    rr_process *p = exec_json(c, AS_ROOT "\"args\": [\"/bin/sh\", \"-c\", \"exit 5\"]}", &io);
    rr_exit end = wait_for(p);
    CHECK((end.flags & RR_EXIT_STATUS_LOST) || (end.code == 5 && end.sig == 0));
    OK(rr_kill(c, SIGKILL, 0, NULL, &err));
    end = wait_for(init);
    CHECK((end.flags & RR_EXIT_STATUS_LOST) || end.sig == SIGKILL);
    CHECK(status_of(c) == RR_STOPPED);
    OK(rr_delete(c, 0, NULL, &err));
    rr_process_unref(p);
    rr_process_unref(init);
    rr_container_unref(c);
  }
  rr_context_unref(ctx);
  atomic_store(&done, true);
  puts("ok"); /* the reaper may sit in its last waitpid; exit takes it along */
  return 0;
}
