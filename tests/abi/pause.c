/* pause.c: what rr_pause and rr_resume promise. `pause ROOT SLEEPER`. */
#include "check.h"
#include <sys/eventfd.h>

int main(int argc, char **argv) {
  CHECK(argc == 3);
  alarm(120);
  char id[64];
  snprintf(id, sizeof id, "rr-abi-pause-%d", (int)getpid());
  rr_context *ctx = context(argv[1]);
  rr_io io;
  quiet(&io);
  rr_container *c = create(ctx, argv[2], id, &io);
  OK(rr_pause(c, NULL, &err)); /* it need not have been started */
  CHECK(status_of(c) == RR_PAUSED);
  EXPECT(RR_E_PAUSED, rr_start(c, NULL, &err));
  OK(rr_resume(c, NULL, &err));
  CHECK(status_of(c) == RR_CREATED);
  OK(rr_start(c, NULL, &err));
  EXPECT(RR_E_NOT_PAUSED, rr_resume(c, NULL, &err));

  int cancel = eventfd(1, EFD_CLOEXEC);
  rr_call call = {sizeof call, 0, cancel + 1};
  EXPECT(RR_E_CANCELLED, rr_pause(c, &call, &err));
  CHECK(status_of(c) == RR_RUNNING);
  close(cancel);

  rr_container *other = NULL; /* what another handle does is seen by this one */
  OK(rr_open(ctx, id, &other, &err));
  OK(rr_pause(other, NULL, &err));
  CHECK(status_of(c) == RR_PAUSED);
  EXPECT(RR_E_PAUSED, rr_pause(c, NULL, &err));
  rr_exec_options options;
  rr_exec_options_init(&options, sizeof options);
  options.process = AS_ROOT "\"args\": [\"/bin/true\"]}", options.process_len = strlen(options.process);
  rr_process *p = NULL;
  EXPECT(RR_E_PAUSED, rr_exec(c, &options, &p, &err));
  OK(rr_resume(c, NULL, &err));
  CHECK(status_of(other) == RR_RUNNING);

  OK(rr_pause(c, NULL, &err));
  OK(rr_kill(c, SIGKILL, 0, NULL, &err)); /* does not wait for the container to go on */
  OK(rr_init_process(c, &p, &err));
  CHECK(wait_for(p).sig == SIGKILL);
  rr_process_unref(p);
  EXPECT(RR_E_NOT_RUNNING, rr_pause(c, NULL, &err));
  OK(rr_delete(c, 0, NULL, &err));
  EXPECT(RR_E_NOT_FOUND, rr_pause(c, NULL, &err));
  EXPECT(RR_E_NOT_FOUND, rr_resume(c, NULL, &err));
  rr_container_unref(other);
  rr_container_unref(c);
  rr_context_unref(ctx);
  CHECK(childless());
  puts("ok");
  return 0;
}
