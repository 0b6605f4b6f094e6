/* sizes.c: how structs grow. A shorter one reads as zeros, a longer one needs a zero tail, unknown bits and kinds are
 * refused, a size that nobody set too, and results are cut to their size. `sizes ROOT BUNDLE` */
#include "check.h"

static void options_of_every_length(void) {
  union {
    rr_context_options known;
    unsigned char bytes[2 * sizeof(rr_context_options)];
  } o;
  rr_context *ctx = NULL;

  rr_context_options_init(&o.known, sizeof o);
  CHECK(o.known.size == sizeof o);
  OK(rr_context_new(&o.known, &ctx, &err));
  rr_context_unref(ctx);
  o.bytes[sizeof o - 1] = 1; /* a field of tomorrow */
  EXPECT(RR_E_UNSUPPORTED, rr_context_new(&o.known, &ctx, &err));

  /* Yesterday's header: what comes behind its end is not looked at. */
  memset(&o, 0xff, sizeof o);
  rr_context_options_init(&o.known, offsetof(rr_context_options, flags));
  CHECK(o.known.flags == UINT64_MAX);
  OK(rr_context_new(&o.known, &ctx, &err));
  rr_context_unref(ctx);

  const size_t nonsense[] = {0, 1, sizeof(size_t) - 1, (size_t)1 << 20, SIZE_MAX};
  for (size_t i = 0; i < sizeof nonsense / sizeof *nonsense; i++) {
    memset(&o, 0, sizeof o);
    o.known.size = nonsense[i];
    EXPECT(RR_E_INVALID_ARGUMENT, rr_context_new(&o.known, &ctx, &err));
  }
  unsigned char small[4] = {7, 7, 7, 7}; /* too small to hold its size: left alone */
  rr_context_options_init((rr_context_options *)(void *)small, sizeof small);
  CHECK(small[0] == 7 && small[3] == 7);
}

static void bits(rr_context *ctx) {
  rr_context_options o;
  rr_context_options_init(&o, sizeof o);
  rr_context *out = NULL;
  o.flags = UINT64_C(1) << 63;
  EXPECT(RR_E_UNSUPPORTED, rr_context_new(&o, &out, &err));
  o.flags = RR_CTX_ROOTLESS | RR_CTX_ROOTFUL;
  EXPECT(RR_E_INVALID_ARGUMENT, rr_context_new(&o, &out, &err));
  o.flags = 0, o.reserved0 = 1;
  EXPECT(RR_E_UNSUPPORTED, rr_context_new(&o, &out, &err));
  o.reserved0 = 0, o.log_level = 5;
  EXPECT(RR_E_INVALID_ARGUMENT, rr_context_new(&o, &out, &err));
  CHECK(out == NULL);

  rr_create_options create;
  rr_create_options_init(&create, sizeof create);
  rr_container *c = NULL;
  create.bundle = "/";
  create.flags = 1u << 20; /* not given out yet */
  EXPECT(RR_E_UNSUPPORTED, rr_create(ctx, "bits", &create, &c, &err));
  rr_buf buf = {NULL, 0, 0};
  EXPECT(RR_E_UNSUPPORTED, rr_spec_json(2, &buf, &err));
  CHECK(buf.data == NULL);
}

static void streams(rr_context *ctx) {
  rr_io io;
  rr_create_options create;
  rr_create_options_init(&create, sizeof create);
  rr_container *c = NULL;
  create.bundle = "/";
  create.io = &io;
  quiet(&io);
  io.out.kind = 4;
  EXPECT(RR_E_UNSUPPORTED, rr_create(ctx, "streams", &create, &c, &err));
  quiet(&io);
  io.reserved0 = 1;
  EXPECT(RR_E_UNSUPPORTED, rr_create(ctx, "streams", &create, &c, &err));
  quiet(&io);
  io.in.kind = RR_STDIO_FD, io.in.fd = -1;
  EXPECT(RR_E_INVALID_ARGUMENT, rr_create(ctx, "streams", &create, &c, &err));
  io.in.fd = 1000; /* not open */
  EXPECT(RR_E_INVALID_ARGUMENT, rr_create(ctx, "streams", &create, &c, &err));
  rr_fd_map map = {1000, 3};
  quiet(&io);
  io.fds = &map, io.n_fds = 1;
  EXPECT(RR_E_INVALID_ARGUMENT, rr_create(ctx, "streams", &create, &c, &err));
  map.host_fd = 0, map.container_fd = 2;
  EXPECT(RR_E_INVALID_ARGUMENT, rr_create(ctx, "streams", &create, &c, &err));
  io.fds = NULL;
  EXPECT(RR_E_INVALID_ARGUMENT, rr_create(ctx, "streams", &create, &c, &err));
  rr_call call = {sizeof call, -1, 0};
  create.io = NULL, create.call = &call;
  EXPECT(RR_E_INVALID_ARGUMENT, rr_create(ctx, "streams", &create, &c, &err));
  call.timeout_ms = 0, call.cancel_fd_plus1 = 1001;
  EXPECT(RR_E_INVALID_ARGUMENT, rr_create(ctx, "streams", &create, &c, &err));
  call.cancel_fd_plus1 = INT32_MIN;
  EXPECT(RR_E_INVALID_ARGUMENT, rr_create(ctx, "streams", &create, &c, &err));
  CHECK(c == NULL);
}

/* The four words of a result, one more than it has, or fewer. */
static void results(rr_context *ctx, const char *bundle) {
  rr_io io;
  quiet(&io);
  char id[32];
  snprintf(id, sizeof id, "rr-abi-sizes-%d", (int)getpid());
  rr_container *c = create(ctx, bundle, id, &io);
  union {
    rr_state_info known;
    unsigned char bytes[sizeof(rr_state_info) + 16];
  } s;
  memset(&s, 0xff, sizeof s);
  s.known.size = sizeof s;
  OK(rr_state(c, &s.known, &err));
  CHECK(s.known.size == sizeof s && s.known.status == RR_CREATED && s.known.pid > 0);
  CHECK(s.bytes[sizeof(rr_state_info)] == 0 && s.bytes[sizeof s - 1] == 0);
  memset(&s, 0xff, sizeof s);
  s.known.size = offsetof(rr_state_info, start_time);
  OK(rr_state(c, &s.known, &err));
  CHECK(s.known.status == RR_CREATED && s.known.start_time == UINT64_MAX && s.known.created_ns == -1);
  s.known.size = 0;
  EXPECT(RR_E_INVALID_ARGUMENT, rr_state(c, &s.known, &err));

  size_t n = 99;
  pid_t pids[2] = {-5, -5};
  OK(rr_pids(c, NULL, 0, &n, &err));
  CHECK(n == 1);
  EXPECT(RR_E_INVALID_ARGUMENT, rr_pids(c, NULL, 1, &n, &err));
  OK(rr_pids(c, pids, 2, &n, &err));
  CHECK(n == 1 && pids[0] > 0 && pids[1] == -5);

  EXPECT(RR_E_UNSUPPORTED, rr_kill(c, SIGKILL, 2, NULL, &err));
  EXPECT(RR_E_INVALID_ARGUMENT, rr_kill(c, 4711, 0, NULL, &err));
  const char *limits = "{\"pids\": {\"limit\": 50}}";
  rr_update_options update;
  rr_update_options_init(&update, sizeof update);
  OK(rr_update(c, limits, strlen(limits), &update, &err));
  OK(rr_update(c, NULL, 0, NULL, &err));
  EXPECT(RR_E_INVALID_SPEC, rr_update(c, limits, 5, NULL, &err));
  EXPECT(RR_E_INVALID_ARGUMENT, rr_update(c, NULL, 5, NULL, &err));
  update.flags = 1;
  EXPECT(RR_E_UNSUPPORTED, rr_update(c, limits, strlen(limits), &update, &err));
  EXPECT(RR_E_UNSUPPORTED, rr_delete(c, 1u << 5, NULL, &err));
  OK(rr_delete(c, 0, NULL, &err)); /* one that was never started needs no force */
  rr_container_unref(c);
}

int main(int argc, char **argv) {
  CHECK(argc == 2 || argc == 3);
  rr_context *ctx = context(argv[1]);
  options_of_every_length();
  bits(ctx);
  streams(ctx);
  if (argc == 3) /* needs root */
    results(ctx, argv[2]);
  rr_context_unref(ctx);
  CHECK(childless());
  puts("ok");
  return 0;
}
