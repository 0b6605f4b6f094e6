/* nulls.c: every function takes NULL for every pointer: an error code where something is needed, nothing where not, and
 * no out-parameter is touched. `nulls ROOT` */
#include "check.h"

#define BAD RR_E_INVALID_ARGUMENT

static void without_error(rr_context *ctx) {
  rr_container *c = NULL;
  CHECK(rr_context_new(NULL, NULL, NULL) == BAD);
  CHECK(rr_create(NULL, NULL, NULL, NULL, NULL) == BAD);
  CHECK(rr_run(NULL, NULL, NULL, NULL, NULL) == BAD);
  CHECK(rr_open(NULL, NULL, NULL, NULL) == BAD);
  CHECK(rr_open(ctx, "none-such", &c, NULL) == RR_E_NOT_FOUND && c == NULL);
  CHECK(rr_start(NULL, NULL, NULL) == BAD);
  CHECK(rr_kill(NULL, SIGKILL, 0, NULL, NULL) == BAD);
  CHECK(rr_pause(NULL, NULL, NULL) == BAD);
  rr_stats_options_init(NULL, sizeof(rr_stats_options));
  CHECK(rr_stats(NULL, NULL, NULL, NULL) == BAD);
  CHECK(rr_stats_json(NULL, NULL, NULL) == BAD);
  rr_events_options_init(NULL, sizeof(rr_events_options));
  CHECK(rr_events(NULL, NULL, NULL, NULL) == BAD);
  CHECK(rr_event_stream_fd(NULL) == -1);
  CHECK(rr_event_stream_next(NULL, NULL, NULL, NULL) == BAD);
  rr_event_stream_close(NULL);
  CHECK(rr_resume(NULL, NULL, NULL) == BAD);
  CHECK(rr_delete(NULL, 0, NULL, NULL) == BAD);
  CHECK(rr_exec(NULL, NULL, NULL, NULL) == BAD);
  CHECK(rr_update(NULL, NULL, 0, NULL, NULL) == BAD);
  CHECK(rr_checkpoint(NULL, NULL, NULL) == BAD);
  CHECK(rr_restore(NULL, NULL, NULL, NULL, NULL, NULL) == BAD);
  CHECK(rr_migrate(NULL, -1, NULL, NULL, NULL) == BAD);
  CHECK(rr_receive(NULL, -1, NULL, NULL, NULL, NULL, NULL) == BAD);
  CHECK(rr_init_process(NULL, NULL, NULL) == BAD);
  CHECK(rr_state(NULL, NULL, NULL) == BAD);
  CHECK(rr_state_json(NULL, NULL, NULL) == BAD);
  CHECK(rr_list_json(NULL, NULL, NULL) == BAD);
  CHECK(rr_pids(NULL, NULL, 0, NULL, NULL) == BAD);
  CHECK(rr_open_ns(NULL, RR_NS_NET, NULL, NULL) == BAD);
  CHECK(rr_open_cgroup(NULL, NULL, NULL) == BAD);
  CHECK(rr_open_notify(NULL, NULL, NULL) == BAD);
  CHECK(rr_take_seccomp_fd(NULL, NULL, NULL) == BAD);
  CHECK(rr_spec_json(0, NULL, NULL) == BAD);
  CHECK(rr_features_json(NULL, NULL) == BAD);
  CHECK(rr_config_check(NULL, 0, NULL) == BAD);
  CHECK(rr_process_wait(NULL, NULL, NULL, NULL) == BAD);
  CHECK(rr_process_signal(NULL, SIGKILL, NULL) == BAD);
  CHECK(rr_process_resize(NULL, 24, 80, NULL) == BAD);
}

static void with_error(rr_context *ctx) {
  rr_create_options options;
  rr_create_options_init(&options, sizeof options);
  rr_exec_options more;
  rr_exec_options_init(&more, sizeof more);
  rr_container *const untouched = (rr_container *)&options;
  rr_container *c = untouched;
  rr_process *p = (rr_process *)&options;
  rr_buf buf = {(char *)&options, 7, 9};
  size_t n = 7;
  EXPECT(BAD, rr_context_new(NULL, NULL, &err));
  EXPECT(BAD, rr_create(NULL, "id", &options, &c, &err));
  EXPECT(BAD, rr_create(ctx, NULL, &options, &c, &err));
  EXPECT(BAD, rr_create(ctx, "id", NULL, &c, &err)); /* neither bundle nor config */
  EXPECT(BAD, rr_create(ctx, "id", &options, &c, &err));
  EXPECT(BAD, rr_create(ctx, "id", &options, NULL, &err));
  EXPECT(BAD, rr_run(NULL, "id", &options, &c, &err));
  EXPECT(BAD, rr_run(ctx, "id", NULL, &c, &err));
  options.config_len = 9; /* nine bytes at NULL */
  EXPECT(BAD, rr_run(ctx, "id", &options, &c, &err));
  options.config_len = 0, options.bundle = "/";
  EXPECT(BAD, rr_restore(NULL, "id", &options, NULL, &c, &err));
  EXPECT(BAD, rr_restore(ctx, NULL, &options, NULL, &c, &err));
  EXPECT(BAD, rr_restore(ctx, "id", NULL, NULL, &c, &err));
  EXPECT(BAD, rr_restore(ctx, "id", &options, NULL, NULL, &err));
  EXPECT(BAD, rr_restore(ctx, "id", &options, NULL, &c, &err)); /* no images */
  EXPECT(BAD, rr_checkpoint(NULL, NULL, &err));
  EXPECT(BAD, rr_migrate(NULL, 0, NULL, NULL, &err));
  EXPECT(BAD, rr_receive(NULL, 0, "id", NULL, NULL, &c, &err));
  EXPECT(BAD, rr_receive(ctx, 0, "id", NULL, NULL, NULL, &err));
  EXPECT(BAD, rr_receive(ctx, -1, NULL, NULL, NULL, &c, &err)); /* nowhere from */
  EXPECT(BAD, rr_open(NULL, "id", &c, &err));
  EXPECT(BAD, rr_open(ctx, NULL, &c, &err));
  EXPECT(BAD, rr_open(ctx, "id", NULL, &err));
  EXPECT(BAD, rr_exec(NULL, &more, &p, &err));
  EXPECT(BAD, rr_init_process(NULL, &p, &err));
  EXPECT(BAD, rr_state_json(NULL, &buf, &err));
  EXPECT(BAD, rr_list_json(NULL, &buf, &err));
  EXPECT(BAD, rr_list_json(ctx, NULL, &err));
  EXPECT(BAD, rr_pids(NULL, NULL, 0, &n, &err));
  EXPECT(BAD, rr_spec_json(0, NULL, &err));
  EXPECT(BAD, rr_features_json(NULL, &err));
  EXPECT(BAD, rr_config_check(NULL, 5, &err));
  CHECK(c == untouched && p == (rr_process *)&options && n == 7);
  CHECK(buf.data == (char *)&options && buf.len == 7 && buf.reserved == 9);
}

static void what_gives_and_frees(void) {
  rr_context_options_init(NULL, 64);
  rr_create_options_init(NULL, 64);
  rr_exec_options_init(NULL, 64);
  rr_update_options_init(NULL, 64);
  rr_checkpoint_options_init(NULL, 64);
  rr_restore_options_init(NULL, 64);
  rr_migrate_options_init(NULL, 64);
  rr_receive_options_init(NULL, 64);
  rr_io_init(NULL, 64);
  rr_error_free(NULL);
  rr_buf_free(NULL);
  rr_context_unref(NULL);
  rr_container_unref(NULL);
  rr_process_unref(NULL);
  CHECK(rr_context_ref(NULL) == NULL && rr_container_ref(NULL) == NULL && rr_process_ref(NULL) == NULL);
  CHECK(rr_error_code(NULL) == RR_OK && rr_error_errno(NULL) == 0 && rr_error_chain_len(NULL) == 0);
  CHECK(strcmp(rr_error_message(NULL), "") == 0);
  CHECK(rr_error_chain(NULL, 0) == NULL && rr_error_detail(NULL, "path") == NULL && rr_error_detail(NULL, NULL) == NULL);
  CHECK(!rr_has_feature(NULL) && !rr_has_feature("none-such") && rr_has_feature("init-memfd"));
  CHECK(rr_process_pid(NULL) == -1 && rr_process_pidfd(NULL) == -1 && rr_process_console_fd(NULL) == -1);
  CHECK(rr_version_number() == RR_VERSION_NUMBER && strlen(rr_version_string()) >= 5);
  CHECK(strcmp(rr_code_name(RR_E_NOT_RUNNING), "RR_E_NOT_RUNNING") == 0 && strcmp(rr_code_name(12345), "RR_E_?") == 0);
}

int main(int argc, char **argv) {
  CHECK(argc == 2);
  rr_context *ctx = context(argv[1]);
  what_gives_and_frees();
  without_error(ctx);
  with_error(ctx);
  rr_error *err = NULL;
  CHECK(rr_open(ctx, "none-such", NULL, &err) == BAD);
  CHECK(rr_error_detail(err, NULL) == NULL && rr_error_chain(err, 1000) == NULL);
  rr_error_free(err);
  rr_context *again = rr_context_ref(ctx);
  CHECK(again == ctx);
  rr_context_unref(again);
  rr_context_unref(ctx);
  CHECK(childless());
  puts("ok");
  return 0;
}
