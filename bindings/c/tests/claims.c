/* claims.c: the claims of bindings/claims.txt, kept in C: a function a claim, in life.c and more.c, each in a process of its own.
 * Prints "ok - NAME" or "not ok - NAME" for each. Needs root, and a busybox root filesystem in $ROOTFS; tests/bindings/run gives
 * it, and compiles and calls this. */
#include "claims.h"
#include <ftw.h>
#include <sys/stat.h>

char work[256];
rr_context *ctx;

static bool kept(void (*claim)(void)) {
  fflush(stdout);
  pid_t child = fork();
  if (child == 0) {
    alarm(180);
    ctx = context(text("%s/state", work));
    claim();
    rr_context_unref(ctx);
    fflush(stdout);
    _exit(0);
  }
  int status = -1;
  return waitpid(child, &status, 0) == child && status == 0;
}

static int take_away(const char *path, const struct stat *info, int kind, struct FTW *at) {
  (void)info, (void)kind, (void)at;
  return remove(path);
}

int main(void) {
  CHECK(getenv("ROOTFS") != NULL);
  const char *base = getenv("TMPDIR");
  snprintf(work, sizeof work, "%s/rr-c-XXXXXX", base ? base : "/tmp");
  CHECK(mkdtemp(work) != NULL);
  static const struct { const char *name; void (*claim)(void); } claims[] = {
#define ENTRY(name) {#name, name},
      CLAIMS_OF_LIFE(ENTRY) CLAIMS_OF_MORE(ENTRY)};
  int failed = 0;
  for (size_t i = 0; i < sizeof claims / sizeof *claims; i++) {
    bool well = kept(claims[i].claim);
    printf("%s - %s\n", well ? "ok" : "not ok", claims[i].name);
    failed += !well;
  }
  nftw(work, take_away, 16, FTW_DEPTH | FTW_PHYS);
  return failed != 0;
}
