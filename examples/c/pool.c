/* pool.c: many containers, a few threads, one loop that hears what happens to each.
 *
 *     cc -pthread pool.c $(pkg-config --cflags --libs riverrun) -o pool && sudo ./pool [-r ROOT] BUNDLE [CONTAINERS [THREADS]]
 *
 * The threads create, start and delete; the loop waits in one epoll for the events of all, by their streams' descriptors.
 * What passes between them are two things that cannot be lost: jobs in a queue under a lock, and descriptors that stay
 * readable until they are taken out of the epoll.
 */
#include <errno.h>
#include <pthread.h>
#include <riverrun.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

struct slot {
  char id[48];
  rr_container *container;
  rr_event_stream *events;
  rr_event end; /* RR_EV_EXIT, once it has come */
  int64_t began_ns, ended_ns;
};

struct pool {
  rr_context *ctx;
  const char *bundle;
  struct slot *slots;
  size_t n;
  int epoll;
  int finished; /* an eventfd: how many slots are done with, since it was read last */
  /* The queue: slots to be made, then slots to be deleted. It never holds a slot twice, so n + threads places are enough. */
  pthread_mutex_t lock;
  pthread_cond_t filled;
  size_t *queue, first, queued, room;
  size_t failed;
};

/* What a job says; a slot to make is one without a container. */
#define STOP SIZE_MAX

static int64_t now_ns(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return now.tv_sec * INT64_C(1000000000) + now.tv_nsec;
}

static void push(struct pool *pool, size_t job) {
  pthread_mutex_lock(&pool->lock);
  pool->queue[(pool->first + pool->queued++) % pool->room] = job;
  pthread_cond_signal(&pool->filled);
  pthread_mutex_unlock(&pool->lock);
}

static size_t pop(struct pool *pool) {
  pthread_mutex_lock(&pool->lock);
  while (pool->queued == 0)
    pthread_cond_wait(&pool->filled, &pool->lock);
  size_t job = pool->queue[pool->first];
  pool->first = (pool->first + 1) % pool->room;
  pool->queued--;
  pthread_mutex_unlock(&pool->lock);
  return job;
}

/* One slot less to wait for, whatever became of it. */
static void finish(struct pool *pool, bool well) {
  if (!well) {
    pthread_mutex_lock(&pool->lock);
    pool->failed++;
    pthread_mutex_unlock(&pool->lock);
  }
  uint64_t one = 1;
  while (write(pool->finished, &one, sizeof one) < 0 && errno == EINTR)
    continue;
}

static bool fine(const struct slot *slot, const char *what, rr_code code, rr_error **err) {
  if (code == RR_OK)
    return true;
  fprintf(stderr, "pool: %s: %s: %s (%s)\n", slot->id, what, rr_error_message(*err), rr_code_name(code));
  rr_error_free(*err);
  *err = NULL;
  return false;
}

/* Deletes what is there of a slot. */
static bool clear(struct slot *slot) {
  rr_error *err = NULL;
  bool well = fine(slot, "delete", rr_delete(slot->container, RR_DELETE_FORCE, NULL, &err), &err);
  rr_event_stream_close(slot->events);
  rr_container_unref(slot->container);
  slot->events = NULL;
  slot->container = NULL;
  return well;
}

static void make(struct pool *pool, size_t index) {
  struct slot *slot = &pool->slots[index];
  rr_error *err = NULL;
  rr_io io;
  rr_io_init(&io, sizeof io);
  io.in.kind = io.out.kind = io.err.kind = RR_STDIO_NULL;
  rr_create_options options;
  rr_create_options_init(&options, sizeof options);
  options.bundle = pool->bundle;
  options.io = &io;
  slot->began_ns = now_ns();
  if (!fine(slot, "create", rr_create(pool->ctx, slot->id, &options, &slot->container, &err), &err)) {
    finish(pool, false);
    return;
  }
  if (fine(slot, "listen to it", rr_events(slot->container, NULL, &slot->events, &err), &err)) {
    /* Before it is started: its end cannot be missed. From here on the slot is the loop's, once it has ended, so nothing
     * of it is touched below but what the start itself needs. */
    rr_container *container = rr_container_ref(slot->container);
    struct epoll_event wanted = {.events = EPOLLIN, .data.u64 = index};
    if (epoll_ctl(pool->epoll, EPOLL_CTL_ADD, rr_event_stream_fd(slot->events), &wanted) == 0) {
      rr_code code = rr_start(container, NULL, &err);
      if (!fine(slot, "start", code, &err)) /* It ends all the same, and the loop hears of it. */
        rr_kill(container, SIGKILL, 0, NULL, NULL);
      rr_container_unref(container);
      return;
    }
    perror("pool: watch a container");
    rr_container_unref(container);
  }
  clear(slot);
  finish(pool, false);
}

static void *work(void *data) {
  struct pool *pool = data;
  for (size_t job; (job = pop(pool)) != STOP;) {
    struct slot *slot = &pool->slots[job];
    if (slot->container == NULL) {
      make(pool, job);
    } else {
      const rr_event *end = &slot->end;
      bool well = end->type == RR_EV_EXIT && end->exit_code == 0 && end->exit_sig == 0;
      finish(pool, clear(slot) && well);
    }
  }
  return NULL;
}

/* Takes what a stream has to say; true when that was the last. */
static bool hear(struct slot *slot) {
  rr_error *err = NULL;
  rr_event event;
  event.size = sizeof event;
  if (!fine(slot, "hear of it", rr_event_stream_next(slot->events, NULL, &event, &err), &err))
    return true;
  if (event.type == RR_EV_OOM_KILL)
    fprintf(stderr, "pool: %s: out of memory\n", slot->id);
  if (event.type == RR_EV_EXIT)
    slot->end = event;
  return event.type == RR_EV_END;
}

/* Hears of every end until nothing is left to hear. */
static bool listen_for_ends(struct pool *pool) {
  for (size_t done = 0; done < pool->n;) {
    struct epoll_event events[32];
    int n = epoll_wait(pool->epoll, events, 32, -1);
    if (n < 0 && errno != EINTR) {
      perror("pool: wait for events");
      return false;
    }
    for (int i = 0; i < n; i++) {
      uint64_t index = events[i].data.u64, count = 0;
      if (index == STOP) {
        if (read(pool->finished, &count, sizeof count) == sizeof count)
          done += count;
        continue;
      }
      if (!hear(&pool->slots[index]))
        continue;
      /* Out of the epoll first: the stream stays readable, and the slot may be deleted before the next wait. */
      epoll_ctl(pool->epoll, EPOLL_CTL_DEL, rr_event_stream_fd(pool->slots[index].events), NULL);
      pool->slots[index].ended_ns = now_ns();
      push(pool, index);
    }
  }
  return true;
}

static bool set_up(struct pool *pool, const char *root, const char *bundle, size_t n, size_t threads) {
  memset(pool, 0, sizeof *pool);
  pool->bundle = bundle;
  pool->n = n;
  pool->room = n + threads;
  pool->slots = calloc(n, sizeof *pool->slots);
  pool->queue = calloc(pool->room, sizeof *pool->queue);
  pool->epoll = epoll_create1(EPOLL_CLOEXEC);
  pool->finished = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
  pthread_mutex_init(&pool->lock, NULL);
  pthread_cond_init(&pool->filled, NULL);
  struct epoll_event wanted = {.events = EPOLLIN, .data.u64 = STOP};
  if (!pool->slots || !pool->queue || pool->epoll < 0 || pool->finished < 0 ||
      epoll_ctl(pool->epoll, EPOLL_CTL_ADD, pool->finished, &wanted) != 0) {
    perror("pool: set up");
    return false;
  }
  rr_error *err = NULL;
  struct slot setup = {.id = "pool"};
  rr_context_options options;
  rr_context_options_init(&options, sizeof options);
  options.root = root;
  return fine(&setup, "set up", rr_context_new(&options, &pool->ctx, &err), &err);
}

int main(int argc, char **argv) {
  const char *root = NULL;
  bool sane = true;
  for (int option; (option = getopt(argc, argv, "r:")) != -1;)
    option == 'r' ? (void)(root = optarg) : (void)(sane = false);
  argc -= optind, argv += optind;
  size_t n = argc > 1 ? strtoul(argv[1], NULL, 10) : 100, threads = argc > 2 ? strtoul(argv[2], NULL, 10) : 8;
  if (!sane || argc < 1 || argc > 3 || n == 0 || n > 10000 || threads == 0 || threads > 64) {
    fprintf(stderr, "usage: pool [-r ROOT] BUNDLE [CONTAINERS [THREADS]]\n\n"
                    "Runs many containers of one bundle and hears of their ends in one epoll, with riverrun %s.\n", rr_version_string());
    return 2;
  }
  struct pool pool;
  if (!set_up(&pool, root, argv[0], n, threads))
    return EXIT_FAILURE;
  int64_t began = now_ns();
  for (size_t i = 0; i < n; i++) {
    snprintf(pool.slots[i].id, sizeof pool.slots[i].id, "pool-%d-%zu", (int)getpid(), i);
    push(&pool, i);
  }
  pthread_t workers[64];
  size_t started = 0;
  while (started < threads && pthread_create(&workers[started], NULL, work, &pool) == 0)
    started++;
  bool well = started > 0 && listen_for_ends(&pool);
  for (size_t i = 0; i < started; i++)
    push(&pool, STOP);
  for (size_t i = 0; i < started; i++)
    pthread_join(workers[i], NULL);
  int64_t sum = 0;
  for (size_t i = 0; i < n; i++)
    sum += pool.slots[i].ended_ns ? pool.slots[i].ended_ns - pool.slots[i].began_ns : 0;
  size_t done = n - pool.failed;
  printf("pool: %zu of %zu containers created, run and deleted by %zu threads in %.2f s, each heard of after %.1f ms\n", done,
         n, started, (double)(now_ns() - began) / 1e9, done ? (double)sum / (double)done / 1e6 : 0);
  rr_context_unref(pool.ctx);
  close(pool.finished);
  close(pool.epoll);
  free(pool.queue);
  free(pool.slots);
  return well && pool.failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
