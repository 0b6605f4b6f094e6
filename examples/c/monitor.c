/* monitor.c: looks after one container, as conmon does for engines.
 *
 *     cc monitor.c $(pkg-config --cflags --libs riverrun) -o monitor && sudo ./monitor -l web.log -e web.exit BUNDLE web
 *
 * Creates the container and starts it, copies what it prints to a log (CRI's format: time, stream, F or P, text), lets
 * others attach on a unix socket (they see what is printed and type what it reads), passes SIGTERM and SIGINT on, leaves a
 * file if memory ran out, and when it has ended writes how, deletes it and ends. One thread, one poll: nothing here waits
 * for one thing only.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <riverrun.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

enum { CLIENTS = 16 };

struct stream {
  const char *name;
  int fd; /* -1 once it has ended */
};

struct monitor {
  const char *root, *log_path, *exit_path, *oom_path, *attach_path, *pid_path;
  rr_context *ctx;
  rr_container *container;
  rr_process *init;
  rr_event_stream *events;
  rr_event end; /* RR_EV_EXIT, once it has come */
  struct stream out[2]; /* a terminal has only the first */
  bool terminal;
  int in; /* -1: nothing more to read for it */
  int log, signals, listener;
  int clients[CLIENTS];
  /* What was typed and not taken yet: while there is some, no client is read from. */
  char typed[4096];
  size_t typed_at, typed_len;
};

static bool fine(const char *what, rr_code code, rr_error **err) {
  if (code == RR_OK)
    return true;
  fprintf(stderr, "monitor: %s: %s (%s)\n", what, rr_error_message(*err), rr_code_name(code));
  rr_error_free(*err);
  *err = NULL;
  return false;
}

static bool system_fine(const char *what, int result) {
  if (result < 0)
    fprintf(stderr, "monitor: %s: %s\n", what, strerror(errno));
  return result >= 0;
}

static bool write_all(int fd, const char *bytes, size_t len) {
  while (len > 0) {
    ssize_t n = write(fd, bytes, len);
    if (n < 0 && errno != EINTR)
      return false;
    if (n > 0)
      bytes += n, len -= (size_t)n;
  }
  return true;
}

/* A file that is there as a whole or not at all. */
static bool write_file(const char *path, const char *text) {
  char temporary[4096];
  if ((size_t)snprintf(temporary, sizeof temporary, "%s.%d", path, (int)getpid()) >= sizeof temporary)
    return system_fine(path, (errno = ENAMETOOLONG, -1));
  int fd = open(temporary, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
  bool well = fd >= 0 && write_all(fd, text, strlen(text));
  if (fd >= 0)
    well = close(fd) == 0 && well;
  return system_fine(path, well ? rename(temporary, path) : -1);
}

/* One entry a line; what has no line end yet is marked partial, and whoever reads puts it together. */
static bool log_bytes(int log, const char *stream, const char *bytes, size_t len) {
  struct timespec now;
  struct tm utc;
  char head[96], date[32];
  clock_gettime(CLOCK_REALTIME, &now);
  gmtime_r(&now.tv_sec, &utc);
  strftime(date, sizeof date, "%Y-%m-%dT%H:%M:%S", &utc);
  while (len > 0) {
    const char *end = memchr(bytes, '\n', len);
    size_t line = end ? (size_t)(end - bytes) : len;
    int n = snprintf(head, sizeof head, "%s.%09ldZ %s %c ", date, now.tv_nsec, stream, end ? 'F' : 'P');
    if (!write_all(log, head, (size_t)n) || !write_all(log, bytes, line) || !write_all(log, "\n", 1))
      return false;
    line += end != NULL;
    bytes += line, len -= line;
  }
  return true;
}

static void drop_client(struct monitor *m, int i) {
  close(m->clients[i]);
  m->clients[i] = -1;
}

/* Copies what a stream has for now, `reads` times 8 KiB at most: one that prints without end must not keep the rest
 * waiting. Whoever is attached and too slow is let go rather than waited for. */
static bool copy(struct monitor *m, struct stream *stream, int reads) {
  char bytes[8192];
  while (stream->fd >= 0 && reads-- > 0) {
    ssize_t n = read(stream->fd, bytes, sizeof bytes);
    if (n < 0 && errno == EINTR)
      continue;
    if (n < 0 && errno == EAGAIN)
      return true;
    if (n <= 0) { /* A terminal ends with EIO. */
      if (!m->terminal)
        close(stream->fd);
      stream->fd = -1;
      return true;
    }
    if (!log_bytes(m->log, stream->name, bytes, (size_t)n))
      return system_fine("write log", -1);
    for (int i = 0; i < CLIENTS; i++)
      if (m->clients[i] >= 0 && send(m->clients[i], bytes, (size_t)n, MSG_DONTWAIT | MSG_NOSIGNAL) != n)
        drop_client(m, i);
  }
  return true;
}

static void take_client(struct monitor *m) {
  int client = accept4(m->listener, NULL, NULL, SOCK_CLOEXEC);
  for (int i = 0; client >= 0 && i < CLIENTS; i++) {
    if (m->clients[i] < 0) {
      m->clients[i] = client;
      return;
    }
  }
  if (client >= 0)
    close(client); /* No room. */
}

static void read_client(struct monitor *m, int i) {
  ssize_t n = recv(m->clients[i], m->typed, sizeof m->typed, MSG_DONTWAIT);
  if (n == 0 || (n < 0 && errno != EAGAIN && errno != EINTR))
    drop_client(m, i);
  else if (n > 0)
    m->typed_at = 0, m->typed_len = m->in >= 0 ? (size_t)n : 0;
}

static void type(struct monitor *m) {
  ssize_t n = write(m->in, m->typed + m->typed_at, m->typed_len);
  if (n > 0) {
    m->typed_at += (size_t)n, m->typed_len -= (size_t)n;
  } else if (n < 0 && errno != EAGAIN && errno != EINTR) {
    if (!m->terminal)
      close(m->in);
    m->in = -1, m->typed_len = 0;
  }
}

static void pass_signal_on(struct monitor *m) {
  struct signalfd_siginfo info;
  if (read(m->signals, &info, sizeof info) == sizeof info)
    rr_process_signal(m->init, (int)info.ssi_signo, NULL);
}

/* What became of the container. `over` once there is nothing more to hear. */
static bool hear(struct monitor *m, bool *over) {
  rr_error *err = NULL;
  rr_event event;
  event.size = sizeof event;
  if (!fine("hear of the container", rr_event_stream_next(m->events, NULL, &event, &err), &err))
    return false;
  switch (event.type) {
  case RR_EV_OOM:
  case RR_EV_OOM_KILL: return m->oom_path == NULL || write_file(m->oom_path, "");
  case RR_EV_EXIT: m->end = event; break;
  case RR_EV_END: *over = true; break;
  }
  return true; /* RR_EV_NONE, and what a later version may tell. */
}

/* Everything that can happen, until the container's first process has ended. */
static bool watch(struct monitor *m) {
  for (;;) {
    /* poll() passes over negative descriptors. */
    struct pollfd fds[6 + CLIENTS] = {
        {rr_event_stream_fd(m->events), POLLIN, 0},
        {m->out[0].fd, POLLIN, 0},
        {m->out[1].fd, POLLIN, 0},
        {m->signals, POLLIN, 0},
        {m->listener, POLLIN, 0},
        {m->typed_len > 0 ? m->in : -1, POLLOUT, 0},
    };
    for (int i = 0; i < CLIENTS; i++)
      fds[6 + i] = (struct pollfd){m->typed_len > 0 ? -1 : m->clients[i], POLLIN, 0};
    if (poll(fds, 6 + CLIENTS, -1) < 0) {
      if (errno == EINTR)
        continue;
      return system_fine("poll", -1);
    }
    for (int i = 0; i < 2; i++)
      if (fds[1 + i].revents && !copy(m, &m->out[i], 1))
        return false;
    if (fds[3].revents)
      pass_signal_on(m);
    if (fds[4].revents)
      take_client(m);
    if (fds[5].revents)
      type(m);
    for (int i = 0; i < CLIENTS; i++)
      if (fds[6 + i].revents && m->typed_len == 0 && m->clients[i] >= 0)
        read_client(m, i);
    bool over = false;
    if (fds[0].revents && !hear(m, &over))
      return false;
    if (over)
      return true;
  }
}

static bool listen_for_clients(struct monitor *m) {
  struct sockaddr_un address = {.sun_family = AF_UNIX};
  if (strlen(m->attach_path) >= sizeof address.sun_path)
    return system_fine(m->attach_path, (errno = ENAMETOOLONG, -1));
  strcpy(address.sun_path, m->attach_path);
  unlink(m->attach_path);
  m->listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  return system_fine("make socket", m->listener) &&
         system_fine(m->attach_path, bind(m->listener, (struct sockaddr *)&address, sizeof address)) &&
         system_fine(m->attach_path, listen(m->listener, CLIENTS));
}

static bool set_up(struct monitor *m) {
  m->in = m->signals = m->listener = m->out[0].fd = m->out[1].fd = -1;
  m->out[0].name = "stdout", m->out[1].name = "stderr";
  for (int i = 0; i < CLIENTS; i++)
    m->clients[i] = -1;
  m->log = open(m->log_path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
  if (!system_fine(m->log_path, m->log) || (m->attach_path && !listen_for_clients(m)))
    return false;
  sigset_t passed;
  sigemptyset(&passed);
  sigaddset(&passed, SIGTERM);
  sigaddset(&passed, SIGINT);
  sigprocmask(SIG_BLOCK, &passed, NULL); /* The container begins with none blocked. */
  m->signals = signalfd(-1, &passed, SFD_CLOEXEC | SFD_NONBLOCK);
  rr_context_options options;
  rr_context_options_init(&options, sizeof options);
  options.root = m->root;
  rr_error *err = NULL;
  return system_fine("make signalfd", m->signals) && fine("set up", rr_context_new(&options, &m->ctx, &err), &err);
}

static bool run(struct monitor *m, const char *bundle, const char *id) {
  rr_error *err = NULL;
  rr_io io;
  rr_io_init(&io, sizeof io);
  io.in.kind = m->attach_path ? RR_STDIO_PIPE : RR_STDIO_NULL;
  io.out.kind = io.err.kind = RR_STDIO_PIPE;
  rr_create_options options;
  rr_create_options_init(&options, sizeof options);
  options.bundle = bundle;
  options.pid_file = m->pid_path;
  options.io = &io;
  if (!fine("create", rr_create(m->ctx, id, &options, &m->container, &err), &err) ||
      !fine("find its process", rr_init_process(m->container, &m->init, &err), &err) ||
      !fine("listen to it", rr_events(m->container, NULL, &m->events, &err), &err))
    return false;
  int console = rr_process_console_fd(m->init);
  m->terminal = console >= 0;
  m->out[0].fd = m->terminal ? console : io.out.fd;
  m->out[1].fd = m->terminal ? -1 : io.err.fd;
  m->in = m->terminal ? console : m->attach_path ? io.in.fd : -1;
  int fds[] = {m->out[0].fd, m->out[1].fd, m->in};
  for (int i = 0; i < 3; i++)
    if (fds[i] >= 0)
      fcntl(fds[i], F_SETFL, fcntl(fds[i], F_GETFL) | O_NONBLOCK);
  return fine("start", rr_start(m->container, NULL, &err), &err);
}

/* What was printed last, then how it ended. */
static int conclude(struct monitor *m) {
  bool well = copy(m, &m->out[0], 1024) && copy(m, &m->out[1], 1024);
  if (m->end.type != RR_EV_EXIT || m->end.exit_flags & RR_EXIT_STATUS_LOST)
    return EXIT_FAILURE;
  char text[16];
  int status = m->end.exit_sig ? 128 + m->end.exit_sig : m->end.exit_code;
  snprintf(text, sizeof text, "%d", status);
  if (m->exit_path && !write_file(m->exit_path, text))
    well = false;
  return well ? status : EXIT_FAILURE;
}

static void clear(struct monitor *m) {
  rr_error *err = NULL;
  if (m->container != NULL)
    fine("delete", rr_delete(m->container, RR_DELETE_FORCE, NULL, &err), &err);
  if (m->attach_path)
    unlink(m->attach_path);
  rr_event_stream_close(m->events);
  rr_process_unref(m->init);
  rr_container_unref(m->container);
  rr_context_unref(m->ctx);
}

static int usage(void) {
  fprintf(stderr, "usage: monitor -l LOG [-e EXIT_FILE] [-o OOM_FILE] [-a ATTACH_SOCKET] [-p PID_FILE] [-r ROOT] BUNDLE ID\n\n"
                  "Runs a container and looks after it until it has ended, with riverrun %s.\n", rr_version_string());
  return 2;
}

int main(int argc, char **argv) {
  struct monitor m = {0};
  for (int option; (option = getopt(argc, argv, "l:e:o:a:p:r:")) != -1;) {
    switch (option) {
    case 'l': m.log_path = optarg; break;
    case 'e': m.exit_path = optarg; break;
    case 'o': m.oom_path = optarg; break;
    case 'a': m.attach_path = optarg; break;
    case 'p': m.pid_path = optarg; break;
    case 'r': m.root = optarg; break;
    default: return usage();
    }
  }
  if (argc - optind != 2 || m.log_path == NULL)
    return usage();
  int status = EXIT_FAILURE;
  if (set_up(&m) && run(&m, argv[optind], argv[optind + 1]) && watch(&m))
    status = conclude(&m);
  clear(&m);
  return status;
}
