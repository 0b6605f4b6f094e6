/* migrate.c: what rr_migrate and rr_receive promise. `migrate ROOT COUNTER FOLDER CRIU`: a bundle that counts on its standard
 * output, a folder for the other host's things, CRIU's program. Both hosts are this process, with a state root each. */
#include "check.h"
#include <pthread.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/stat.h>

static const char *criu;
static const rr_call minutes = {sizeof minutes, 120 * 1000, 0};

static rr_migrate_options plain(void) {
  rr_migrate_options o;
  rr_migrate_options_init(&o, sizeof o);
  o.criu = criu, o.call = &minutes;
  return o;
}

/* The other host, on a thread of its own. */
struct target {
  pthread_t thread;
  rr_context *ctx;
  int socket;
  const char *id;
  rr_create_options *options;
  rr_receive_options receive;
  rr_container *c;
  rr_code code;
  char message[512];
};

static void *receives(void *argument) {
  struct target *t = argument;
  rr_error *err = NULL;
  t->code = rr_receive(t->ctx, t->socket, t->id, t->options, &t->receive, &t->c, &err);
  CHECK((t->code == RR_OK) == (err == NULL) && (t->code == RR_OK) == (t->c != NULL));
  snprintf(t->message, sizeof t->message, "%s", rr_error_message(err));
  rr_error_free(err);
  return NULL;
}

/* Begins to receive; what comes back is the source's end. */
static int begin(struct target *t, rr_context *ctx, const char *id, rr_create_options *options) {
  int ends[2];
  CHECK(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) == 0);
  *t = (struct target){.ctx = ctx, .socket = ends[1], .id = id, .options = options};
  rr_receive_options_init(&t->receive, sizeof t->receive);
  t->receive.criu = criu;
  CHECK(pthread_create(&t->thread, NULL, receives, t) == 0);
  return ends[0];
}

/* What the target says; both ends are still ours, and go. */
static rr_code finish(struct target *t, int source) {
  CHECK(pthread_join(t->thread, NULL) == 0);
  CHECK(fcntl(source, F_GETFD) == FD_CLOEXEC && fcntl(t->socket, F_GETFD) == FD_CLOEXEC);
  CHECK(close(source) == 0 && close(t->socket) == 0);
  return t->code;
}

/* ---- progress ---- */

struct heard {
  pthread_t caller;
  int types[32], n;
  uint64_t files, bytes, memory;
  int cancel; /* written to when the target has accepted; -1: not */
};

static void hear(void *data, const rr_migration_event *event) {
  struct heard *heard = data;
  CHECK(pthread_equal(heard->caller, pthread_self()) && heard->n < 32);
  CHECK(event->size == sizeof *event && (event->pid > 0) == (event->type == RR_MIGRATION_RUNNING));
  CHECK((event->downtime_ns > 0) == (event->type == RR_MIGRATION_RUNNING));
  CHECK((event->reason != NULL) == (event->type == RR_MIGRATION_NO_ROUNDS));
  CHECK(event->reason == NULL || strlen(event->reason) > 0);
  CHECK((event->round != 0) == (event->type == RR_MIGRATION_ROUND));
  CHECK(!event->frozen || event->type == RR_MIGRATION_FILES);
  bool sends = event->type == RR_MIGRATION_FILES || event->type == RR_MIGRATION_ROUND || event->type == RR_MIGRATION_IMAGES;
  CHECK(sends == (event->bytes > 0) && sends == (event->sending_ns > 0) && (sends || event->files == 0));
  heard->types[heard->n++] = event->type;
  heard->files += event->type == RR_MIGRATION_FILES;
  heard->bytes += event->bytes, heard->memory += event->memory;
  uint64_t one = 1;
  if (event->type == RR_MIGRATION_ACCEPTED && heard->cancel >= 0)
    CHECK(write(heard->cancel, &one, sizeof one) == sizeof one);
}

static bool has(const struct heard *heard, int type) {
  for (int i = 0; i < heard->n; i++)
    if (heard->types[i] == type)
      return true;
  return false;
}

/* ---- what is refused ---- */

static void refused_sends(rr_container *c) {
  int ends[2], datagrams[2], pipes[2];
  CHECK(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) == 0);
  CHECK(socketpair(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0, datagrams) == 0 && pipe2(pipes, O_CLOEXEC) == 0);
  rr_migrate_options o = plain();
  const int wrong[] = {-1, 1001, pipes[1], datagrams[0]};
  for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++)
    EXPECT(RR_E_INVALID_ARGUMENT, rr_migrate(c, wrong[i], &o, NULL, &err));
  const uint64_t unknown[] = {RR_CRIU_LAZY_PAGES,      RR_CRIU_AUTO_DEDUP,   RR_CHECKPOINT_LEAVE_RUNNING,
                              RR_CHECKPOINT_PRE_DUMP, RR_RESTORE_TCP_CLOSE, UINT64_C(1) << 63};
  for (size_t i = 0; i < sizeof unknown / sizeof *unknown; i++) {
    o = plain(), o.flags = unknown[i];
    EXPECT(RR_E_UNSUPPORTED, rr_migrate(c, ends[0], &o, NULL, &err));
  }
  o = plain(), o.flags = RR_MIGRATE_NO_ROUNDS, o.rounds = 3;
  EXPECT(RR_E_INVALID_ARGUMENT, rr_migrate(c, ends[0], &o, NULL, &err));
  o.flags = RR_MIGRATE_LAZY;
  EXPECT(RR_E_INVALID_ARGUMENT, rr_migrate(c, ends[0], &o, NULL, &err));
  o = plain(), o.flags = RR_MIGRATE_LAZY | RR_MIGRATE_PAGE_SERVER;
  EXPECT(RR_E_INVALID_ARGUMENT, rr_migrate(c, ends[0], &o, NULL, &err));
  o.flags = RR_MIGRATE_LAZY | RR_CRIU_TCP_ESTABLISHED;
  EXPECT(RR_E_UNSUPPORTED, rr_migrate(c, ends[0], &o, NULL, &err));
  o = plain(), o.manage_cgroups = 5;
  EXPECT(RR_E_UNSUPPORTED, rr_migrate(c, ends[0], &o, NULL, &err));
  o = plain(), o.network_lock = 4;
  EXPECT(RR_E_UNSUPPORTED, rr_migrate(c, ends[0], &o, NULL, &err));
  o = plain(), o.size = 3;
  EXPECT(RR_E_INVALID_ARGUMENT, rr_migrate(c, ends[0], &o, NULL, &err));
  rr_migrated out = {.size = 3};
  o = plain();
  EXPECT(RR_E_INVALID_ARGUMENT, rr_migrate(c, ends[0], &o, &out, &err));
  struct {
    rr_migrate_options known;
    uint64_t tomorrow;
  } longer = {plain(), 1};
  longer.known.size = sizeof longer;
  EXPECT(RR_E_UNSUPPORTED, rr_migrate(c, ends[0], &longer.known, NULL, &err));
  int cancel = eventfd(1, EFD_CLOEXEC);
  rr_call call = {sizeof call, 0, cancel + 1};
  o = plain(), o.call = &call;
  EXPECT(RR_E_CANCELLED, rr_migrate(c, ends[0], &o, NULL, &err));
  char nothing;
  CHECK(recv(ends[1], &nothing, 1, MSG_DONTWAIT) == -1 && errno == EAGAIN); /* none of this said a word */

  o = plain(), o.patience_ms = 300; /* nobody answers */
  EXPECT(RR_E_TIMEOUT, rr_migrate(c, ends[0], &o, NULL, &err));
  close(ends[0]), close(ends[1]);
  CHECK(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) == 0);
  close(ends[1]); /* nobody is there; a header that knows no more than the flags */
  o = plain(), o.size = offsetof(rr_migrate_options, rounds);
  EXPECT(RR_E_SYSTEM, rr_migrate(c, ends[0], &o, NULL, &err));
  close(ends[0]), close(cancel), close(datagrams[0]), close(datagrams[1]), close(pipes[0]), close(pipes[1]);
  CHECK(status_of(c) == RR_RUNNING);
}

static void refused_receives(rr_context *ctx) {
  int ends[2], pipes[2];
  CHECK(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) == 0 && pipe2(pipes, O_CLOEXEC) == 0);
  rr_container *c = NULL;
  rr_receive_options o;
  rr_receive_options_init(&o, sizeof o);
  const int wrong[] = {-1, 1001, pipes[0]};
  for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++)
    EXPECT(RR_E_INVALID_ARGUMENT, rr_receive(ctx, wrong[i], "refused", NULL, &o, &c, &err));
  EXPECT(RR_E_INVALID_ARGUMENT, rr_receive(ctx, ends[1], "refused", NULL, &o, NULL, &err));
  EXPECT(RR_E_INVALID_ID, rr_receive(ctx, ends[1], "\xff", NULL, &o, &c, &err));
  o.flags = RR_MIGRATE_COPY_ROOTFS; /* the source says that */
  EXPECT(RR_E_UNSUPPORTED, rr_receive(ctx, ends[1], "refused", NULL, &o, &c, &err));
  o.flags = 0, o.reserved0 = 1;
  EXPECT(RR_E_UNSUPPORTED, rr_receive(ctx, ends[1], "refused", NULL, &o, &c, &err));
  o.reserved0 = 0, o.manage_cgroups = 77;
  EXPECT(RR_E_UNSUPPORTED, rr_receive(ctx, ends[1], "refused", NULL, &o, &c, &err));
  o.manage_cgroups = 0, o.size = 0;
  EXPECT(RR_E_INVALID_ARGUMENT, rr_receive(ctx, ends[1], "refused", NULL, &o, &c, &err));
  rr_create_options create;
  rr_create_options_init(&create, sizeof create);
  int cancel = eventfd(1, EFD_CLOEXEC);
  rr_call call = {sizeof call, 0, cancel + 1};
  create.call = &call;
  EXPECT(RR_E_CANCELLED, rr_receive(ctx, ends[1], "refused", &create, NULL, &c, &err));
  char nothing;
  CHECK(recv(ends[0], &nothing, 1, MSG_DONTWAIT) == -1 && errno == EAGAIN);
  call.cancel_fd_plus1 = 0, call.timeout_ms = 300;
  EXPECT(RR_E_TIMEOUT, rr_receive(ctx, ends[1], "refused", &create, NULL, &c, &err));
  close(ends[0]), close(ends[1]), close(cancel), close(pipes[0]), close(pipes[1]);
  CHECK(c == NULL && childless());
}

/* A migration that is cancelled on its way, and one to an id that is there: both sides hear why, and the container runs on. */
static void failures_on_the_way(rr_container *c, const char *id, rr_context *there, const char *root, const char *folder) {
  char bundle[512], counter[512];
  snprintf(bundle, sizeof bundle, "%s/never", folder);
  rr_io io;
  quiet(&io);
  rr_create_options options;
  rr_create_options_init(&options, sizeof options);
  options.io = &io, options.bundle = bundle, options.call = &minutes;
  int cancel = eventfd(0, EFD_CLOEXEC);
  struct heard heard = {.caller = pthread_self(), .cancel = cancel};
  rr_call call = {sizeof call, 0, cancel + 1};
  rr_migrate_options o = plain();
  o.flags = RR_MIGRATE_COPY_ROOTFS, o.progress = hear, o.progress_data = &heard, o.call = &call;
  struct target target;
  int socket = begin(&target, there, "never", &options);
  EXPECT(RR_E_CANCELLED, rr_migrate(c, socket, &o, NULL, &err));
  CHECK(finish(&target, socket) == RR_E_CANCELLED && strstr(target.message, "cancelled"));
  CHECK(heard.n >= 1 && heard.types[0] == RR_MIGRATION_ACCEPTED && !has(&heard, RR_MIGRATION_RESTORED));
  close(cancel);
  struct stat info;
  CHECK(stat(bundle, &info) == -1 && errno == ENOENT && status_of(c) == RR_RUNNING);

  /* Nothing runs in it, and its cgroup would be the other's: both hosts are one here. */
  rr_context_options without;
  rr_context_options_init(&without, sizeof without);
  without.root = root, without.flags = RR_CTX_NO_CGROUP;
  rr_context *occupying = NULL;
  OK(rr_context_new(&without, &occupying, &err));
  snprintf(counter, sizeof counter, "%s/counter", folder);
  int rootfs = open(counter, O_RDONLY | O_DIRECTORY | O_CLOEXEC); /* and the source sends its own */
  options.rootfs_fd_plus1 = rootfs + 1;
  o = plain(), o.flags = RR_MIGRATE_COPY_ROOTFS;
  socket = begin(&target, there, "never", &options);
  EXPECT(RR_E_INVALID_ARGUMENT, rr_migrate(c, socket, &o, NULL, &err));
  CHECK(finish(&target, socket) == RR_E_INVALID_ARGUMENT && stat(bundle, &info) == -1);
  options.rootfs_fd_plus1 = 0;
  close(rootfs);
  rr_io other = io;
  rr_container *twin = create(occupying, counter, id, &other);
  o = plain();
  options.bundle = NULL;
  socket = begin(&target, there, NULL, &options);
  rr_error *err = NULL;
  CHECK(rr_migrate(c, socket, &o, NULL, &err) == RR_E_EXISTS && rr_error_detail(err, "migration") == NULL);
  rr_error_free(err);
  CHECK(finish(&target, socket) == RR_E_EXISTS && status_of(c) == RR_RUNNING && status_of(twin) == RR_CREATED);
  OK(rr_delete(twin, RR_DELETE_FORCE, NULL, &err));
  rr_container_unref(twin);
  rr_context_unref(occupying);
}

/* Whether memory may come behind here; what cannot be is said before a word is, so that nobody need be at the other end. */
static bool may_be_lazy(rr_container *c) {
  int ends[2];
  CHECK(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) == 0);
  close(ends[1]);
  rr_migrate_options o = plain();
  o.flags = RR_MIGRATE_LAZY;
  rr_code code = rr_migrate(c, ends[0], &o, NULL, NULL);
  CHECK((code == RR_E_UNSUPPORTED || code == RR_E_SYSTEM) && status_of(c) == RR_RUNNING);
  close(ends[0]);
  return code == RR_E_SYSTEM;
}

int main(int argc, char **argv) {
  CHECK(argc == 5);
  alarm(240);
  const char *bundle = argv[2], *folder = argv[3];
  criu = argv[4];
  char first[64], second[64], root[512], moved[512];
  snprintf(first, sizeof first, "rr-abi-migrate-%d-a", (int)getpid());
  snprintf(second, sizeof second, "rr-abi-migrate-%d-b", (int)getpid());
  snprintf(root, sizeof root, "%s/there", folder);
  snprintf(moved, sizeof moved, "%s/moved", folder);
  CHECK(rr_has_feature("migrate"));
  rr_context *here = context(argv[1]), *there = context(root);
  rr_io io;
  quiet(&io);
  io.out.kind = RR_STDIO_PIPE;
  rr_container *c = create(here, bundle, first, &io);
  int source = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  rr_migrate_options o = plain();
  EXPECT(RR_E_NOT_RUNNING, rr_migrate(c, source, &o, NULL, &err));
  OK(rr_start(c, NULL, &err));
  OK(rr_pause(c, NULL, &err));
  EXPECT(RR_E_PAUSED, rr_migrate(c, source, &o, NULL, &err));
  OK(rr_resume(c, NULL, &err));
  close(source);
  while (next_number(io.out.fd) < 3)
    ;
  refused_sends(c);
  int before = io.out.fd;
  failures_on_the_way(c, first, there, root, folder);
  long count = next_number(before);

  /* With its files, and everything told. */
  rr_create_options options;
  rr_create_options_init(&options, sizeof options);
  options.bundle = moved, options.io = &io, options.call = &minutes;
  struct heard heard = {.caller = pthread_self(), .cancel = -1};
  o.flags = RR_MIGRATE_COPY_ROOTFS, o.progress = hear, o.progress_data = &heard;
  struct target target;
  source = begin(&target, there, second, &options);
  rr_migrated out = {.size = sizeof out};
  OK(rr_migrate(c, source, &o, &out, &err));
  CHECK(finish(&target, source) == RR_OK);
  CHECK(heard.types[0] == RR_MIGRATION_ACCEPTED && heard.types[heard.n - 1] == RR_MIGRATION_RESTORED);
  CHECK(heard.files == 2 && has(&heard, RR_MIGRATION_FROZEN) && has(&heard, RR_MIGRATION_IMAGES) && heard.memory > 0);
  CHECK(has(&heard, RR_MIGRATION_ROUND) == (out.rounds > 0) && has(&heard, RR_MIGRATION_ROUND) != has(&heard, RR_MIGRATION_NO_ROUNDS));
  CHECK(out.size == sizeof out && out.bytes >= heard.bytes && out.downtime_ns > 0 && out.total_ns > out.downtime_ns);
  rr_state_info info = {.size = sizeof info};
  OK(rr_state(target.c, &info, &err));
  CHECK(info.status == RR_RUNNING && info.pid == out.pid);
  EXPECT(RR_E_NOT_FOUND, rr_state(c, &info, &err)); /* deleted here */
  CHECK(next_number(io.out.fd) > count); /* it goes on, and does not begin again */
  rr_container_unref(c);
  close(before);

  /* And back, and there again if it may: the files are where they are, and the result is of yesterday. */
  options.bundle = NULL;
  bool lazy = may_be_lazy(target.c);
  for (int leg = 0; leg <= lazy; leg++) {
    before = io.out.fd, count = next_number(before), c = target.c;
    heard = (struct heard){.caller = pthread_self(), .cancel = -1};
    o = plain(), o.flags = leg ? RR_MIGRATE_LAZY : RR_MIGRATE_PAGE_SERVER | RR_MIGRATE_NO_ROUNDS;
    o.progress = hear, o.progress_data = &heard;
    source = begin(&target, leg ? there : here, leg ? second : first, &options);
    memset(&out, 0xff, sizeof out);
    out.size = offsetof(rr_migrated, bytes);
    OK(rr_migrate(c, source, &o, &out, &err));
    CHECK(finish(&target, source) == RR_OK && out.rounds == 0 && out.bytes == UINT64_MAX);
    CHECK(has(&heard, RR_MIGRATION_RUNNING) == (leg == 1) && !has(&heard, RR_MIGRATION_ROUND));
    rr_container_unref(c);
    close(before);
    CHECK(next_number(io.out.fd) > count);
  }
  if (!lazy)
    fputs("skipped: container_moves_to_another_context_from_c, memory behind it: CRIU cannot serve pages here\n", stderr);
  OK(rr_open(lazy ? there : here, lazy ? second : first, &c, &err));
  CHECK(status_of(c) == RR_RUNNING);
  rr_container_unref(c);
  rr_process *init = NULL;
  OK(rr_init_process(target.c, &init, &err));
  CHECK(rr_process_pid(init) == out.pid);
  OK(rr_kill(target.c, SIGKILL, 0, NULL, &err));
  CHECK(wait_for(init).sig == SIGKILL); /* it is a child of ours */
  rr_process_unref(init);
  OK(rr_delete(target.c, 0, NULL, &err));
  rr_container_unref(target.c);
  close(io.out.fd);
  refused_receives(there);
  rr_context_unref(here);
  rr_context_unref(there);
  CHECK(childless());
  puts("ok");
  return 0;
}
