/* stats.c: what it costs to ask for a container's numbers: rr_stats, the same files read by hand, rr_stats_json, and a
 * runtimes that are spawned for it, taking turns in one process.
 *
 *     make stage && cc -O2 -o /tmp/stats benches/stats.c -Itarget/stage/include -Ltarget/stage/lib -lriverrun
 *     LD_LIBRARY_PATH=target/stage/lib /tmp/stats ROOT ID [ROUNDS [RUNTIME RUNTIME-ROOT RUNTIME-ID]...]
 *
 * The container has to be there: `riverrun --root ROOT run -d ID`. Prints the median of each in microseconds, and its ratio
 * to the files read by hand. */
#define _GNU_SOURCE
#include <fcntl.h>
#include <riverrun.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static char paths[64][512];
static int n_paths;
static uint64_t sum; /* so that nothing is left out */

static void fail(const char *what) {
  perror(what);
  exit(1);
}

static double now_us(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (double)t.tv_sec * 1e6 + (double)t.tv_nsec / 1e3;
}

/* The files that rr_stats reads without options, where they are for this process. */
static void find(pid_t pid) {
  static const char *const files[][2] = {
      {"cpuacct", "cpuacct.usage"}, {"cpuacct", "cpuacct.stat"}, {"cpu", "cpu.stat"},
      {"memory", "memory.usage_in_bytes"}, {"memory", "memory.max_usage_in_bytes"}, {"memory", "memory.failcnt"},
      {"memory", "memory.kmem.usage_in_bytes"}, {"memory", "memory.limit_in_bytes"}, {"memory", "memory.stat"},
      {"memory", "memory.oom_control"}, {"pids", "pids.current"}, {"pids", "pids.max"},
      {"blkio", "blkio.throttle.io_serviced_recursive"}, {"blkio", "blkio.throttle.io_service_bytes_recursive"},
      {"", "cpu.stat"}, {"", "memory.current"}, {"", "memory.max"}, {"", "memory.peak"}, {"", "memory.swap.current"},
      {"", "memory.stat"}, {"", "memory.events"}, {"", "pids.current"}, {"", "pids.max"}, {"", "io.stat"},
      {"", "cpu.pressure"}, {"", "memory.pressure"}, {"", "io.pressure"},
  };
  char name[64], line[512];
  snprintf(name, sizeof name, "/proc/%d/cgroup", (int)pid);
  FILE *file = fopen(name, "re");
  if (file == NULL)
    fail(name);
  int hybrid = access("/sys/fs/cgroup/unified/cgroup.procs", F_OK) == 0;
  while (fgets(line, sizeof line, file) != NULL) {
    line[strcspn(line, "\n")] = '\0';
    char *controllers = strchr(line, ':') + 1, *path = strchr(controllers, ':');
    *path++ = '\0';
    for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
      const char *mount = *controllers != '\0' ? controllers : hybrid ? "unified" : "";
      int is_pressure = strstr(files[i][1], "pressure") != NULL;
      if (strcmp(files[i][0], controllers) != 0 || (hybrid && *controllers == '\0' && !is_pressure))
        continue;
      snprintf(paths[n_paths], sizeof *paths, "/sys/fs/cgroup/%s%s/%s", mount, path, files[i][1]);
      if (access(paths[n_paths], R_OK) == 0)
        n_paths++;
    }
  }
  fclose(file);
}

static void by_hand(void) {
  static char text[16 << 10];
  for (int i = 0; i < n_paths; i++) {
    int fd = open(paths[i], O_RDONLY | O_CLOEXEC);
    ssize_t n = fd < 0 ? -1 : read(fd, text, sizeof text);
    if (n > 0)
      sum += strtoull(text, NULL, 10);
    close(fd);
  }
}

static void flat(rr_container *c) {
  rr_stats_info info;
  info.size = sizeof info;
  if (rr_stats(c, NULL, &info, NULL) != RR_OK)
    fail("rr_stats");
  sum += info.cpu_total;
}

static void json(rr_container *c) {
  rr_buf buf = {NULL, 0, 0};
  if (rr_stats_json(c, &buf, NULL) != RR_OK)
    fail("rr_stats_json");
  sum += buf.len;
  rr_buf_free(&buf);
}

static void spawned(char **argv) {
  pid_t pid = vfork();
  if (pid == 0) {
    int null = open("/dev/null", O_WRONLY);
    dup2(null, 1);
    execl(argv[0], argv[0], "--root", argv[1], "events", "--stats", argv[2], (char *)NULL);
    _exit(127);
  }
  int status = 0;
  if (pid < 0 || waitpid(pid, &status, 0) != pid || status != 0)
    fail(argv[0]);
}

static int by_value(const void *a, const void *b) {
  double x = *(const double *)a, y = *(const double *)b;
  return (x > y) - (x < y);
}

int main(int argc, char **argv) {
  if (argc < 3) {
    fprintf(stderr, "stats ROOT ID [ROUNDS [RUNTIME RUNTIME-ROOT RUNTIME-ID]...]\n");
    return 2;
  }
  int rounds = argc > 3 ? atoi(argv[3]) : 1000, kinds = 3 + (argc > 6 ? (argc - 4) / 3 : 0);
  rr_context_options options;
  rr_context_options_init(&options, sizeof options);
  options.root = argv[1];
  rr_context *ctx = NULL;
  rr_container *c = NULL;
  if (rr_context_new(&options, &ctx, NULL) != RR_OK || rr_open(ctx, argv[2], &c, NULL) != RR_OK)
    fail(argv[2]);
  rr_state_info state;
  state.size = sizeof state;
  if (rr_state(c, &state, NULL) != RR_OK || state.pid == 0)
    fail("rr_state");
  find(state.pid);
  static const char *const names[] = {"files read by hand", "rr_stats", "rr_stats_json"};
  enum { MOST = 16 };
  double *times[MOST], medians[MOST];
  if (kinds > MOST)
    kinds = MOST;
  for (int kind = 0; kind < kinds; kind++)
    if ((times[kind] = calloc((size_t)rounds, sizeof(double))) == NULL)
      fail("calloc");
  for (int round = 0; round < rounds; round++)
    for (int kind = 0; kind < kinds; kind++) {
      double start = now_us();
      if (kind == 0)
        by_hand();
      else if (kind == 1)
        flat(c);
      else if (kind == 2)
        json(c);
      else
        spawned(argv + 4 + 3 * (kind - 3));
      times[kind][round] = now_us() - start;
    }
  printf("%d files, median of %d rounds\n", n_paths, rounds);
  for (int kind = 0; kind < kinds; kind++) {
    qsort(times[kind], (size_t)rounds, sizeof(double), by_value);
    medians[kind] = times[kind][rounds / 2];
    printf("%-40s %10.1f us  x %.2f\n", kind < 3 ? names[kind] : argv[4 + 3 * (kind - 3)], medians[kind],
           medians[kind] / medians[0]);
  }
  rr_container_unref(c);
  rr_context_unref(ctx);
  return sum == 1;
}
