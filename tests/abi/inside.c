/* inside.c: namespaces and the cgroup of a container, by descriptor; handles with several owners. `inside ROOT BUNDLE` */
#include "check.h"
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/vfs.h>

#define NS_GET_NSTYPE 0xb703

static void namespaces(rr_container *c, rr_process *init) {
  static const struct { int kind; const char *file; } all[] = {
      {RR_NS_MOUNT, "mnt"}, {RR_NS_PID, "pid"},   {RR_NS_NET, "net"},       {RR_NS_IPC, "ipc"},
      {RR_NS_UTS, "uts"},   {RR_NS_USER, "user"}, {RR_NS_CGROUP, "cgroup"}, {RR_NS_TIME, "time"},
  };
  for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
    int fd = -7;
    OK(rr_open_ns(c, all[i].kind, &fd, &err));
    CHECK(fd > 2 && fcntl(fd, F_GETFD) == FD_CLOEXEC && ioctl(fd, NS_GET_NSTYPE) > 0);
    char path[64];
    snprintf(path, sizeof path, "/proc/%d/ns/%s", (int)rr_process_pid(init), all[i].file);
    struct stat here, there;
    CHECK(fstat(fd, &here) == 0 && stat(path, &there) == 0 && here.st_ino == there.st_ino);
    close(fd);
  }
  int fd = -7;
  EXPECT(RR_E_INVALID_ARGUMENT, rr_open_ns(c, 0, &fd, &err));
  EXPECT(RR_E_INVALID_ARGUMENT, rr_open_ns(c, 9, &fd, &err));
  EXPECT(RR_E_INVALID_ARGUMENT, rr_open_ns(c, RR_NS_NET, NULL, &err));
  CHECK(fd == -7);
}

static void cgroup(rr_container *c) {
  int fd = -7;
  rr_error *err = NULL;
  rr_code code = rr_open_cgroup(c, &fd, &err);
  if (code == RR_E_UNSUPPORTED) { /* a host without cgroup2 */
    CHECK(fd == -7);
    rr_error_free(err);
    return;
  }
  CHECK(code == RR_OK);
  struct statfs fs;
  CHECK(fstatfs(fd, &fs) == 0 && fs.f_type == 0x63677270 && fcntl(fd, F_GETFD) == FD_CLOEXEC);
  int procs = openat(fd, "cgroup.procs", O_RDONLY | O_CLOEXEC);
  char text[64] = "";
  CHECK(procs >= 0 && read(procs, text, sizeof text - 1) > 0 && atoi(text) > 0);
  close(procs);
  close(fd);
  EXPECT(RR_E_INVALID_ARGUMENT, rr_open_cgroup(c, NULL, &err));
}

int main(int argc, char **argv) {
  CHECK(argc == 3);
  alarm(120);
  char id[64];
  snprintf(id, sizeof id, "rr-abi-inside-%d", (int)getpid());
  rr_context *ctx = context(argv[1]);
  rr_io io;
  quiet(&io);
  rr_container *c = create(ctx, argv[2], id, &io);
  rr_process *init = NULL;
  OK(rr_init_process(c, &init, &err));
  CHECK(rr_container_ref(c) == c && rr_process_ref(init) == init && rr_context_ref(ctx) == ctx);
  rr_container_unref(c);
  rr_process_unref(init);
  rr_context_unref(ctx);
  namespaces(c, init);
  cgroup(c);
  OK(rr_start(c, NULL, &err));
  namespaces(c, init);
  OK(rr_kill(c, SIGKILL, 0, NULL, &err));
  CHECK(wait_for(init).sig == SIGKILL);
  int fd = -7;
  EXPECT(RR_E_NOT_RUNNING, rr_open_ns(c, RR_NS_NET, &fd, &err));
  OK(rr_delete(c, 0, NULL, &err));
  EXPECT(RR_E_NOT_FOUND, rr_open_ns(c, RR_NS_NET, &fd, &err));
  EXPECT(RR_E_NOT_FOUND, rr_open_cgroup(c, &fd, &err));
  rr_process_unref(init);
  rr_container_unref(c);
  rr_context_unref(ctx);
  CHECK(childless());
  puts("ok");
  return 0;
}
