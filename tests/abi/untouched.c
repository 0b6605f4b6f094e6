/* untouched.c: nothing of the host is different after a thousand calls: credentials, masks, signal dispositions, threads,
 * limits, working directory, umask, environment, descriptors, children. `untouched ROOT BUNDLE` */
#include "check.h"
#include <dirent.h>
#include <stdarg.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>

extern char **environ;

struct snapshot {
  char text[1 << 16];
  size_t len;
};

static void add(struct snapshot *s, const char *format, ...) __attribute__((format(printf, 2, 3)));

static void add(struct snapshot *s, const char *format, ...) {
  va_list list;
  va_start(list, format);
  s->len += (size_t)vsnprintf(s->text + s->len, sizeof s->text - s->len, format, list);
  va_end(list);
  CHECK(s->len < sizeof s->text);
}

/* The lines of /proc/self/status that say what we are, not how big. */
static void add_status(struct snapshot *s) {
  static const char *const keys[] = {"Umask",  "Tgid",   "PPid",       "TracerPid", "Uid",    "Gid",
                                     "Groups", "NStgid", "Threads",    "SigPnd",    "ShdPnd", "SigBlk",
                                     "SigIgn", "SigCgt", "CapInh",     "CapPrm",    "CapEff", "CapBnd",
                                     "CapAmb", "Seccomp", "NoNewPrivs", "Cpus_allowed_list", "Mems_allowed_list"};
  FILE *f = fopen("/proc/self/status", "re");
  CHECK(f != NULL);
  char line[4096];
  while (fgets(line, sizeof line, f))
    for (size_t i = 0; i < sizeof keys / sizeof *keys; i++)
      if (strncmp(line, keys[i], strlen(keys[i])) == 0 && line[strlen(keys[i])] == ':')
        add(s, "%s", line);
  fclose(f);
}

static void add_links(struct snapshot *s, const char *folder) {
  DIR *dir = opendir(folder);
  CHECK(dir != NULL);
  for (struct dirent *e; (e = readdir(dir)) != NULL;) {
    char path[512], target[512] = "";
    if (e->d_name[0] == '.' || atoi(e->d_name) == dirfd(dir))
      continue;
    snprintf(path, sizeof path, "%s/%s", folder, e->d_name);
    if (readlink(path, target, sizeof target - 1) < 0)
      continue;
    add(s, "%s -> %s\n", path, target);
  }
  closedir(dir);
}

static void take(struct snapshot *s) {
  s->len = 0;
  add_status(s);
  add_links(s, "/proc/self/fd");
  add_links(s, "/proc/self/ns");
  char cwd[4096];
  CHECK(getcwd(cwd, sizeof cwd) != NULL);
  mode_t mask = umask(0);
  umask(mask);
  add(s, "cwd %s, umask %o, nice %d\n", cwd, mask, getpriority(PRIO_PROCESS, 0));
  for (int sig = 1; sig < 65; sig++) {
    struct sigaction action;
    if (sigaction(sig, NULL, &action) == 0)
      add(s, "%d: %p %x %d\n", sig, (void *)(size_t)action.sa_handler, (unsigned)action.sa_flags,
          sigismember(&action.sa_mask, SIGHUP));
  }
  for (int i = 0; i < RLIM_NLIMITS; i++) {
    struct rlimit limit;
    CHECK(getrlimit(i, &limit) == 0);
    add(s, "rlimit %d: %ju %ju\n", i, (uintmax_t)limit.rlim_cur, (uintmax_t)limit.rlim_max);
  }
  int reaper = 0;
  CHECK(prctl(PR_GET_CHILD_SUBREAPER, &reaper) == 0);
  add(s, "dumpable %d, subreaper %d, childless %d\n", prctl(PR_GET_DUMPABLE), reaper, childless());
  for (char **e = environ; *e; e++)
    add(s, "%p %s\n", (void *)*e, *e);
}

static void on_signal(int sig) { (void)sig; }

/* Some of everything: create, state, exec, wait, refusals, kill, delete. */
static int calls(rr_context *ctx, const char *bundle, int round) {
  char id[64];
  snprintf(id, sizeof id, "rr-abi-untouched-%d-%d", (int)getpid(), round);
  rr_io io;
  quiet(&io);
  rr_container *c = create(ctx, bundle, id, &io), *none = NULL;
  CHECK(status_of(c) == RR_CREATED);
  EXPECT(RR_E_NOT_FOUND, rr_open(ctx, "none-such", &none, &err));
  OK(rr_start(c, NULL, &err));
  io.out.kind = RR_STDIO_PIPE;
  rr_process *p = exec_json(c, AS_ROOT "\"args\": [\"/bin/echo\", \"hi\"]}", &io);
  char text[8];
  CHECK(read(io.out.fd, text, sizeof text) == 3);
  close(io.out.fd);
  CHECK(wait_for(p).code == 0);
  rr_process_unref(p);
  size_t n = 0;
  OK(rr_pids(c, NULL, 0, &n, &err));
  OK(rr_delete(c, RR_DELETE_FORCE, NULL, &err));
  rr_container_unref(c);
  return 9;
}

int main(int argc, char **argv) {
  CHECK(argc == 3);
  alarm(240);
  /* A host with habits of its own. */
  umask(027);
  signal(SIGUSR1, on_signal);
  signal(SIGPIPE, SIG_IGN);
  sigset_t blocked;
  sigemptyset(&blocked);
  sigaddset(&blocked, SIGUSR2);
  CHECK(sigprocmask(SIG_BLOCK, &blocked, NULL) == 0);
  CHECK(fcntl(0, F_DUPFD, 17) == 17); /* a descriptor that is not close-on-exec */

  rr_context *ctx = context(argv[1]);
  calls(ctx, argv[2], 0); /* what is opened once per process is opened now */
  static struct snapshot before, after;
  take(&before);
  int made = 0;
  for (int round = 1; made < 1000; round++)
    made += calls(ctx, argv[2], round);
  take(&after);
  if (strcmp(before.text, after.text) != 0) {
    fprintf(stderr, "the host is another one after %d calls\nbefore:\n%s\nafter:\n%s\n", made, before.text,
            after.text);
    return 1;
  }
  rr_context_unref(ctx);
  puts("ok");
  return 0;
}
