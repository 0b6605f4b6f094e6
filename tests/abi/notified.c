/* notified.c: a container's program says that it is ready. `notified ROOT BUNDLE`, of one that sleeps. */
#include "check.h"
#include <sys/socket.h>
#include <sys/un.h>

/* The program's variable, as its environment has it once it is executed. */
static void says_where(pid_t pid, char *where, size_t room) {
  char path[64], text[4096];
  snprintf(path, sizeof path, "/proc/%d/environ", (int)pid);
  int fd = open(path, O_RDONLY | O_CLOEXEC);
  ssize_t n = read(fd, text, sizeof text - 1);
  CHECK(fd >= 0 && n > 0);
  close(fd);
  text[n] = 0;
  for (char *at = text; at < text + n; at += strlen(at) + 1)
    if (strncmp(at, "NOTIFY_SOCKET=", 14) == 0)
      snprintf(where, room, "/proc/%d/root%s", (int)pid, at + 14);
}

int main(int argc, char **argv) {
  CHECK(argc == 3);
  alarm(120);
  char id[64];
  snprintf(id, sizeof id, "rr-abi-notified-%d", (int)getpid());
  rr_context *ctx = context(argv[1]);
  rr_io io;
  quiet(&io);
  rr_create_options options;
  rr_create_options_init(&options, sizeof options);
  options.bundle = argv[2];
  options.flags = RR_CREATE_NOTIFY;
  options.io = &io;
  rr_container *c = NULL;
  OK(rr_create(ctx, id, &options, &c, &err));
  int deaf = -7, fd = -7;
  OK(rr_open_notify(c, &deaf, &err));
  OK(rr_open_notify(c, &fd, &err)); /* a new one: nobody speaks to the first any more */
  CHECK(fd > 2 && fd != deaf && fcntl(fd, F_GETFD) == FD_CLOEXEC);
  rr_process *init = NULL;
  OK(rr_init_process(c, &init, &err));
  OK(rr_start(c, NULL, &err));

  /* What sd_notify(3) does in the container, from outside. */
  struct sockaddr_un there = {.sun_family = AF_UNIX};
  says_where(rr_process_pid(init), there.sun_path, sizeof there.sun_path);
  CHECK(strstr(there.sun_path, "/run/notify/notify.sock") != NULL);
  int program = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  CHECK(sendto(program, "READY=1", 7, 0, (struct sockaddr *)&there, sizeof there) == 7);
  char told[64] = "";
  CHECK(recv(fd, told, sizeof told - 1, 0) == 7 && strcmp(told, "READY=1") == 0);
  CHECK(recv(deaf, told, sizeof told, MSG_DONTWAIT) == -1 && errno == EAGAIN);
  close(program);
  close(deaf);
  close(fd);
  OK(rr_delete(c, RR_DELETE_FORCE, NULL, &err));
  EXPECT(RR_E_NOT_FOUND, rr_open_notify(c, &fd, &err));
  rr_process_unref(init);
  rr_container_unref(c);

  c = create(ctx, argv[2], id, &io);
  fd = -7;
  EXPECT(RR_E_UNSUPPORTED, rr_open_notify(c, &fd, &err));
  CHECK(fd == -7);
  OK(rr_delete(c, RR_DELETE_FORCE, NULL, &err));
  rr_container_unref(c);
  rr_context_unref(ctx);
  puts("ok");
  return 0;
}
