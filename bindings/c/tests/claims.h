/* claims.h: what the claims of C share beside tests/abi/check.h: a container is made of a config, which is made here. */
#ifndef CLAIMS_H
#define CLAIMS_H
#include "check.h"
#include <poll.h>
#include <stdarg.h>

extern char work[256];
extern rr_context *ctx;

static const rr_call LONG = {sizeof LONG, 60 * 1000, 0};

/* A text of this process's; the oldest of many is used again. */
__attribute__((format(printf, 1, 2))) static inline const char *text(const char *format, ...) {
  static char texts[64][4096];
  static unsigned next;
  char *made = texts[next++ % 64];
  va_list args;
  va_start(args, format);
  int n = vsnprintf(made, sizeof texts[0], format, args);
  va_end(args);
  CHECK(n >= 0 && (size_t)n < sizeof texts[0]);
  return made;
}

static inline const char *fresh(void) {
  static int count;
  return text("c-%d-%d", (int)getpid(), count++);
}

/* A config whose process has `args` (JSON) and `more`, and whose linux object begins with `resources`. */
static inline const char *config(const char *args, const char *more, const char *resources) {
  return text("{\"ociVersion\":\"1.0.2\",\"root\":{\"path\":\"%s\",\"readonly\":true},\"process\":" AS_ROOT
              "\"env\":[\"PATH=/bin\"],\"args\":%s%s},\"mounts\":["
              "{\"destination\":\"/proc\",\"type\":\"proc\",\"source\":\"proc\"},"
              "{\"destination\":\"/dev\",\"type\":\"tmpfs\",\"source\":\"tmpfs\",\"options\":[\"mode=755\"]},"
              "{\"destination\":\"/dev/pts\",\"type\":\"devpts\",\"source\":\"devpts\","
              "\"options\":[\"newinstance\",\"ptmxmode=0666\"]}],\"linux\":{%s\"namespaces\":[{\"type\":\"pid\"},"
              "{\"type\":\"network\"},{\"type\":\"ipc\"},{\"type\":\"uts\"},{\"type\":\"mount\"}]}}",
              getenv("ROOTFS"), args, more, resources);
}
static inline const char *shell(const char *script) {
  return config(text("[\"/bin/sh\",\"-c\",\"%s\"]", script), "", "");
}

/* Options for a config, quiet but for what the caller changes in `io`. */
static inline rr_create_options of(const char *config, rr_io *io) {
  rr_create_options options;
  rr_create_options_init(&options, sizeof options);
  options.config = config;
  options.config_len = strlen(config);
  options.io = io;
  options.call = &LONG;
  return options;
}
static inline rr_io silent(void) {
  rr_io io;
  quiet(&io);
  return io;
}

static inline rr_container *run_of(const char *id, const char *config, rr_io *io) {
  rr_create_options options = of(config, io);
  rr_container *c = NULL;
  OK(rr_run(ctx, id, &options, &c, &err));
  return c;
}
static inline rr_container *run(const char *script) {
  rr_io io = silent();
  return run_of(fresh(), shell(script), &io);
}
static inline void gone(rr_container *c) {
  OK(rr_delete(c, RR_DELETE_FORCE, &LONG, &err));
  rr_container_unref(c);
}
static inline rr_process *init_of(rr_container *c) {
  rr_process *p = NULL;
  OK(rr_init_process(c, &p, &err));
  return p;
}
static inline pid_t pid_of(rr_container *c) {
  rr_state_info info = {.size = sizeof info};
  OK(rr_state(c, &info, &err));
  return info.pid;
}

/* A process in `c`: it has ended with `code`. */
static inline rr_code execute(rr_container *c, const char *script, rr_io *io, rr_process **p) {
  const char *process = text(AS_ROOT "\"env\":[\"PATH=/bin\"],\"args\":[\"/bin/sh\",\"-c\",\"%s\"]}", script);
  rr_exec_options options;
  rr_exec_options_init(&options, sizeof options);
  options.process = process;
  options.process_len = strlen(process);
  options.io = io;
  options.call = &LONG;
  return rr_exec(c, &options, p, NULL);
}
static inline int exec_code(rr_container *c, const char *script) {
  rr_io io = silent();
  rr_process *p = NULL;
  CHECK(execute(c, script, &io, &p) == RR_OK);
  int code = wait_for(p).code;
  rr_process_unref(p);
  return code;
}

/* Everything until the end of a descriptor, which is closed. */
static inline const char *all_of(int fd) {
  char read_[4096];
  size_t len = 0;
  for (ssize_t n; (n = read(fd, read_ + len, sizeof read_ - 1 - len)) > 0;)
    len += (size_t)n;
  read_[len] = 0;
  close(fd);
  return text("%s", read_);
}
static inline const char *file(const char *path) { return all_of(open(path, O_RDONLY | O_CLOEXEC)); }
static inline bool readable(int fd, int ms) {
  struct pollfd entry = {fd, POLLIN, 0};
  return poll(&entry, 1, ms) == 1;
}
static inline bool is(const char *a, const char *b) { return strcmp(a, b) == 0; }
static inline bool has(const char *text, const char *part) { return strstr(text, part) != NULL; }

/* What a call that fills an rr_buf gives. */
#define JSON(call)                                                                                                     \
  ({                                                                                                                   \
    rr_buf buf = {NULL, 0, 0};                                                                                         \
    OK(call);                                                                                                          \
    const char *kept = text("%s", buf.data);                                                                           \
    rr_buf_free(&buf);                                                                                                 \
    kept;                                                                                                              \
  })

/* Whether `claim` holds within a minute. */
#define EVENTUALLY(claim)                                                                                              \
  do {                                                                                                                 \
    for (int i = 0; i < 6000 && !(claim); i++)                                                                         \
      usleep(10000);                                                                                                   \
    CHECK(claim);                                                                                                      \
  } while (0)

/* Each claim is a function of its name, in life.c or in more.c. */
#define CLAIMS_OF_LIFE(X)                                                                                              \
  X(version_is_the_headers) X(features_are_told_by_name) X(spec_is_a_valid_config) X(bad_config_names_the_place)       \
  X(features_document_is_complete) X(error_has_code_and_message) X(error_has_its_chain) X(error_has_its_errno)         \
  X(error_has_its_details) X(created_running_stopped) X(run_is_create_and_start) X(config_without_a_bundle)            \
  X(state_document_is_the_command_lines) X(list_names_the_containers) X(open_finds_what_another_made)                  \
  X(existing_id_is_refused) X(invalid_id_is_refused) X(missing_container_is_not_found) X(missing_program_is_named)     \
  X(second_start_is_refused) X(running_container_is_not_deleted) X(forced_delete_leaves_nothing)                       \
  X(kill_ends_by_the_signal) X(many_may_wait) X(wait_has_a_deadline) X(wait_is_cancelled)                              \
  X(cancelled_create_leaves_nothing) X(log_lines_arrive) X(handles_outlive_their_context) X(forked_child_is_refused)   \
  X(host_is_untouched)
#define CLAIMS_OF_MORE(X)                                                                                              \
  X(output_comes_through_a_pipe) X(input_goes_through_a_pipe) X(output_goes_to_a_descriptor)                           \
  X(null_streams_are_empty) X(extra_descriptor_arrives) X(terminal_has_its_size) X(exec_has_its_own_exit)              \
  X(exec_reads_its_input) X(executed_process_is_signalled) X(exec_into_a_stopped_container_is_refused)                 \
  X(members_are_listed) X(pid_file_holds_the_pid) X(pidfd_is_readable_at_the_end) X(namespace_is_opened)               \
  X(cgroup_is_opened) X(seccomp_listener_is_taken) X(readiness_is_heard) X(pause_freezes_and_resume_thaws)             \
  X(checkpointed_container_goes_on) X(migrated_container_goes_on) X(migration_to_nobody_leaves_it_running)             \
  X(update_changes_a_limit) X(stats_count_what_runs) X(stats_document_is_the_command_lines) X(events_end_with_exit)    \
  X(events_tell_out_of_memory_before_exit) X(events_of_many_in_one_loop)

#define DECLARED(name) void name(void);
CLAIMS_OF_LIFE(DECLARED)
CLAIMS_OF_MORE(DECLARED)
#endif
