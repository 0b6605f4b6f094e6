/* kind_of_host.h: makes a C program one of the hosts that make a library's life hard. */
#ifndef KIND_OF_HOST_H
#define KIND_OF_HOST_H
#include "check.h"
#include <pthread.h>
#include <sys/mman.h>

static inline void *allocate_forever(void *seed) {
  unsigned state = (unsigned)(size_t)seed;
  void *kept[16] = {0};
  for (;;) {
    unsigned at = rand_r(&state) % 16;
    free(kept[at]);
    kept[at] = malloc(1 + rand_r(&state) % 100000);
    CHECK(kept[at] != NULL);
    *(volatile char *)kept[at] = 1;
  }
  return NULL;
}

/* As daemons do it: whichever child has ended, and a rest when there is none. */
static inline void *reap_forever(void *nothing) {
  for (;;)
    if (waitpid(-1, NULL, 0) < 0)
      usleep(100);
  return nothing;
}

static inline void become(const char *kind) {
  pthread_t thread;
  if (strcmp(kind, "busy") == 0) {
    for (size_t i = 1; i <= 8; i++)
      CHECK(pthread_create(&thread, NULL, allocate_forever, (void *)i) == 0);
  } else if (strcmp(kind, "reaper") == 0) {
    statuses_may_get_lost = true;
    CHECK(pthread_create(&thread, NULL, reap_forever, NULL) == 0);
  } else if (strcmp(kind, "ignorant") == 0) {
    statuses_may_get_lost = true;
    CHECK(signal(SIGCHLD, SIG_IGN) != SIG_ERR);
  } else if (strcmp(kind, "large") == 0) {
    const size_t size = (size_t)4 << 30;
    char *memory = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    CHECK(memory != MAP_FAILED);
    for (size_t at = 0; at < size; at += 4096)
      memory[at] = 1;
  } else {
    CHECK(strcmp(kind, "plain") == 0);
  }
}
#endif
