/*
 * The facts about the process itself: ids, rights, limits, scheduling, signals, session, environment, descriptors.
 *
 * They come from system calls, not from /proc, so that they are there in a container without /proc too. What only
 * /proc knows (oom_score_adj and its like) is a table of files.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <linux/securebits.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/fsuid.h>
#include <sys/ioctl.h>
#include <sys/personality.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <termios.h>
#include <unistd.h>

#include "probe.h"

extern char **environ;

static void id_facts(void)
{
	uid_t real, effective, saved;
	gid_t groups[1024];
	char list[8192] = "";
	int n = getgroups(1024, groups), used = 0;
	mode_t mask = umask(0);

	umask(mask);
	getresuid(&real, &effective, &saved);
	put("process.uid", "%u %u %u %u", real, effective, saved, (unsigned)setfsuid(-1));
	getresgid(&real, &effective, &saved);
	put("process.gid", "%u %u %u %u", real, effective, saved, (unsigned)setfsgid(-1));
	for (int i = 0; i < n; i++)
		used += snprintf(list + used, sizeof list - used, "%s%u", i ? " " : "", groups[i]);
	put("process.groups", "%s", list);
	put("process.umask", "%04o", mask);
}

static void right_facts(void)
{
	struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
	struct __user_cap_data_struct data[2] = {{0}};
	unsigned long long bounding = 0, ambient = 0;

	syscall(SYS_capget, &header, data);
	for (int cap = 0; cap < 64; cap++) {
		if (prctl(PR_CAPBSET_READ, cap) == 1)
			bounding |= 1ULL << cap;
		if (prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_IS_SET, cap, 0, 0) == 1)
			ambient |= 1ULL << cap;
	}
	put("caps.effective", "%08x%08x", data[1].effective, data[0].effective);
	put("caps.permitted", "%08x%08x", data[1].permitted, data[0].permitted);
	put("caps.inheritable", "%08x%08x", data[1].inheritable, data[0].inheritable);
	put("caps.bounding", "%016llx", bounding);
	put("caps.ambient", "%016llx", ambient);
	put("caps.securebits", "%#x", prctl(PR_GET_SECUREBITS));
	put("caps.no_new_privs", "%d", prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0));
	put("caps.keepcaps", "%d", prctl(PR_GET_KEEPCAPS));
	put("process.seccomp", "%d", prctl(PR_GET_SECCOMP));
	put("process.dumpable", "%d", prctl(PR_GET_DUMPABLE));
	put("process.secure_exec", "%lu", getauxval(AT_SECURE));
}

static void limit_facts(void)
{
	static const char *const names[] = {"CPU", "FSIZE", "DATA", "STACK", "CORE", "RSS", "NPROC", "NOFILE",
		"MEMLOCK", "AS", "LOCKS", "SIGPENDING", "MSGQUEUE", "NICE", "RTPRIO", "RTTIME"};
	struct rlimit limit;

	for (int i = 0; i < 16; i++)
		if (!getrlimit(i, &limit))
			put(keyf("rlimit.%s", names[i]), "%lld %lld", (long long)limit.rlim_cur,
			    (long long)limit.rlim_max);
}

static void schedule_facts(void)
{
	struct sched_param parameter = {0};
	unsigned char cpus[8192] = {0};
	long bytes = syscall(SYS_sched_getaffinity, 0, sizeof cpus, cpus), allowed = 0;
	int policy = -1, death_signal = -1, subreaper = -1;
	/* struct sched_attr: its name is in no header of some C libraries. */
	struct {
		unsigned size, policy;
		unsigned long long flags;
		int nice;
		unsigned priority;
		unsigned long long runtime, deadline, period;
	} attributes = {0};
	unsigned long nodes[1024] = {0};
	char list[8192 * 3] = "";

	for (long i = 0; i < bytes; i++)
		allowed += __builtin_popcount(cpus[i]);
	for (long i = 0, used = 0; i < bytes * 8 && used < (long)sizeof list - 8; i++)
		if (cpus[i / 8] >> i % 8 & 1)
			used += sprintf(list + used, "%s%ld", used ? " " : "", i);
	sched_getparam(0, &parameter);
	put("sched.policy", "%d", sched_getscheduler(0));
	put("sched.priority", "%d", parameter.sched_priority);
	put("sched.nice", "%d", getpriority(PRIO_PROCESS, 0));
	put("sched.ioprio", "%#lx", syscall(SYS_ioprio_get, 1, 0));
	put("sched.cpus", "%ld", allowed);
	put("sched.affinity", "%s", list);
	syscall(SYS_sched_getattr, 0, &attributes, sizeof attributes, 0);
	put("sched.flags", "%#llx", attributes.flags);
	put("sched.deadline", "%llu %llu %llu", attributes.runtime, attributes.deadline, attributes.period);
	put("sched.timer_slack", "%d", prctl(PR_GET_TIMERSLACK));
	syscall(SYS_get_mempolicy, &policy, nodes, sizeof nodes * 8, 0, 0);
	put("sched.memory_policy", "%d", policy);
	put("sched.memory_nodes", "%#lx", nodes[0]);
	prctl(PR_GET_PDEATHSIG, &death_signal);
	put("process.parent_death_signal", "%d", death_signal);
	prctl(PR_GET_CHILD_SUBREAPER, &subreaper);
	put("process.subreaper", "%d", subreaper);
	put("process.thp_disable", "%d", prctl(PR_GET_THP_DISABLE, 0, 0, 0, 0));
	put("process.personality", "%#x", personality(0xffffffff));
}

/* The kernel's own calls: the C library hides signals 32 and 33. */
static void signal_facts(void)
{
	struct {
		unsigned long handler, flags, restorer, mask;
	} action;
	unsigned long blocked = 0, pending = 0;
	char ignored[512] = "", caught[512] = "";

	syscall(SYS_rt_sigprocmask, SIG_BLOCK, NULL, &blocked, 8);
	syscall(SYS_rt_sigpending, &pending, 8);
	for (int signal = 1; signal <= 64; signal++) {
		memset(&action, 0, sizeof action);
		if (syscall(SYS_rt_sigaction, signal, NULL, &action, 8) || !action.handler)
			continue;
		char *list = action.handler == 1 ? ignored : caught;
		sprintf(list + strlen(list), "%s%d", *list ? " " : "", signal);
	}
	put("signals.blocked", "%016lx", blocked);
	put("signals.pending", "%016lx", pending);
	put("signals.ignored", "%s", ignored);
	put("signals.caught", "%s", caught);
}

static const char *related(pid_t id)
{
	return id == 0 ? "outside" : id == getpid() ? "self" : id == 1 ? "init" : "other";
}

static void session_facts(void)
{
	char stat[1024], *rest;
	int terminal = 0;

	put("session.pid", "%s", getpid() == 1 ? "1" : "other");
	put("session.ppid", "%s", related(getppid()));
	put("session.pgid", "%s", related(getpgrp()));
	put("session.sid", "%s", related(getsid(0)));
	put("session.dev_tty", "%s", try_open("/dev/tty", O_RDWR));
	if (read_text("/proc/self/stat", stat, sizeof stat) > 0 && (rest = strrchr(stat, ')')))
		sscanf(rest, ") %*c %*d %*d %*d %d", &terminal);
	put("session.tty_nr", "%u:%u", terminal >> 8 & 0xfff, (terminal & 0xff) | (terminal >> 12 & 0xfff00));
}

static void text_facts(void)
{
	static const char *const files[] = {"oom_score_adj", "loginuid", "coredump_filter", "timens_offsets", "uid_map",
		"gid_map", "setgroups", "attr/current", "projid_map"};
	char text[4096], path[64], order[8192] = "", keyring[512] = "";
	ssize_t length;

	for (unsigned i = 0; i < sizeof files / sizeof *files; i++) {
		snprintf(path, sizeof path, "/proc/self/%s", files[i]);
		int got = read_text(path, text, sizeof text);
		for (char *c = text; got > 0 && *c; c++)
			if (*c == '\n')
				*c = ';';
		put(keyf("self.%s", files[i]), "%s", got < 0 ? error_name(errno) : text);
	}
	put("self.cwd", "%s", getcwd(text, sizeof text) ? text : error_name(errno));
	length = readlink("/proc/self/exe", text, sizeof text - 1);
	put("self.exe", "%.*s", (int)(length < 0 ? 0 : length), text);
	prctl(PR_GET_NAME, text);
	put("self.comm", "%s", text);
	put("self.exec_name", "%s", (const char *)getauxval(AT_EXECFN));
	for (char **entry = environ; *entry; entry++) {
		int name = strcspn(*entry, "=");
		put(keyf("env.%.*s", name, *entry), "%s", *entry + name + ((*entry)[name] == '='));
		if (strlen(order) + name + 2 < sizeof order)
			sprintf(order + strlen(order), "%s%.*s", *order ? " " : "", name, *entry);
	}
	put("env", "%s", order);
	/* KEYCTL_DESCRIBE of the session keyring: type;uid;gid;permissions;name. */
	if (syscall(SYS_keyctl, 6, -3, keyring, sizeof keyring - 1) < 0)
		strcpy(keyring, error_name(errno));
	put("self.session_keyring", "%s", keyring);
}

static void terminal_facts(int fd)
{
	struct termios mode;
	struct winsize window = {0};
	char name[256] = "", control[128] = "";
	static int looks = 300; /* for all descriptors together */

	if (tcgetattr(fd, &mode))
		return;
	/* In the foreground the size comes from the runtime while this runs already, some time: at once if the machine has
	   nothing else to do. A case that knows which one comes says so, and what never comes is told as it is. */
	for (int i = 0; !ioctl(fd, TIOCGWINSZ, &window) && looks-- > 0; i++) {
		char size[32];
		const char *awaited = getenv("AWAITED_WINDOW");
		snprintf(size, sizeof size, "%ux%u", window.ws_row, window.ws_col);
		if (awaited ? !strcmp(size, awaited) : window.ws_row || i >= 20)
			break;
		usleep(10000);
	}
	if (ttyname_r(fd, name, sizeof name))
		strcpy(name, "nameless");
	for (int i = 0; i < 17; i++)
		sprintf(control + strlen(control), "%02x", mode.c_cc[i]);
	put(keyf("tty.%d.name", fd), "%s", name);
	put(keyf("tty.%d.flags", fd), "%o %o %o %o", mode.c_iflag, mode.c_oflag, mode.c_cflag, mode.c_lflag);
	put(keyf("tty.%d.control", fd), "%s", control);
	put(keyf("tty.%d.window", fd), "%ux%u", window.ws_row, window.ws_col);
	put(keyf("tty.%d.foreground", fd), "%s", related(tcgetpgrp(fd)));
	put(keyf("tty.%d.session", fd), "%s", related(tcgetsid(fd)));
}

static void descriptor_facts(void)
{
	char path[64], link[4096];
	struct stat status;

	for (int fd = 0; fd < 1024; fd++) {
		int flags = fcntl(fd, F_GETFL);
		if (flags < 0 || fstat(fd, &status))
			continue;
		snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
		ssize_t length = readlink(path, link, sizeof link - 1);
		link[length < 0 ? 0 : length] = 0;
		/* "pipe:[123]" and its like: the number is the kernel's, the kind is what counts. */
		if (strstr(link, ":["))
			link[strcspn(link, "[")] = 0;
		const char *access = (flags & O_PATH) ? "path" :
			(flags & O_ACCMODE) == O_RDONLY ? "r" : (flags & O_ACCMODE) == O_WRONLY ? "w" : "rw";
		put(keyf("fd.%d", fd), "%s %s%s%s%s", link, access, flags & O_APPEND ? " append" : "",
		    flags & O_NONBLOCK ? " nonblock" : "", fcntl(fd, F_GETFD) & FD_CLOEXEC ? " cloexec" : "");
		put(keyf("fd.%d.owner", fd), "%u:%u %o", status.st_uid, status.st_gid, status.st_mode & 07777);
		if (S_ISCHR(status.st_mode))
			put(keyf("fd.%d.device", fd), "%u:%u", major(status.st_rdev), minor(status.st_rdev));
		terminal_facts(fd);
	}
}

void process_facts(void)
{
	descriptor_facts();	/* first: before anything here could open one more */
	id_facts();
	right_facts();
	limit_facts();
	schedule_facts();
	signal_facts();
	session_facts();
	text_facts();
}
