/* hooked.c: the host's function at the moments of hooks, a root filesystem by descriptor, a first process that is nobody's
 * child, the listener of a seccomp filter. `hooked ROOT BUNDLE` */
#include "check.h"
#include <linux/seccomp.h>
#include <poll.h>
#include <pthread.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/stat.h>

static char id[64];

struct called {
  pthread_t thread;
  int kinds[8];
  pid_t pids[8];
  int n;
  int fail_at;
  char last[4096];
};

static rr_code remember(void *data, int kind, pid_t pid, const char *state, size_t len) {
  struct called *called = data;
  CHECK(pthread_equal(called->thread, pthread_self()) && strlen(state) == len && called->n < 8);
  CHECK(strstr(state, "\"ociVersion\"") && strstr(state, id));
  snprintf(called->last, sizeof called->last, "%s", state);
  called->kinds[called->n] = kind;
  called->pids[called->n++] = pid;
  return kind == called->fail_at ? RR_E_NETDEV : RR_OK;
}

static void options_of(rr_create_options *options, rr_io *io, const char *bundle) {
  quiet(io);
  rr_create_options_init(options, sizeof *options);
  options->bundle = bundle, options->io = io;
}

static void host_is_called_at_the_moments_of_hooks(rr_context *ctx, const char *bundle) {
  struct called called = {.thread = pthread_self()};
  rr_io io;
  rr_create_options options;
  options_of(&options, &io, bundle);
  options.hook = remember, options.hook_data = &called;
  rr_container *c = NULL;
  OK(rr_create(ctx, id, &options, &c, &err));
  CHECK(called.n == 2 && called.kinds[0] == RR_HOOK_PRESTART && called.kinds[1] == RR_HOOK_CREATE_RUNTIME);
  CHECK(strstr(called.last, "\"status\":\"creating\""));
  OK(rr_start(c, NULL, &err));
  CHECK(called.n == 3 && called.kinds[2] == RR_HOOK_POSTSTART && strstr(called.last, "\"status\":\"running\""));
  rr_process *init = NULL;
  OK(rr_init_process(c, &init, &err));
  for (int i = 0; i < 3; i++)
    CHECK(called.pids[i] == rr_process_pid(init));
  rr_process_unref(init);
  OK(rr_delete(c, RR_DELETE_FORCE, NULL, &err));
  CHECK(called.n == 4 && called.kinds[3] == RR_HOOK_POSTSTOP && called.pids[3] == 0);
  CHECK(strstr(called.last, "\"status\":\"stopped\""));
  rr_container_unref(c);

  /* One that fails undoes the create, and is told so; the last one is called all the same. */
  const int kinds[] = {RR_HOOK_PRESTART, RR_HOOK_CREATE_RUNTIME, RR_HOOK_POSTSTART};
  for (int i = 0; i < 3; i++) {
    struct called failing = {.thread = pthread_self(), .fail_at = kinds[i]};
    options.hook_data = &failing;
    c = NULL;
    rr_error *err = NULL;
    CHECK(rr_run(ctx, id, &options, &c, &err) == RR_E_HOOK && c == NULL);
    CHECK(strstr(rr_error_message(err), "RR_E_NETDEV"));
    rr_error_free(err);
    CHECK(failing.n == i + 2 && failing.kinds[i + 1] == RR_HOOK_POSTSTOP);
    CHECK(childless());
  }
}

static void root_filesystem_is_had_by_descriptor(rr_context *ctx, const char *bundle) {
  char path[4096], config[1 << 14];
  snprintf(path, sizeof path, "%s/config.json", bundle);
  int fd = open(path, O_RDONLY | O_CLOEXEC);
  ssize_t len = read(fd, config, sizeof config - 1);
  CHECK(len > 0);
  config[len] = '\0';
  close(fd);
  char *at = strstr(config, "\"rootfs\"");
  CHECK(at != NULL);
  memcpy(at, "\"nowher\"", 8); /* what the config names is not looked at */
  snprintf(path, sizeof path, "%s/rootfs", bundle);
  fd = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
  CHECK(fd >= 0);
  rr_io io;
  rr_create_options options;
  options_of(&options, &io, NULL);
  options.config = config, options.config_len = (size_t)len;
  rr_container *c = NULL;
  EXPECT(RR_E_ROOTFS, rr_run(ctx, id, &options, &c, &err));
  options.rootfs_fd_plus1 = fd + 1;
  OK(rr_run(ctx, id, &options, &c, &err));
  CHECK(status_of(c) == RR_RUNNING && fcntl(fd, F_GETFD) == FD_CLOEXEC);
  OK(rr_delete(c, RR_DELETE_FORCE, NULL, &err));
  rr_container_unref(c);
  c = NULL;
  close(fd);
  EXPECT(RR_E_INVALID_ARGUMENT, rr_run(ctx, id, &options, &c, &err)); /* not open any more */
  snprintf(path, sizeof path, "%s/config.json", bundle);
  fd = open(path, O_RDONLY | O_CLOEXEC);
  options.rootfs_fd_plus1 = fd + 1;
  EXPECT(RR_E_ROOTFS, rr_run(ctx, id, &options, &c, &err)); /* a file */
  close(fd);
  char gone[4096];
  snprintf(gone, sizeof gone, "%s/gone", bundle);
  CHECK(mkdir(gone, 0755) == 0);
  fd = open(gone, O_PATH | O_DIRECTORY | O_CLOEXEC);
  CHECK(fd >= 0 && rmdir(gone) == 0);
  options.rootfs_fd_plus1 = fd + 1;
  EXPECT(RR_E_ROOTFS, rr_run(ctx, id, &options, &c, &err)); /* a directory without a place */
  close(fd);
  CHECK(c == NULL && childless());
}

static pid_t parent_of(pid_t pid) {
  char path[64], line[256];
  snprintf(path, sizeof path, "/proc/%d/status", (int)pid);
  FILE *file = fopen(path, "re");
  CHECK(file != NULL);
  int parent = -1;
  while (fgets(line, sizeof line, file) && sscanf(line, "PPid: %d", &parent) != 1)
    continue;
  fclose(file);
  return parent;
}

/* Its parent is whoever adopts orphans; here a process between us and the container that we made one. */
static void first_process_may_be_nobodys_child(const char *root, const char *bundle) {
  pid_t adopter = fork();
  CHECK(adopter >= 0);
  if (adopter > 0) {
    int status = -1;
    CHECK(waitpid(adopter, &status, 0) == adopter && status == 0);
    return;
  }
  CHECK(prctl(PR_SET_CHILD_SUBREAPER, 1) == 0);
  pid_t host = fork();
  CHECK(host >= 0);
  if (host == 0) {
    rr_context *ctx = context(root);
    rr_io io;
    rr_create_options options;
    options_of(&options, &io, bundle);
    options.flags = RR_CREATE_DETACHED;
    options.hook = NULL;
    rr_container *c = NULL;
    OK(rr_create(ctx, id, &options, &c, &err));
    CHECK(childless());
    rr_process *init = NULL;
    OK(rr_init_process(c, &init, &err));
    CHECK(parent_of(rr_process_pid(init)) == getppid());
    OK(rr_start(c, NULL, &err));
    rr_process *p = exec_json(c, AS_ROOT "\"args\": [\"/bin/true\"]}", &io);
    CHECK(parent_of(rr_process_pid(p)) == getpid() && wait_for(p).code == 0);
    rr_process_unref(p);
    OK(rr_kill(c, SIGKILL, 0, NULL, &err));
    struct pollfd ended = {rr_process_pidfd(init), POLLIN, 0};
    CHECK(poll(&ended, 1, 60 * 1000) == 1);
    rr_exit end = wait_for(init);
    CHECK((end.flags & RR_EXIT_STATUS_LOST) || end.sig == SIGKILL);
    rr_process_unref(init);
    OK(rr_delete(c, 0, NULL, &err));
    rr_container_unref(c);
    c = NULL;
    options.bundle = "/none-such"; /* fails before */
    EXPECT(RR_E_INVALID_ARGUMENT, rr_create(ctx, id, &options, &c, &err));
    options.bundle = bundle;
    struct called failing = {.thread = pthread_self(), .fail_at = RR_HOOK_POSTSTART};
    options.hook = remember, options.hook_data = &failing; /* fails after it was born */
    EXPECT(RR_E_HOOK, rr_run(ctx, id, &options, &c, &err));
    CHECK(c == NULL && childless());
    rr_context_unref(ctx);
    exit(0);
  }
  int status = -1, outcome = -1;
  pid_t ended;
  while ((ended = waitpid(-1, &status, 0)) > 0)
    outcome = ended == host ? status : outcome;
  exit(outcome != 0);
}

static void listener_of_a_filter_comes_to_the_host(rr_context *ctx, const char *bundle) {
  char path[4096], text[1 << 14], config[1 << 15];
  snprintf(path, sizeof path, "%s/config.json", bundle);
  int fd = open(path, O_RDONLY | O_CLOEXEC);
  ssize_t len = read(fd, text, sizeof text - 1);
  CHECK(len > 0);
  text[len] = '\0';
  close(fd);
  const char *linux_ = strstr(text, "\"linux\": {");
  CHECK(linux_ != NULL);
  int head = (int)(linux_ - text) + (int)strlen("\"linux\": {");
  snprintf(config, sizeof config, "%.*s\"seccomp\": {\"defaultAction\": \"SCMP_ACT_ALLOW\", \"syscalls\": [{\"names\": "
           "[\"sethostname\"], \"action\": \"SCMP_ACT_NOTIFY\"}]},%s", head, text, text + head);
  rr_io io;
  rr_create_options options;
  options_of(&options, &io, bundle);
  options.config = config, options.config_len = strlen(config);
  rr_container *c = NULL;
  EXPECT(RR_E_INVALID_SPEC, rr_create(ctx, id, &options, &c, &err)); /* a listener for nobody */
  options.flags = RR_CREATE_WANT_SECCOMP_FD;
  OK(rr_run(ctx, id, &options, &c, &err));
  int listener = -7;
  OK(rr_take_seccomp_fd(c, &listener, &err));
  CHECK(listener > 2 && fcntl(listener, F_GETFD) == FD_CLOEXEC);
  int none = -7;
  EXPECT(RR_E_SECCOMP, rr_take_seccomp_fd(c, &none, &err));
  EXPECT(RR_E_INVALID_ARGUMENT, rr_take_seccomp_fd(c, NULL, &err));
  CHECK(none == -7);

  /* That of an exec comes, too; what it asks is answered here. */
  rr_process *p = exec_json(c, AS_ROOT "\"args\": [\"/bin/busybox\", \"hostname\", \"other\"]}", &io);
  int second = -7;
  OK(rr_take_seccomp_fd(c, &second, &err));
  struct pollfd asked = {second, POLLIN, 0};
  CHECK(poll(&asked, 1, 60 * 1000) == 1);
  struct seccomp_notif request;
  memset(&request, 0, sizeof request);
  CHECK(ioctl(second, SECCOMP_IOCTL_NOTIF_RECV, &request) == 0 && (pid_t)request.pid == rr_process_pid(p));
  struct seccomp_notif_resp answer = {.id = request.id, .error = -ENOTUNIQ};
  CHECK(ioctl(second, SECCOMP_IOCTL_NOTIF_SEND, &answer) == 0);
  CHECK(wait_for(p).code == 1);
  rr_process_unref(p);
  close(second);
  close(listener);
  OK(rr_delete(c, RR_DELETE_FORCE, NULL, &err));
  rr_container_unref(c);

  options.config = NULL, options.config_len = 0;
  c = NULL;
  OK(rr_create(ctx, id, &options, &c, &err)); /* a profile without one */
  EXPECT(RR_E_SECCOMP, rr_take_seccomp_fd(c, &none, &err));
  OK(rr_delete(c, RR_DELETE_FORCE, NULL, &err));
  rr_container_unref(c);
}

int main(int argc, char **argv) {
  CHECK(argc == 3);
  alarm(180);
  snprintf(id, sizeof id, "rr-abi-hooked-%d", (int)getpid());
  first_process_may_be_nobodys_child(argv[1], argv[2]);
  rr_context *ctx = context(argv[1]);
  host_is_called_at_the_moments_of_hooks(ctx, argv[2]);
  root_filesystem_is_had_by_descriptor(ctx, argv[2]);
  listener_of_a_filter_comes_to_the_host(ctx, argv[2]);
  rr_context_unref(ctx);
  CHECK(childless());
  puts("ok");
  return 0;
}
