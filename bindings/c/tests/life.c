/* life.c: the claims about a container's life, about errors, waiting and the host. */
#include "claims.h"
#include <pthread.h>
#include <sys/stat.h>

/* ---- what needs no container ---- */

void version_is_the_headers(void) {
  unsigned n = RR_VERSION_NUMBER;
  CHECK(rr_version_number() == n && is(rr_version_string(), text("%u.%u.%u", n >> 24, n >> 16 & 255, n >> 8 & 255)));
}
void features_are_told_by_name(void) { CHECK(rr_has_feature("exec") && !rr_has_feature("flight")); }
void spec_is_a_valid_config(void) {
  for (uint64_t flags = 0; flags <= RR_SPEC_ROOTLESS; flags++) {
    rr_buf spec = {NULL, 0, 0};
    OK(rr_spec_json(flags, &spec, &err));
    OK(rr_config_check(spec.data, spec.len, &err));
    rr_buf_free(&spec);
  }
}
void bad_config_names_the_place(void) {
  const char *bad = "{\"ociVersion\":\"1.0.2\",\"process\":{\"cwd\":7}}";
  rr_error *err = NULL;
  CHECK(rr_config_check(bad, strlen(bad), &err) == RR_E_INVALID_SPEC && has(rr_error_message(err), "process.cwd"));
  rr_error_free(err);
}
void features_document_is_complete(void) {
  rr_buf document = {NULL, 0, 0};
  OK(rr_features_json(&document, &err));
  CHECK(has(document.data, "\"startContainer\"") && has(document.data, "\"rbind\""));
  rr_buf_free(&document);
}

/* ---- errors ---- */

static rr_error *no_bundle(void) {
  rr_create_options options;
  rr_create_options_init(&options, sizeof options);
  options.bundle = text("%s/no-bundle", work);
  rr_container *c = NULL;
  rr_error *err = NULL;
  CHECK(rr_create(ctx, fresh(), &options, &c, &err) == RR_E_INVALID_ARGUMENT && c == NULL);
  return err;
}
void error_has_code_and_message(void) {
  rr_container *c = NULL;
  rr_error *err = NULL;
  CHECK(rr_open(ctx, "nobody", &c, &err) == RR_E_NOT_FOUND && rr_error_code(err) == RR_E_NOT_FOUND);
  CHECK(is(rr_code_name(rr_error_code(err)), "RR_E_NOT_FOUND") && has(rr_error_message(err), "does not exist"));
  rr_error_free(err);
}
void error_has_its_chain(void) {
  rr_error *err = no_bundle();
  const char *joined = rr_error_chain(err, 0);
  CHECK(rr_error_chain_len(err) > 1 && rr_error_chain(err, rr_error_chain_len(err)) == NULL);
  for (size_t i = 1; i < rr_error_chain_len(err); i++)
    joined = text("%s: %s", joined, rr_error_chain(err, i));
  CHECK(is(joined, rr_error_message(err)));
  rr_error_free(err);
}
void error_has_its_errno(void) {
  rr_error *err = no_bundle();
  CHECK(rr_error_errno(err) == ENOENT);
  rr_error_free(err);
}
void error_has_its_details(void) {
  rr_io io = silent();
  rr_create_options options = of("", &io);
  options.config = NULL, options.config_len = 0, options.bundle = work;
  rr_container *c = NULL;
  rr_error *err = NULL;
  CHECK(rr_create(ctx, fresh(), &options, &c, &err) == RR_E_INVALID_SPEC && has(rr_error_detail(err, "path"), work));
  CHECK(rr_error_detail(err, "weather") == NULL);
  rr_error_free(err);
}

/* ---- the life of a container ---- */

void created_running_stopped(void) {
  rr_io io = silent();
  rr_create_options options = of(shell("exit 7"), &io);
  rr_container *c = NULL;
  OK(rr_create(ctx, fresh(), &options, &c, &err));
  CHECK(status_of(c) == RR_CREATED && pid_of(c) > 0);
  rr_process *init = init_of(c);
  OK(rr_start(c, &LONG, &err));
  CHECK(ended_with(init, 7, 0) && status_of(c) == RR_STOPPED);
  OK(rr_delete(c, 0, &LONG, &err));
  rr_state_info info = {.size = sizeof info};
  EXPECT(RR_E_NOT_FOUND, rr_state(c, &info, &err));
  rr_process_unref(init);
  rr_container_unref(c);
}
void run_is_create_and_start(void) {
  rr_container *c = run("sleep 60");
  CHECK(status_of(c) == RR_RUNNING);
  gone(c);
}
void config_without_a_bundle(void) {
  rr_container *c = run("true");
  rr_process *init = init_of(c);
  CHECK(ended_with(init, 0, 0));
  rr_process_unref(init);
  gone(c);
}
void state_document_is_the_command_lines(void) {
  rr_io io = silent();
  const char *id = fresh();
  rr_container *c = run_of(id, shell("sleep 60"), &io);
  const char *document = JSON(rr_state_json(c, &buf, &err));
  CHECK(has(document, text("\"id\": \"%s\"", id)) && has(document, "\"status\": \"running\""));
  CHECK(has(document, text("\"pid\": %d", (int)pid_of(c))) && has(document, "\"bundle\""));
  gone(c);
}
void list_names_the_containers(void) {
  rr_io io = silent();
  const char *one = fresh(), *two = fresh();
  rr_container *first = run_of(one, shell("sleep 60"), &io), *second = run_of(two, shell("sleep 60"), &io);
  const char *list = JSON(rr_list_json(ctx, &buf, &err));
  CHECK(has(list, text("\"%s\"", one)) && has(list, text("\"%s\"", two)));
  gone(first);
  gone(second);
}
void open_finds_what_another_made(void) {
  rr_io io = silent();
  const char *id = fresh();
  rr_container *c = run_of(id, shell("sleep 60"), &io), *found = NULL;
  rr_context *other = context(text("%s/state", work));
  OK(rr_open(other, id, &found, &err));
  CHECK(pid_of(found) == pid_of(c));
  rr_container_unref(found);
  rr_context_unref(other);
  gone(c);
}
void existing_id_is_refused(void) {
  rr_io io = silent();
  const char *id = fresh();
  rr_container *c = run_of(id, shell("sleep 60"), &io), *second = NULL;
  rr_create_options options = of(shell("true"), &io);
  EXPECT(RR_E_EXISTS, rr_create(ctx, id, &options, &second, &err));
  CHECK(second == NULL);
  gone(c);
}
void invalid_id_is_refused(void) {
  rr_io io = silent();
  rr_create_options options = of(shell("true"), &io);
  rr_container *c = NULL;
  EXPECT(RR_E_INVALID_ID, rr_create(ctx, "a/b", &options, &c, &err));
}
void missing_container_is_not_found(void) {
  rr_container *c = NULL;
  EXPECT(RR_E_NOT_FOUND, rr_open(ctx, "nobody", &c, &err));
}
void missing_program_is_named(void) {
  rr_io io = silent();
  rr_create_options options = of(config("[\"/bin/nothing\"]", "", ""), &io);
  rr_container *c = NULL;
  rr_error *err = NULL;
  CHECK(rr_run(ctx, fresh(), &options, &c, &err) == RR_E_EXEC_NOT_FOUND && has(rr_error_message(err), "/bin/nothing"));
  rr_error_free(err);
}
void second_start_is_refused(void) {
  rr_container *c = run("sleep 60");
  EXPECT(RR_E_RUNNING, rr_start(c, &LONG, &err));
  gone(c);
}
void running_container_is_not_deleted(void) {
  rr_container *c = run("sleep 60");
  EXPECT(RR_E_RUNNING, rr_delete(c, 0, &LONG, &err));
  CHECK(status_of(c) == RR_RUNNING);
  gone(c);
}
void forced_delete_leaves_nothing(void) {
  rr_io io = silent();
  const char *id = fresh();
  rr_container *c = run_of(id, shell("sleep 60"), &io);
  rr_process *init = init_of(c);
  OK(rr_delete(c, RR_DELETE_FORCE, &LONG, &err));
  CHECK(ended_with(init, 0, SIGKILL));
  CHECK(!has(JSON(rr_list_json(ctx, &buf, &err)), text("\"%s\"", id)));
  rr_process_unref(init);
  gone(c);
}
void kill_ends_by_the_signal(void) {
  rr_container *c = run("sleep 60");
  rr_process *init = init_of(c);
  OK(rr_kill(c, SIGKILL, 0, &LONG, &err));
  CHECK(ended_with(init, 0, SIGKILL));
  rr_process_unref(init);
  gone(c);
}

/* ---- waiting ---- */

/* Each has the handle for itself. */
static void *waits(void *init) {
  int code = wait_for(init).code;
  rr_process_unref(init);
  return (void *)(intptr_t)code;
}
void many_may_wait(void) {
  rr_container *c = run("sleep 1; exit 9");
  rr_process *init = init_of(c);
  pthread_t threads[8];
  for (int i = 0; i < 8; i++)
    CHECK(pthread_create(&threads[i], NULL, waits, rr_process_ref(init)) == 0);
  rr_process_unref(init);
  for (int i = 0; i < 8; i++) {
    void *code = NULL;
    CHECK(pthread_join(threads[i], &code) == 0 && (intptr_t)code == 9);
  }
  gone(c);
}
void wait_has_a_deadline(void) {
  rr_container *c = run("sleep 60");
  rr_process *init = init_of(c);
  rr_call soon = {sizeof soon, 50, 0};
  rr_exit end = {.size = sizeof end};
  EXPECT(RR_E_TIMEOUT, rr_process_wait(init, &soon, &end, &err));
  rr_process_unref(init);
  gone(c);
}
static void *cancels(void *fd) { return (void *)(intptr_t)write(*(int *)fd, "x", 1); }
void wait_is_cancelled(void) {
  rr_container *c = run("sleep 60");
  rr_process *init = init_of(c);
  int ends[2];
  pthread_t thread;
  CHECK(pipe(ends) == 0 && pthread_create(&thread, NULL, cancels, &ends[1]) == 0);
  rr_call call = {sizeof call, 0, ends[0] + 1};
  rr_exit end = {.size = sizeof end};
  EXPECT(RR_E_CANCELLED, rr_process_wait(init, &call, &end, &err));
  CHECK(pthread_join(thread, NULL) == 0);
  rr_process_unref(init);
  gone(c);
}
void cancelled_create_leaves_nothing(void) {
  int ends[2];
  CHECK(pipe(ends) == 0 && write(ends[1], "x", 1) == 1);
  rr_call call = {sizeof call, 0, ends[0] + 1};
  rr_io io = silent();
  rr_create_options options = of(shell("true"), &io);
  options.call = &call;
  const char *id = fresh();
  rr_container *c = NULL;
  EXPECT(RR_E_CANCELLED, rr_create(ctx, id, &options, &c, &err));
  EXPECT(RR_E_NOT_FOUND, rr_open(ctx, id, &c, &err));
}

/* ---- the host ---- */

static void keep(void *kept, int level, const char *line, size_t len, const char *fields) {
  (void)level, (void)fields;
  if (len < 4096 && has(line, "CAP_OF_NOBODY"))
    strcpy(kept, line);
}
void log_lines_arrive(void) {
  char kept[4096] = "";
  rr_context_options how;
  rr_context_options_init(&how, sizeof how);
  how.root = text("%s/state", work);
  how.log = keep;
  how.log_data = kept;
  how.log_level = RR_LOG_WARN;
  rr_context *loud = NULL;
  OK(rr_context_new(&how, &loud, &err));
  rr_io io = silent();
  const char *bounding = ",\"capabilities\":{\"bounding\":[\"CAP_OF_NOBODY\"]}";
  rr_create_options options = of(config("[\"/bin/true\"]", bounding, ""), &io);
  rr_container *c = NULL;
  OK(rr_run(loud, fresh(), &options, &c, &err));
  CHECK(has(kept, "CAP_OF_NOBODY"));
  gone(c);
  rr_context_unref(loud);
}
void handles_outlive_their_context(void) {
  rr_context *own = context(text("%s/state", work));
  rr_io io = silent();
  rr_create_options options = of(shell("sleep 60"), &io);
  rr_container *c = NULL;
  OK(rr_run(own, fresh(), &options, &c, &err));
  rr_process *init = init_of(c);
  rr_container *second = rr_container_ref(c);
  rr_context_unref(rr_context_ref(own));
  rr_context_unref(own);
  gone(c);
  rr_state_info info = {.size = sizeof info};
  EXPECT(RR_E_NOT_FOUND, rr_state(second, &info, &err));
  rr_container_unref(second);
  CHECK(ended_with(init, 0, SIGKILL));
  rr_process_unref(init);
}
void forked_child_is_refused(void) {
  rr_container *c = run("sleep 60");
  pid_t child = fork();
  if (child == 0) {
    rr_state_info info = {.size = sizeof info};
    _exit(rr_state(c, &info, NULL) == RR_E_FORKED ? 0 : 1);
  }
  int status = -1;
  CHECK(waitpid(child, &status, 0) == child && status == 0);
  gone(c);
}
/* Dispositions, umask, threads, capabilities, descriptors, working directory. */
static const char *host(void) {
  static const char *const keys[] = {"SigBlk", "SigIgn", "SigCgt", "Umask", "Threads", "Cap", "NoNew"};
  char kept[4096] = "", line[256];
  FILE *status = fopen("/proc/self/status", "re");
  CHECK(status != NULL);
  while (fgets(line, sizeof line, status) != NULL)
    for (size_t i = 0; i < sizeof keys / sizeof *keys; i++)
      if (strncmp(line, keys[i], strlen(keys[i])) == 0)
        strcat(kept, line);
  fclose(status);
  char here[1024];
  CHECK(getcwd(here, sizeof here) != NULL);
  strcat(kept, here);
  size_t len = strlen(kept);
  for (int fd = 0; fd < 1024; fd++)
    kept[len++] = fcntl(fd, F_GETFD) >= 0 ? '+' : '-';
  kept[len] = 0;
  return text("%s", kept);
}
void host_is_untouched(void) {
  gone(run("true"));
  char before[4096];
  strcpy(before, host());
  for (int i = 0; i < 20; i++)
    gone(run("true"));
  CHECK(is(host(), before));
}
