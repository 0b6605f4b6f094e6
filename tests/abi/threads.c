/* threads.c: a busy host. Eight threads do nothing but malloc and free, so that its locks are nearly always held, while
 * four others create, exec and delete; nothing hangs (alarm), nothing is left open. `threads ROOT BUNDLE ROUNDS` */
#include "check.h"
#include <dirent.h>
#include <pthread.h>
#include <stdatomic.h>

enum { BUSY = 8, WORKERS = 4 };
static atomic_bool done;
static rr_context *ctx;
static const char *bundle;
static int rounds;

static void *allocate(void *seed) {
  unsigned state = (unsigned)(size_t)seed;
  void *kept[16] = {0};
  while (!atomic_load_explicit(&done, memory_order_relaxed)) {
    unsigned at = rand_r(&state) % 16;
    free(kept[at]);
    kept[at] = malloc(1 + rand_r(&state) % 100000);
    CHECK(kept[at] != NULL);
    *(volatile char *)kept[at] = 1;
  }
  for (int i = 0; i < 16; i++)
    free(kept[i]);
  return NULL;
}

static void *work(void *number) {
  for (int round = 0; round < rounds; round++) {
    char id[64];
    snprintf(id, sizeof id, "rr-abi-threads-%d-%d-%d", (int)getpid(), (int)(size_t)number, round);
    rr_io io;
    quiet(&io);
    rr_container *c = create(ctx, bundle, id, &io);
    OK(rr_start(c, NULL, &err));
    rr_process *p = exec_json(c, AS_ROOT "\"args\": [\"/bin/sh\", \"-c\", \"exit 5\"]}", &io);
    rr_exit end = wait_for(p);
    CHECK(end.code == 5 && end.sig == 0 && end.flags == 0);
    rr_process_unref(p);
    OK(rr_delete(c, RR_DELETE_FORCE, NULL, &err));
    rr_container_unref(c);
  }
  return NULL;
}

static int descriptors(void) {
  int n = 0;
  DIR *dir = opendir("/proc/self/fd");
  CHECK(dir != NULL);
  while (readdir(dir) != NULL)
    n++;
  closedir(dir);
  return n;
}

int main(int argc, char **argv) {
  CHECK(argc == 4);
  alarm(240);
  ctx = context(argv[1]);
  bundle = argv[2];
  rounds = 1;
  work((void *)(size_t)99); /* what is opened once per process is opened now */
  rounds = atoi(argv[3]);
  int before = descriptors();
  pthread_t busy[BUSY], workers[WORKERS];
  for (size_t i = 0; i < BUSY; i++)
    CHECK(pthread_create(&busy[i], NULL, allocate, (void *)(i + 1)) == 0);
  for (size_t i = 0; i < WORKERS; i++)
    CHECK(pthread_create(&workers[i], NULL, work, (void *)i) == 0);
  for (size_t i = 0; i < WORKERS; i++)
    CHECK(pthread_join(workers[i], NULL) == 0);
  atomic_store(&done, true);
  for (size_t i = 0; i < BUSY; i++)
    CHECK(pthread_join(busy[i], NULL) == 0);
  CHECK(descriptors() == before);
  CHECK(childless());
  rr_buf list = {NULL, 0, 0};
  OK(rr_list_json(ctx, &list, &err));
  CHECK(strcmp(list.data, "null") == 0);
  rr_buf_free(&list);
  rr_context_unref(ctx);
  puts("ok");
  return 0;
}
