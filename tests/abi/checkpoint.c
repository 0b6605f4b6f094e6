/* checkpoint.c: what rr_checkpoint and rr_restore promise. `checkpoint ROOT COUNTER FOLDER CRIU`: a bundle that counts on its
 * standard output, a folder for images, CRIU's program. */
#include "check.h"
#include <sys/eventfd.h>
#include <sys/stat.h>

static const char *criu;
static int moments[8], n_moments;

static rr_code remember(void *data, int kind, pid_t pid, const char *state, size_t len) {
  CHECK(data == moments && n_moments < 8 && (pid > 0) == (kind != RR_HOOK_POSTSTOP) && strlen(state) == len);
  moments[n_moments++] = kind;
  return RR_OK;
}

static rr_checkpoint_options plain(const char *images) {
  rr_checkpoint_options o;
  rr_checkpoint_options_init(&o, sizeof o);
  o.images = images, o.criu = criu;
  return o;
}

/* What is refused, and the container runs on. */
static void refusals(rr_container *c, const char *images) {
  rr_checkpoint_options o = plain(NULL);
  EXPECT(RR_E_INVALID_ARGUMENT, rr_checkpoint(c, NULL, &err));
  EXPECT(RR_E_INVALID_ARGUMENT, rr_checkpoint(c, &o, &err));
  o = plain(images), o.images_fd_plus1 = 1;
  EXPECT(RR_E_INVALID_ARGUMENT, rr_checkpoint(c, &o, &err)); /* twice */
  o = plain(NULL), o.images_fd_plus1 = 1001;
  EXPECT(RR_E_INVALID_ARGUMENT, rr_checkpoint(c, &o, &err)); /* not open */
  o = plain(NULL), o.images_fd_plus1 = INT32_MIN;
  EXPECT(RR_E_INVALID_ARGUMENT, rr_checkpoint(c, &o, &err));
  const uint64_t unknown[] = {1u << 6, RR_RESTORE_TCP_CLOSE, UINT64_C(1) << 63};
  for (size_t i = 0; i < sizeof unknown / sizeof *unknown; i++) {
    o = plain(images), o.flags = unknown[i];
    EXPECT(RR_E_UNSUPPORTED, rr_checkpoint(c, &o, &err));
  }
  o = plain(images), o.manage_cgroups = 5;
  EXPECT(RR_E_UNSUPPORTED, rr_checkpoint(c, &o, &err));
  o = plain(images), o.network_lock = 4;
  EXPECT(RR_E_UNSUPPORTED, rr_checkpoint(c, &o, &err));
  o = plain(images), o.page_server = "127.0.0.1";
  EXPECT(RR_E_INVALID_ARGUMENT, rr_checkpoint(c, &o, &err)); /* no port */
  o.page_server = NULL, o.page_server_port = 7;
  EXPECT(RR_E_INVALID_ARGUMENT, rr_checkpoint(c, &o, &err)); /* no address */
  o.page_server = "127.0.0.1", o.page_server_port = 65536;
  EXPECT(RR_E_INVALID_ARGUMENT, rr_checkpoint(c, &o, &err));
  o = plain(images), o.status_fd_plus1 = 1;
  EXPECT(RR_E_INVALID_ARGUMENT, rr_checkpoint(c, &o, &err)); /* for lazy pages */
  o = plain(images), o.parent = "/absolute";
  EXPECT(RR_E_INVALID_ARGUMENT, rr_checkpoint(c, &o, &err));
  o = plain(images), o.size = offsetof(rr_checkpoint_options, images); /* a header that has no images yet */
  EXPECT(RR_E_INVALID_ARGUMENT, rr_checkpoint(c, &o, &err));
  o = plain(images), o.size = 3;
  EXPECT(RR_E_INVALID_ARGUMENT, rr_checkpoint(c, &o, &err));
  int cancel = eventfd(1, EFD_CLOEXEC);
  rr_call call = {sizeof call, 0, cancel + 1};
  o = plain(images), o.call = &call;
  EXPECT(RR_E_CANCELLED, rr_checkpoint(c, &o, &err));
  call.cancel_fd_plus1 = 0, call.timeout_ms = -1;
  EXPECT(RR_E_INVALID_ARGUMENT, rr_checkpoint(c, &o, &err));
  close(cancel);
  struct stat there;
  CHECK(stat(images, &there) == -1 && errno == ENOENT); /* none of this came that far */
  o = plain(images), o.criu = "/bin/false"; /* a CRIU that ends at once */
  EXPECT(RR_E_CRIU, rr_checkpoint(c, &o, &err));
  CHECK(status_of(c) == RR_RUNNING);
}

static void refused_restores(rr_context *ctx, rr_create_options *options, const char *images) {
  rr_restore_options o;
  rr_container *c = NULL;
  rr_restore_options_init(&o, sizeof o);
  EXPECT(RR_E_INVALID_ARGUMENT, rr_restore(ctx, "refused", options, NULL, &c, &err));
  EXPECT(RR_E_INVALID_ARGUMENT, rr_restore(ctx, "refused", options, &o, &c, &err));
  o.images = images, o.criu = criu;
  EXPECT(RR_E_INVALID_ARGUMENT, rr_restore(ctx, "refused", NULL, &o, &c, &err));
  EXPECT(RR_E_INVALID_ARGUMENT, rr_restore(ctx, "refused", options, &o, NULL, &err));
  EXPECT(RR_E_INVALID_ID, rr_restore(ctx, "a/b", options, &o, &c, &err));
  o.flags = RR_CHECKPOINT_LEAVE_RUNNING;
  EXPECT(RR_E_UNSUPPORTED, rr_restore(ctx, "refused", options, &o, &c, &err));
  o.flags = 0, o.manage_cgroups = 77;
  EXPECT(RR_E_UNSUPPORTED, rr_restore(ctx, "refused", options, &o, &c, &err));
  o.manage_cgroups = 0, o.images = "/nowhere/images";
  EXPECT(RR_E_INVALID_ARGUMENT, rr_restore(ctx, "refused", options, &o, &c, &err));
  o.images = "/"; /* a directory, but of no images */
  EXPECT(RR_E_INVALID_ARGUMENT, rr_restore(ctx, "refused", options, &o, &c, &err));
  o.images = images;
  const uint64_t impossible[] = {RR_CREATE_DETACHED, RR_CREATE_WANT_SECCOMP_FD};
  for (size_t i = 0; i < sizeof impossible / sizeof *impossible; i++) {
    options->flags = impossible[i];
    EXPECT(RR_E_UNSUPPORTED, rr_restore(ctx, "refused", options, &o, &c, &err));
  }
  options->flags = 0;
  rr_fd_map map = {0, 3};
  options->io->fds = &map, options->io->n_fds = 1;
  EXPECT(RR_E_UNSUPPORTED, rr_restore(ctx, "refused", options, &o, &c, &err));
  options->io->fds = NULL, options->io->n_fds = 0;
  CHECK(c == NULL && childless());
}

/* The error tells where CRIU's log is, and the container runs on. */
static void log_is_named(rr_context *ctx, const char *bundle, const char *id, const char *images, const char *outside) {
  int file = open(outside, O_CREAT | O_WRONLY | O_CLOEXEC, 0600); /* CRIU cannot keep a file of the host */
  CHECK(file > 2);
  rr_io io;
  quiet(&io);
  io.out.kind = RR_STDIO_FD, io.out.fd = file;
  rr_container *c = create(ctx, bundle, id, &io);
  OK(rr_start(c, NULL, &err));
  rr_checkpoint_options o = plain(images);
  rr_error *err = NULL;
  CHECK(rr_checkpoint(c, &o, &err) == RR_E_CRIU && strstr(rr_error_message(err), "/dump.log"));
  CHECK(strncmp(rr_error_detail(err, "criu-log"), images, strlen(images)) == 0);
  rr_error_free(err);
  CHECK(status_of(c) == RR_RUNNING);
  OK(rr_delete(c, RR_DELETE_FORCE, NULL, &err));
  rr_container_unref(c);
  close(file);
}

int main(int argc, char **argv) {
  CHECK(argc == 5);
  alarm(240);
  const char *bundle = argv[2], *folder = argv[3];
  criu = argv[4];
  char before[64], after[64], first[512], second[512];
  snprintf(before, sizeof before, "rr-abi-checkpoint-%d-a", (int)getpid());
  snprintf(after, sizeof after, "rr-abi-checkpoint-%d-b", (int)getpid());
  snprintf(first, sizeof first, "%s/first", folder);
  snprintf(second, sizeof second, "%s/second", folder);
  CHECK(rr_has_feature("checkpoint"));
  rr_context *ctx = context(argv[1]);
  rr_io io;
  quiet(&io);
  io.out.kind = RR_STDIO_PIPE;
  rr_container *c = create(ctx, bundle, before, &io);
  rr_checkpoint_options o = plain(first);
  EXPECT(RR_E_NOT_RUNNING, rr_checkpoint(c, &o, &err));
  OK(rr_start(c, NULL, &err));
  while (next_number(io.out.fd) < 3)
    ;
  refusals(c, first);

  rr_call call = {sizeof call, 60 * 1000, 0};
  o = plain(first), o.flags = RR_CHECKPOINT_LEAVE_RUNNING, o.call = &call;
  OK(rr_checkpoint(c, &o, &err)); /* made: it was not there */
  CHECK(status_of(c) == RR_RUNNING);
  long count = next_number(io.out.fd);
  CHECK(next_number(io.out.fd) > count);

  CHECK(mkdir(second, 0700) == 0);
  int images = open(second, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  int work = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  o = plain(NULL), o.images_fd_plus1 = images + 1, o.work_fd_plus1 = work + 1, o.call = &call;
  OK(rr_checkpoint(c, &o, &err));
  CHECK(faccessat(work, "dump.log", F_OK, 0) == 0 && faccessat(images, "inventory.img", F_OK, 0) == 0);
  CHECK(status_of(c) == RR_STOPPED);
  EXPECT(RR_E_NOT_RUNNING, rr_checkpoint(c, &o, &err));
  fcntl(io.out.fd, F_SETFL, O_NONBLOCK); /* what it said until then */
  char rest[4096];
  while (read(io.out.fd, rest, sizeof rest) > 0)
    ;
  close(io.out.fd);
  OK(rr_delete(c, 0, NULL, &err));
  rr_container_unref(c);

  rr_create_options options;
  rr_create_options_init(&options, sizeof options);
  quiet(&io);
  options.bundle = bundle, options.io = &io, options.call = &call;
  refused_restores(ctx, &options, second);
  io.out.kind = RR_STDIO_PIPE;
  options.hook = remember, options.hook_data = moments;
  rr_restore_options r;
  rr_restore_options_init(&r, sizeof r);
  r.images_fd_plus1 = images + 1, r.work_fd_plus1 = work + 1, r.criu = criu;
  c = NULL;
  OK(rr_restore(ctx, after, &options, &r, &c, &err));
  CHECK(n_moments == 2 && moments[0] == RR_HOOK_PRESTART && moments[1] == RR_HOOK_CREATE_RUNTIME);
  CHECK(status_of(c) == RR_RUNNING && fcntl(io.out.fd, F_GETFD) == FD_CLOEXEC);
  CHECK(next_number(io.out.fd) > count); /* it goes on, and does not begin again */
  rr_container *twin = NULL;
  EXPECT(RR_E_EXISTS, rr_restore(ctx, after, &options, &r, &twin, &err));
  CHECK(twin == NULL && status_of(c) == RR_RUNNING);
  OK(rr_pause(c, NULL, &err));
  CHECK(status_of(c) == RR_PAUSED);
  OK(rr_resume(c, NULL, &err));
  rr_process *init = NULL;
  OK(rr_init_process(c, &init, &err));
  OK(rr_kill(c, SIGKILL, 0, NULL, &err));
  CHECK(wait_for(init).sig == SIGKILL); /* it is a child of ours */
  rr_process_unref(init);
  OK(rr_delete(c, 0, NULL, &err));
  CHECK(n_moments == 3 && moments[2] == RR_HOOK_POSTSTOP);
  rr_container_unref(c);
  close(io.out.fd);
  close(images);
  close(work);
  snprintf(second, sizeof second, "%s/stdout", folder);
  log_is_named(ctx, bundle, before, first, second);
  rr_context_unref(ctx);
  CHECK(childless());
  puts("ok");
  return 0;
}
