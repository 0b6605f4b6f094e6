/*
 * What a test needs beside the container: a process to exec into, a receiver for the console, untidy callers.
 *
 * hold() runs inside a container; the others run on the host, as the caller of a runtime.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/capability.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>

#include "probe.h"

int hold(void)
{
	for (;;)
		pause();
}

/* Copies from a pty master to stdout until the other side is closed (EIO). */
static void copy_out(int master)
{
	char buffer[4096];
	ssize_t got;

	while ((got = read(master, buffer, sizeof buffer)) > 0 || (got < 0 && errno == EINTR))
		if (got > 0 && write(1, buffer, got) != got)
			return;
}

/*
 * Says "ready" on stdout, takes one message, says its text and the number of descriptors on stderr, then copies.
 */
int receive_console(const char *socket_path)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	char text[4097] = "", control[CMSG_SPACE(sizeof(int) * 8)];
	struct iovec vector = {text, sizeof text - 1};
	struct msghdr message = {.msg_iov = &vector, .msg_iovlen = 1, .msg_control = control,
		.msg_controllen = sizeof control};
	int listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0), connection, master = -1, descriptors = 0;

	strncpy(address.sun_path, socket_path, sizeof address.sun_path - 1);
	if (listener < 0 || bind(listener, (struct sockaddr *)&address, sizeof address) || listen(listener, 1))
		return 1;
	if (write(1, "ready\n", 6) != 6)
		return 1;
	connection = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
	if (connection < 0 || recvmsg(connection, &message, MSG_CMSG_CLOEXEC) < 0)
		return 1;
	for (struct cmsghdr *header = CMSG_FIRSTHDR(&message); header; header = CMSG_NXTHDR(&message, header))
		if (header->cmsg_level == SOL_SOCKET && header->cmsg_type == SCM_RIGHTS) {
			descriptors += (header->cmsg_len - CMSG_LEN(0)) / sizeof(int);
			memcpy(&master, CMSG_DATA(header), sizeof master);
		}
	fprintf(stderr, "%d %s\n", descriptors, text);
	close(connection);
	if (master < 0)
		return 1;
	copy_out(master);
	return 0;
}

/*
 * Nothing of this may reach the container's process: blocked and ignored signals, open descriptors, the umask,
 * supplementary groups, inheritable and ambient capabilities, a CPU to stay on.
 */
int run_dirty(char **command)
{
	struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
	struct __user_cap_data_struct data[2] = {{0}};
	gid_t groups[] = {4, 20, 27};
	sigset_t blocked;
	cpu_set_t cpus;

	umask(0077);
	setgroups(3, groups);
	sigemptyset(&blocked);
	sigaddset(&blocked, SIGUSR1);
	sigaddset(&blocked, SIGTERM);
	sigprocmask(SIG_BLOCK, &blocked, NULL);
	signal(SIGHUP, SIG_IGN);
	signal(SIGPIPE, SIG_IGN);
	signal(SIGUSR2, SIG_IGN);
	dup2(open("/", O_RDONLY | O_DIRECTORY), 9);
	dup2(open("/", O_PATH), 40);
	syscall(SYS_capget, &header, data);
	data[0].inheritable |= 1 << CAP_CHOWN;
	syscall(SYS_capset, &header, data);
	prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, CAP_CHOWN, 0, 0);
	CPU_ZERO(&cpus);
	CPU_SET(0, &cpus);
	sched_setaffinity(0, sizeof cpus, &cpus);
	execvp(command[0], command);
	return 127;
}

/* The first `number` descriptors after stdio are open when COMMAND runs; LISTEN_FDS says so when `listening`. */
int run_with_descriptors(int number, int listening, char **command)
{
	char text[16];

	for (int fd = 3; fd < 3 + number; fd++) {
		int file = open("/dev/null", fd % 2 ? O_RDONLY : O_WRONLY);
		if (file != fd && (dup2(file, fd) < 0 || close(file)))
			return 126;
	}
	if (listening) {
		snprintf(text, sizeof text, "%d", number);
		setenv("LISTEN_FDS", text, 1);
		snprintf(text, sizeof text, "%d", getpid());
		setenv("LISTEN_PID", text, 1);
	}
	execvp(command[0], command);
	return 127;
}

static int write_file(const char *format, pid_t pid, const char *text)
{
	char path[64];
	int file, written;

	snprintf(path, sizeof path, format, pid);
	file = open(path, O_WRONLY | O_CLOEXEC);
	written = file >= 0 && write(file, text, strlen(text)) == (ssize_t)strlen(text);
	close(file);
	return written;
}

/* A process that stays outside writes the maps. */
static int enter_user_namespace(void)
{
	int ready[2], status;
	char byte;
	pid_t self = getpid(), writer;

	if (pipe2(ready, O_CLOEXEC) || (writer = fork()) < 0)
		return 0;
	if (writer == 0) {
		close(ready[1]);
		while (read(ready[0], &byte, 1) > 0)
			;
		_exit(!write_file("/proc/%d/uid_map", self, "0 100000 65536") ||
		      !write_file("/proc/%d/gid_map", self, "0 100000 65536"));
	}
	if (unshare(CLONE_NEWUSER))
		return 0;
	close(ready[1]);
	close(ready[0]);
	return waitpid(writer, &status, 0) == writer && status == 0 && !setgroups(0, NULL) && !setresgid(0, 0, 0) &&
	       !setresuid(0, 0, 0);
}

/*
 * A process in namespaces of its own for containers to join: says its pid, and ends when stdin does.
 */
int keep_company(int user)
{
	char byte;
	pid_t child;

	if ((user && !enter_user_namespace()) ||
	    unshare(CLONE_NEWNET | CLONE_NEWIPC | CLONE_NEWUTS | CLONE_NEWPID | CLONE_NEWCGROUP | 0x80 /* time */) ||
	    sethostname("companion", 9))
		return 126;
	child = fork();
	if (child == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		return hold();
	}
	printf("%d\n", child);
	fflush(stdout);
	while (read(0, &byte, 1) > 0)
		;
	kill(child, SIGKILL);
	waitpid(child, NULL, 0);
	return 0;
}

int run_in_pty(char **command)
{
	struct winsize window = {.ws_row = 30, .ws_col = 100};
	int master = posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC), status;
	pid_t child;

	if (master < 0 || grantpt(master) || unlockpt(master))
		return 126;
	ioctl(master, TIOCSWINSZ, &window);
	child = fork();
	if (child == 0) {
		setsid();
		int slave = open(ptsname(master), O_RDWR);
		ioctl(slave, TIOCSCTTY, 0);
		for (int fd = 0; fd < 3; fd++)
			dup2(slave, fd);
		if (slave > 2)
			close(slave);
		execvp(command[0], command);
		_exit(127);
	}
	copy_out(master);
	if (child < 0 || waitpid(child, &status, 0) < 0)
		return 126;
	return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}
