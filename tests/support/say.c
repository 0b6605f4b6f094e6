/* say.c: sends its argument to $NOTIFY_SOCKET, as sd_notify(3) does. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
int main(int argc, char **argv) {
  struct sockaddr_un address = { .sun_family = AF_UNIX };
  const char *path = getenv("NOTIFY_SOCKET");
  int fd = socket(AF_UNIX, SOCK_DGRAM, 0);
  if (argc != 2 || !path || fd < 0) return 2;
  snprintf(address.sun_path, sizeof address.sun_path, "%s", path);
  if (sendto(fd, argv[1], strlen(argv[1]), 0, (struct sockaddr *)&address, sizeof address) < 0) {
    perror(path);
    return 1;
  }
  return 0;
}
