/* refused.c: one create (and start, if that went well), for the bad inputs of tests/abi.rs. Prints the code's name on
 * the first line and the message on the second. Afterwards this process must have neither children nor more descriptors
 * than before.
 * `refused ROOT BUNDLE ID [PID_FILE]` */
#include "check.h"
#include <dirent.h>

static int descriptors(void) {
  int n = 0;
  DIR *dir = opendir("/proc/self/fd");
  CHECK(dir != NULL);
  while (readdir(dir) != NULL)
    n++;
  closedir(dir);
  return n;
}

int main(int argc, char **argv) {
  CHECK(argc == 4 || argc == 5);
  alarm(60);
  int before = descriptors();
  rr_error *err = NULL;
  rr_context_options setup;
  rr_context_options_init(&setup, sizeof setup);
  setup.root = argv[1];
  rr_context *ctx = NULL;
  rr_code code = rr_context_new(&setup, &ctx, &err);
  if (code == RR_OK) {
    rr_io io;
    quiet(&io);
    io.out.kind = RR_STDIO_PIPE, io.out.fd = -7;
    rr_create_options options;
    rr_create_options_init(&options, sizeof options);
    options.bundle = argv[2], options.io = &io;
    options.pid_file = argc == 5 ? argv[4] : NULL;
    rr_container *c = NULL;
    code = rr_create(ctx, argv[3], &options, &c, &err);
    CHECK((code == RR_OK) == (c != NULL) && (code == RR_OK) == (io.out.fd >= 0));
    if (code == RR_OK) {
      code = rr_start(c, NULL, &err);
      close(io.out.fd);
      OK(rr_delete(c, RR_DELETE_FORCE, NULL, &err)); /* a container that could not start is still to be deleted */
      rr_container_unref(c);
    }
  }
  rr_context_unref(ctx);
  CHECK(descriptors() == before);
  CHECK(childless());
  printf("%s\n%s\n", rr_code_name(code), rr_error_message(err));
  rr_error_free(err); /* an error needs no context */
  return 0;
}
