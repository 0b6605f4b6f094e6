/* events.c: what rr_events, rr_stats and rr_stats_json promise. `events ROOT SLEEPER EATER`: the first sleeps, the second has
 * little memory and wants more. */
#include "check.h"
#include <dirent.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>

static char id[2][64];

static int descriptors(void) {
  int n = 0;
  DIR *directory = opendir("/proc/self/fd");
  CHECK(directory != NULL);
  while (readdir(directory) != NULL)
    n++;
  closedir(directory);
  return n;
}

static rr_event_stream *listen_to(rr_container *c, uint64_t mask) {
  rr_events_options options;
  rr_events_options_init(&options, sizeof options);
  options.mask = mask, options.stats_interval_ms = 20;
  rr_event_stream *ev = NULL;
  OK(rr_events(c, &options, &ev, &err));
  int fd = rr_event_stream_fd(ev);
  CHECK(fd > 2 && fcntl(fd, F_GETFD) == FD_CLOEXEC);
  return ev;
}

/* The next event that is one; waits for up to a minute. */
static rr_event next(rr_event_stream *ev) {
  rr_call call = {sizeof call, 60 * 1000, 0};
  rr_event event;
  do {
    event.size = sizeof event;
    OK(rr_event_stream_next(ev, &call, &event, &err));
  } while (event.type == RR_EV_NONE);
  return event;
}

static void refuses(rr_container *c) {
  rr_events_options options;
  rr_events_options_init(&options, sizeof options);
  rr_event_stream *ev = NULL;
  options.mask = 1u << 20;
  EXPECT(RR_E_UNSUPPORTED, rr_events(c, &options, &ev, &err));
  options.mask = RR_WANT_EXIT, options.reserved0 = 1;
  EXPECT(RR_E_UNSUPPORTED, rr_events(c, &options, &ev, &err));
  options.reserved0 = 0, options.n_pressure = 1;
  EXPECT(RR_E_INVALID_ARGUMENT, rr_events(c, &options, &ev, &err));
  rr_pressure pressure = {9, 0, 1000, 2000000};
  options.pressure = &pressure;
  EXPECT(RR_E_UNSUPPORTED, rr_events(c, &options, &ev, &err));
  pressure.resource = RR_PRESSURE_CPU, pressure.stall_us = 0;
  EXPECT(RR_E_INVALID_ARGUMENT, rr_events(c, &options, &ev, &err));
  CHECK(ev == NULL);

  rr_stats_options what;
  rr_stats_options_init(&what, sizeof what);
  rr_stats_info info;
  info.size = sizeof info;
  what.what = 1u << 30;
  EXPECT(RR_E_UNSUPPORTED, rr_stats(c, &what, &info, &err));
  what.what = RR_STATS_PERCPU, what.percpu_cap = 4;
  EXPECT(RR_E_INVALID_ARGUMENT, rr_stats(c, &what, &info, &err));
  info.size = 0;
  EXPECT(RR_E_INVALID_ARGUMENT, rr_stats(c, NULL, &info, &err));
}

static void counts(rr_container *c) {
  rr_stats_info info;
  info.size = sizeof info;
  OK(rr_stats(c, NULL, &info, &err));
  CHECK(info.size == sizeof info && info.taken_ns > 0);
  CHECK((info.present & RR_STATS_MEMORY) == 0 || info.memory_usage > 0);
  CHECK((info.present & RR_STATS_PIDS) == 0 || info.pids_current == 1);
  CHECK((info.present & RR_STATS_PERCPU) == 0 && info.n_percpu == 0);

  uint64_t percpu[2] = {77, 77};
  rr_stats_options what;
  rr_stats_options_init(&what, sizeof what);
  what.what = RR_STATS_PERCPU | RR_STATS_PIDS, what.percpu = percpu, what.percpu_cap = 1;
  OK(rr_stats(c, &what, &info, &err));
  CHECK(info.memory_usage == 0 && percpu[1] == 77); /* nothing but what was asked for, and no further than there is room */

  rr_buf json = {NULL, 0, 0};
  OK(rr_stats_json(c, &json, &err));
  CHECK(json.data[0] == '{' && strstr(json.data, "\"throttling\":") != NULL);
  rr_buf_free(&json);
}

/* Paused and resumed, told with statistics in between. */
static void tells_of_pauses(rr_container *c) {
  rr_event_stream *ev = listen_to(c, RR_WANT_STATE | RR_WANT_STATS);
  OK(rr_pause(c, NULL, &err));
  int stats = 0, wanted = RR_PAUSED;
  while (wanted != 0 || stats == 0) {
    rr_event event = next(ev);
    if (event.type == RR_EV_STATS) {
      CHECK(event.json_len == strlen(event.json) && event.json[0] == '{');
      stats++;
      continue;
    }
    CHECK(event.type == RR_EV_STATE && event.status == wanted && event.json == NULL && event.time_ns > 0);
    if (wanted == RR_PAUSED)
      OK(rr_resume(c, NULL, &err));
    wanted = wanted == RR_PAUSED ? RR_RUNNING : 0;
  }
  rr_event_stream_close(ev);
}

static void waits_as_it_is_told(rr_container *c) {
  rr_event_stream *ev = listen_to(c, 0);
  rr_event event = {.size = sizeof event, .type = 77};
  rr_call call = {sizeof call, 20, 0};
  EXPECT(RR_E_TIMEOUT, rr_event_stream_next(ev, &call, &event, &err));
  int cancel = eventfd(1, EFD_CLOEXEC);
  call.timeout_ms = 0, call.cancel_fd_plus1 = cancel + 1;
  EXPECT(RR_E_CANCELLED, rr_event_stream_next(ev, &call, &event, &err));
  CHECK(event.type == 77);
  event.size = 1;
  EXPECT(RR_E_INVALID_ARGUMENT, rr_event_stream_next(ev, &call, &event, &err));
  close(cancel);
  pid_t child = fork();
  CHECK(child >= 0);
  if (child == 0) {
    event.size = sizeof event;
    _exit(rr_event_stream_fd(ev) == -1 && rr_event_stream_next(ev, NULL, &event, NULL) == RR_E_FORKED ? 0 : 1);
  }
  int status = 1;
  CHECK(waitpid(child, &status, 0) == child && status == 0);
  rr_event_stream_close(ev);
}

/* Both in one epoll: memory that ran out before the exit, the end last, and readable as long as there is something. */
static void ends_in_one_loop(rr_container *const c[2]) {
  rr_event_stream *ev[2];
  int loop = epoll_create1(EPOLL_CLOEXEC), ends = 0, ooms = 0, kills = 0, exits = 0;
  for (uint32_t i = 0; i < 2; i++) {
    ev[i] = listen_to(c[i], 0);
    struct epoll_event event = {EPOLLIN, {.u32 = i}};
    CHECK(epoll_ctl(loop, EPOLL_CTL_ADD, rr_event_stream_fd(ev[i]), &event) == 0);
  }
  OK(rr_start(c[1], NULL, &err)); /* eats */
  while (ends < 2) {
    struct epoll_event ready;
    CHECK(epoll_wait(loop, &ready, 1, 60 * 1000) == 1);
    uint32_t i = ready.data.u32;
    rr_call call = {sizeof call, 1, 0}; /* it was readable: this is not waited for */
    rr_event event;
    event.size = sizeof event;
    OK(rr_event_stream_next(ev[i], &call, &event, &err));
    switch (event.type) {
    case RR_EV_OOM:
      CHECK(i == 1 && exits == 0 && event.count > 0);
      ooms++;
      break;
    case RR_EV_OOM_KILL:
      CHECK(i == 1 && exits == 0 && event.count > 0);
      kills++;
      break;
    case RR_EV_EXIT:
      CHECK(event.exit_sig == SIGKILL && (event.exit_flags & RR_EXIT_STATUS_LOST) == 0 && event.pid > 0);
      CHECK(((event.exit_flags & RR_EXIT_OOM_KILLED) != 0) == (i == 1));
      exits++;
      if (i == 1)
        OK(rr_kill(c[0], SIGKILL, 0, NULL, &err));
      break;
    case RR_EV_END:
      CHECK(exits == ends + 1);
      ends++;
      CHECK(epoll_ctl(loop, EPOLL_CTL_DEL, rr_event_stream_fd(ev[i]), NULL) == 0);
      break;
    default:
      CHECK(event.type == RR_EV_NONE);
    }
  }
  CHECK(ooms > 0 && kills > 0 && exits == 2);
  for (int i = 0; i < 2; i++)
    rr_event_stream_close(ev[i]);
  close(loop);
}

int main(int argc, char **argv) {
  CHECK(argc == 4);
  alarm(240);
  rr_context *ctx = context(argv[1]);
  rr_container *c[2];
  rr_io io;
  quiet(&io);
  for (int i = 0; i < 2; i++) {
    snprintf(id[i], sizeof id[i], "rr-abi-events-%d-%d", (int)getpid(), i);
    c[i] = create(ctx, argv[2 + i], id[i], &io);
  }
  OK(rr_start(c[0], NULL, &err));
  refuses(c[0]);
  counts(c[0]);
  tells_of_pauses(c[0]);
  waits_as_it_is_told(c[0]);
  int before = descriptors();
  for (int i = 0; i < 50; i++)
    rr_event_stream_close(listen_to(c[0], RR_WANT_EXIT | RR_WANT_OOM | RR_WANT_STATE | RR_WANT_STATS));
  CHECK(descriptors() == before);
  ends_in_one_loop(c);
  CHECK(descriptors() == before);
  for (int i = 0; i < 2; i++) {
    OK(rr_delete(c[i], RR_DELETE_FORCE, NULL, &err));
    rr_container_unref(c[i]);
  }
  rr_context_unref(ctx);
  CHECK(childless());
  puts("ok");
  return 0;
}
