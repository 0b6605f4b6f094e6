/* logged.c: the log callback is called on the calling thread, during the call, with what was given to it, and only for
 * levels that were asked for. `logged ROOT` */
#include "check.h"
#include <pthread.h>
#include <sys/stat.h>

struct log {
  pthread_t thread;
  int lines, level;
  char last[512];
};

static void keep(void *data, int level, const char *msg, size_t len, const char *fields_json) {
  struct log *log = data;
  CHECK(pthread_equal(log->thread, pthread_self()));
  CHECK(strlen(msg) == len && memchr(msg, '\n', len) == NULL);
  CHECK(fields_json == NULL || fields_json[0] == '{');
  log->lines++;
  log->level = level;
  snprintf(log->last, sizeof log->last, "%s", msg);
}

/* Lists a state root that holds one container whose state is not readable. */
static struct log listed(const char *root, int level) {
  struct log log = {.thread = pthread_self()};
  rr_context_options options;
  rr_context_options_init(&options, sizeof options);
  options.root = root;
  options.log = keep, options.log_data = &log, options.log_level = level;
  rr_context *ctx = NULL;
  OK(rr_context_new(&options, &ctx, &err));
  rr_buf list = {NULL, 0, 0};
  OK(rr_list_json(ctx, &list, &err));
  CHECK(strcmp(list.data, "null") == 0);
  rr_buf_free(&list);
  CHECK(list.data == NULL && list.len == 0);
  rr_context_unref(ctx);
  return log;
}

int main(int argc, char **argv) {
  CHECK(argc == 2);
  char folder[512], file[1024];
  snprintf(folder, sizeof folder, "%s/broken", argv[1]);
  snprintf(file, sizeof file, "%s/state.json", folder);
  CHECK(mkdir(argv[1], 0700) == 0 && mkdir(folder, 0700) == 0);
  FILE *state = fopen(file, "w");
  CHECK(state != NULL && fputs("{ not json", state) >= 0 && fclose(state) == 0);

  struct log log = listed(argv[1], RR_LOG_DEBUG);
  CHECK(log.lines >= 1 && log.level == RR_LOG_WARN && strncmp(log.last, "list broken: ", 13) == 0);
  CHECK(listed(argv[1], 0).lines == 1); /* by default, warnings are told */
  CHECK(listed(argv[1], RR_LOG_ERROR).lines == 0);

  CHECK(unlink(file) == 0 && rmdir(folder) == 0);
  puts("ok");
  return 0;
}
