/*
 * floor: the measured floor under a container runtime.
 *
 * Makes the container of the default config.json (what `riverrun spec` writes, with /bin/true in it) by the
 * cheapest system calls that are known to give the same result, and does nothing else: no config is read, no state is
 * written, nothing is checked against a hostile image. What is left is the kernel's share. A runtime is measured
 * against it by benches/compare.rs.
 *
 * It is not a container runtime: paths in the rootfs are followed blindly, and only cgroup v1 and hybrid hosts are
 * served (the device rules of cgroup v2 are an eBPF program, which is other work than the nine directories here).
 *
 *   floor ROOTFS                        one container, the whole program
 *   floor --loop N [--two-phase] ROOTFS N containers in one process; median, mean, min in ns
 *   floor --phases N ROOTFS             where the time of a container goes: rows of a Markdown table, medians in us
 *
 * --two-phase: create, then start by a byte on a pipe. Built by: gcc -O2 -static -o floor floor.c
 */
#define _GNU_SOURCE
#include "spawn.h"
#include <fcntl.h>
#include <limits.h>
#include <linux/capability.h>
#include <linux/keyctl.h>
#include <linux/mount.h>
#include <net/if.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

/* <sys/mount.h> and <linux/mount.h> do not go together in every glibc: these are the calls and flags of the former. */
int mount(const char *, const char *, const char *, unsigned long, const void *);
int umount2(const char *, int);
#ifndef MNT_DETACH
#define MNT_DETACH 2
#endif
#ifndef AT_RECURSIVE
#define AT_RECURSIVE 0x8000
#endif

#define MAX_HIERARCHIES 32

/* ---- what is to be made: the default config as tables ---------------------------------------------------------- */

static const char *const device_rules[] = {
	"b *:* m",   "c *:* m",   "c 1:3 rwm", "c 1:5 rwm", "c 1:7 rwm",    "c 1:8 rwm",
	"c 1:9 rwm", "c 5:0 rwm", "c 5:2 rwm", "c 10:200 rwm", "c 136:* rwm",
};

static const struct {
	const char *target, *type, *data;
	unsigned long flags;
	mode_t make; /* the target's mode when it is to be made first */
} mounts[] = {
	{ "proc", "proc", NULL, 0, 0 },
	{ "dev", "tmpfs", "mode=755,size=65536k", MS_NOSUID | MS_STRICTATIME, 0 },
	{ "dev/pts", "devpts", "newinstance,ptmxmode=0666,mode=0620,gid=5", MS_NOSUID | MS_NOEXEC, 0755 },
	{ "dev/shm", "tmpfs", "mode=1777,size=65536k", MS_NOSUID | MS_NOEXEC | MS_NODEV, 0755 },
	{ "dev/mqueue", "mqueue", NULL, MS_NOSUID | MS_NOEXEC | MS_NODEV, 0755 },
	{ "sys", "sysfs", NULL, MS_NOSUID | MS_NOEXEC | MS_NODEV | MS_RDONLY, 0 },
	{ "sys/fs/cgroup", "tmpfs", "mode=755", MS_NOSUID | MS_NOEXEC | MS_NODEV, 0 },
};

static const struct {
	const char *path;
	unsigned int major, minor;
} devices[] = {
	{ "dev/null", 1, 3 },   { "dev/zero", 1, 5 },    { "dev/full", 1, 7 },
	{ "dev/random", 1, 8 }, { "dev/urandom", 1, 9 }, { "dev/tty", 5, 0 },
};

static const struct {
	const char *path, *to;
} links[] = {
	{ "dev/fd", "/proc/self/fd" },       { "dev/stdin", "/proc/self/fd/0" }, { "dev/stdout", "/proc/self/fd/1" },
	{ "dev/stderr", "/proc/self/fd/2" }, { "dev/ptmx", "pts/ptmx" },
};

static const char *const masked_paths[] = {
	"/proc/acpi",        "/proc/asound",      "/proc/kcore",      "/proc/keys",    "/proc/latency_stats",
	"/proc/timer_list",  "/proc/timer_stats", "/proc/sched_debug", "/sys/firmware", "/proc/scsi",
};

static const char *const readonly_paths[] = {
	"/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger",
};

static const unsigned int kept_caps[] = { CAP_AUDIT_WRITE, CAP_KILL, CAP_NET_BIND_SERVICE };

/* ---- facts about the host, probed once ------------------------------------------------------------------------- */

struct hierarchy {
	char dir[2 * PATH_MAX]; /* this process's own cgroup in it; containers go below */
	char name[NAME_MAX];    /* the last part of its mount point: `cpu`, `cpu,cpuacct`, `systemd` */
	char controllers[520];  /* `,cpu,cpuacct,`; empty for cgroup2 */
	int fd;                 /* of `dir` */
	int tasks;              /* of the container's `tasks` (v1) or directory (cgroup2); -1 between containers */
};

static struct {
	struct hierarchy all[MAX_HIERARCHIES];
	size_t count;
	struct hierarchy *unified; /* cgroup2, when it is there beside v1 */
	char cpus[256], mems[256];
	unsigned int last_cap;
} host;

/* The moments of one container. With CLONE_VM the child writes them into the parent's memory. */
enum moment {
	BEGIN, CGROUPS, RULES, CLONED, JOINED, NETWORK, MOUNTED, CGROUPFS, DEVICES, PIVOTED, MASKED, READY, RUNNING, EXITED, REMOVED,
	MOMENTS
};
static const char *const moment_names[MOMENTS] = {
	NULL,
	"make the cgroups (mkdir, cpuset)",
	"write the device rules",
	"clone with five new namespaces",
	"join the cgroups, session, keyring",
	"set lo up",
	"mount: slave, rootfs, proc, dev, pts, shm, mqueue, sys, tmpfs of cgroup",
	"bind the v1 hierarchies read-only",
	"make devices and links",
	"pivot_root, detach the old root",
	"masked, read-only paths, read-only root",
	"hostname, rlimit, ids, capabilities",
	"execve (the caller goes on)",
	"the program runs, exits; its namespaces go",
	"remove the cgroups",
};

static struct shared {
	int64_t at[MOMENTS];
	const char *rootfs, *id;
	int two_phase;
	int ready[2], start[2];
} *shared;

static void stamp(enum moment moment)
{
	shared->at[moment] = now();
}

static void read_text(const char *path, char *text, size_t size)
{
	int fd = must(open(path, O_RDONLY | O_CLOEXEC), "open", path);
	size_t have = 0;
	ssize_t got;
	while (have < size - 1 && (got = must(read(fd, text + have, size - 1 - have), "read", path)) > 0)
		have += got;
	text[have] = 0;
	close(fd);
}

/* The path of this process in the hierarchy with these controllers: a line `4:memory:/path` of /proc/self/cgroup. */
static void own_cgroup(const char *membership, const char *controller, char *path)
{
	for (const char *line = membership; line && *line; line = strchr(line, '\n'), line += line != NULL) {
		char list[300] = ",", named[300];
		if (sscanf(line, "%*d:%297[^:\n]:%4095[^\n]", list + 1, path) != 2) {
			list[1] = 0; /* cgroup2: an empty list */
			if (sscanf(line, "0::%4095[^\n]", path) != 1)
				continue;
		}
		strcat(list, ",");
		snprintf(named, sizeof named, ",%s,", controller);
		if (*controller ? strstr(list, named) != NULL : list[1] == ',')
			return;
	}
	dprintf(2, "floor: no cgroup of this process for \"%s\"\n", controller);
	_exit(1);
}

static void add_hierarchy(const char *point, int unified, const char *super_options, const char *membership)
{
	for (size_t i = 0; i < host.count; i++) /* in a view of the machine, mounts lie over mounts */
		if (!strcmp(strrchr(point, '/') + 1, host.all[i].name))
			return;
	if (host.count == MAX_HIERARCHIES) {
		dprintf(2, "floor: more than %d cgroup hierarchies\n", MAX_HIERARCHIES);
		_exit(1);
	}
	struct hierarchy *h = &host.all[host.count];
	char own[4096], controller[256] = "";
	snprintf(h->name, sizeof h->name, "%s", strrchr(point, '/') + 1);
	if (!unified) {
		/* `rw,xattr,cpu,cpuacct`: the controllers are the last words; the mount point's first word is one. */
		snprintf(h->controllers, sizeof h->controllers, ",%s,", super_options);
		const char *named = strstr(super_options, "name=");
		snprintf(controller, sizeof controller, "%s", named ? named : h->name);
		controller[strcspn(controller, ",")] = 0;
	}
	own_cgroup(membership, controller, own);
	snprintf(h->dir, sizeof h->dir, "%s%s", point, strcmp(own, "/") ? own : "");
	h->fd = open(h->dir, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (h->fd < 0 && errno == ENOENT)
		return; /* covered by another mount: not visible, so not there */
	must(h->fd, "open", h->dir);
	h->tasks = -1;
	if (unified)
		host.unified = h;
	host.count++;
}

static void probe_host(void)
{
	static char table[256 * 1024], membership[16 * 1024];
	read_text("/proc/self/mountinfo", table, sizeof table);
	read_text("/proc/self/cgroup", membership, sizeof membership);
	for (char *line = strtok(table, "\n"); line; line = strtok(NULL, "\n")) {
		char point[PATH_MAX], type[64], options[512];
		char *rest = strstr(line, " - ");
		if (!rest || sscanf(rest, " - %63s %*s %511s", type, options) != 2 || strncmp(type, "cgroup", 6))
			continue;
		if (sscanf(line, "%*s %*s %*s %*s %4095s", point) == 1)
			add_hierarchy(point, !strcmp(type, "cgroup2"), options, membership);
	}
	if (host.count == (host.unified != NULL)) {
		dprintf(2, "floor: no cgroup v1 hierarchy here: this floor is that of v1 and hybrid hosts\n");
		_exit(2);
	}
	for (size_t i = 0; i < host.count; i++)
		if (strstr(host.all[i].controllers, ",cpuset,")) {
			char path[3 * PATH_MAX];
			snprintf(path, sizeof path, "%s/cpuset.cpus", host.all[i].dir);
			read_text(path, host.cpus, sizeof host.cpus);
			snprintf(path, sizeof path, "%s/cpuset.mems", host.all[i].dir);
			read_text(path, host.mems, sizeof host.mems);
		}
	while (prctl(PR_CAPBSET_READ, host.last_cap + 1, 0, 0, 0) >= 0)
		host.last_cap++;
}

/* ---- cgroups: the parent's side -------------------------------------------------------------------------------- */

static void write_at(int dir, const char *file, const char *text)
{
	int fd = must(openat(dir, file, O_WRONLY | O_CLOEXEC), "open", file);
	must(write(fd, text, strlen(text)), "write", file);
	close(fd);
}

static void write_device_rules(int dir)
{
	write_at(dir, "devices.deny", "a");
	int fd = must(openat(dir, "devices.allow", O_WRONLY | O_CLOEXEC), "open", "devices.allow");
	for (size_t i = 0; i < COUNT(device_rules); i++)
		must(write(fd, device_rules[i], strlen(device_rules[i])), "allow", device_rules[i]);
	close(fd);
}

static void make_cgroups(void)
{
	int devices_dir = -1;
	for (size_t i = 0; i < host.count; i++) {
		struct hierarchy *h = &host.all[i];
		must(mkdirat(h->fd, shared->id, 0755), "make cgroup in", h->name);
		int dir = must(openat(h->fd, shared->id, O_DIRECTORY | O_RDONLY | O_CLOEXEC), "open cgroup in", h->name);
		if (h == host.unified) {
			h->tasks = dir;
			continue;
		}
		if (strstr(h->controllers, ",cpuset,")) { /* a new cpuset is empty, and an empty one takes no process */
			write_at(dir, "cpuset.cpus", host.cpus);
			write_at(dir, "cpuset.mems", host.mems);
		}
		h->tasks = must(openat(dir, "tasks", O_WRONLY | O_CLOEXEC), "open tasks in", h->name);
		if (strstr(h->controllers, ",devices,"))
			devices_dir = dir;
		else
			close(dir);
	}
	stamp(CGROUPS);
	if (devices_dir >= 0) {
		write_device_rules(devices_dir);
		close(devices_dir);
	}
	stamp(RULES);
}

static void remove_cgroups(void)
{
	for (size_t i = 0; i < host.count; i++) {
		struct hierarchy *h = &host.all[i];
		must(unlinkat(h->fd, shared->id, AT_REMOVEDIR), "remove cgroup in", h->name);
		close(h->tasks);
		h->tasks = -1;
	}
}

/* ---- the child ------------------------------------------------------------------------------------------------- */

static void set_attributes(const char *path, unsigned int flags, uint64_t attributes)
{
	struct mount_attr attr = { .attr_set = attributes };
	must(syscall(SYS_mount_setattr, AT_FDCWD, path, flags, &attr, sizeof attr), "set attributes of mount", path);
}

/* A single thread that moves itself by `0` in `tasks` does not take the kernel's threadgroup lock. */
static void join_cgroups(void)
{
	for (size_t i = 0; i < host.count; i++)
		if (&host.all[i] != host.unified)
			must(write(host.all[i].tasks, "0", 1), "join cgroup in", host.all[i].name);
	must(setsid(), "make", "session");
	must(syscall(SYS_keyctl, KEYCTL_JOIN_SESSION_KEYRING, "_ses.floor"), "join", "session keyring");
}

static void set_lo_up(void)
{
	struct ifreq request = { .ifr_name = "lo", .ifr_flags = IFF_UP };
	int fd = must(socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0), "open", "socket");
	must(ioctl(fd, SIOCSIFFLAGS, &request), "set up", "lo");
	close(fd);
}

static void mount_all(void)
{
	must(mount(NULL, "/", NULL, MS_REC | MS_SLAVE, NULL), "make slave", "/");
	must(mount(shared->rootfs, shared->rootfs, NULL, MS_BIND | MS_REC, NULL), "bind", shared->rootfs);
	must(chdir(shared->rootfs), "enter", shared->rootfs);
	for (size_t i = 0; i < COUNT(mounts); i++) {
		if (mounts[i].make)
			must(mkdir(mounts[i].target, mounts[i].make), "make", mounts[i].target);
		must(mount(mounts[i].type, mounts[i].target, mounts[i].type, mounts[i].flags, mounts[i].data), "mount",
		     mounts[i].target);
	}
}

static void bind_hierarchies(void)
{
	for (size_t i = 0; i < host.count; i++) {
		const struct hierarchy *h = &host.all[i];
		char from[3 * PATH_MAX], to[PATH_MAX];
		if (h == host.unified)
			continue;
		snprintf(from, sizeof from, "%s/%s", h->dir, shared->id);
		snprintf(to, sizeof to, "sys/fs/cgroup/%s", h->name);
		must(mkdir(to, 0755), "make", to);
		must(mount(from, to, NULL, MS_BIND, NULL), "bind", from);
		for (const char *word = h->name; strchr(h->name, ',') && *word; word += strcspn(word, ","), word += *word == ',') {
			snprintf(to, sizeof to, "sys/fs/cgroup/%.*s", (int)strcspn(word, ","), word);
			must(symlink(h->name, to), "link", to);
		}
	}
	/* One recursive call instead of a second mount(2) for each hierarchy. */
	set_attributes("sys/fs/cgroup", AT_RECURSIVE, MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC);
}

static void make_devices(void)
{
	for (size_t i = 0; i < COUNT(devices); i++)
		must(mknod(devices[i].path, S_IFCHR | 0666, makedev(devices[i].major, devices[i].minor)), "make", devices[i].path);
	for (size_t i = 0; i < COUNT(links); i++)
		must(symlink(links[i].to, links[i].path), "link", links[i].path);
	if (!access("proc/kcore", F_OK))
		must(symlink("/proc/kcore", "dev/core"), "link", "dev/core");
}

static void pivot(void)
{
	must(syscall(SYS_pivot_root, ".", "."), "pivot to", shared->rootfs);
	must(umount2(".", MNT_DETACH), "detach", "old root");
	must(chdir("/"), "enter", "/");
}

/*
 * Paths that are not there are nothing to hide. All directories share one empty read-only tmpfs. Asking for the type first
 * is a gain: a bind mount of a file that is refused on a directory costs an RCU grace period, 0.1 ms and more.
 */
static void mask_paths(void)
{
	const char *empty = NULL;
	for (size_t i = 0; i < COUNT(readonly_paths); i++) {
		const char *path = readonly_paths[i];
		if (mount(path, path, NULL, MS_BIND | MS_REC, NULL) < 0) {
			if (errno == ENOENT)
				continue;
			must(-1, "bind", path);
		}
		set_attributes(path, 0, MOUNT_ATTR_RDONLY);
	}
	for (size_t i = 0; i < COUNT(masked_paths); i++) {
		const char *path = masked_paths[i];
		struct stat found;
		if (stat(path, &found) < 0) {
			if (errno == ENOENT)
				continue;
			must(-1, "look at", path);
		}
		if (!S_ISDIR(found.st_mode)) {
			must(mount("/dev/null", path, NULL, MS_BIND, NULL), "mask", path);
		} else if (empty) {
			must(mount(empty, path, NULL, MS_BIND, NULL), "mask", path);
		} else {
			must(mount("tmpfs", path, "tmpfs", MS_RDONLY, "nr_blocks=1,nr_inodes=1"), "mask", path);
			empty = path;
		}
	}
	set_attributes("/", 0, MOUNT_ATTR_RDONLY);
}

static void drop_privileges(void)
{
	struct rlimit limit = { 1024, 1024 };
	struct __user_cap_header_struct header = { .version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct data[2] = { { 0 } };
	must(sethostname("floor", 5), "set", "hostname");
	must(setrlimit(RLIMIT_NOFILE, &limit), "set", "RLIMIT_NOFILE");
	must(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), "set", "no_new_privs");
	for (size_t i = 0; i < COUNT(kept_caps); i++)
		data[kept_caps[i] / 32].effective |= 1u << kept_caps[i] % 32;
	for (unsigned int cap = 0; cap <= host.last_cap; cap++)
		if (!(data[cap / 32].effective & 1u << cap % 32))
			must(prctl(PR_CAPBSET_DROP, cap, 0, 0, 0), "drop", "capability");
	must(syscall(SYS_setgroups, 0, NULL), "set", "groups");
	must(syscall(SYS_setresgid, 0, 0, 0), "set", "gid");
	must(syscall(SYS_setresuid, 0, 0, 0), "set", "uid");
	for (size_t i = 0; i < COUNT(data); i++)
		data[i].permitted = data[i].effective;
	must(syscall(SYS_capset, &header, data), "set", "capabilities");
	must(syscall(SYS_close_range, 3, ~0U, CLOSE_RANGE_CLOEXEC), "close", "descriptors");
}

/* Runs in the child, on its own stack and, where CLONE_VM is used, in the parent's memory. */
static void child(void)
{
	static char *const argv[] = { "/bin/true", NULL };
	static char *const env[] = { "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "TERM=xterm", NULL };
	stamp(CLONED);
	umask(0);
	join_cgroups();
	stamp(JOINED);
	set_lo_up();
	stamp(NETWORK);
	mount_all();
	stamp(MOUNTED);
	bind_hierarchies();
	stamp(CGROUPFS);
	make_devices();
	stamp(DEVICES);
	pivot();
	stamp(PIVOTED);
	mask_paths();
	stamp(MASKED);
	drop_privileges();
	umask(022);
	stamp(READY);
	if (shared->two_phase) {
		char byte = 0;
		must(write(shared->ready[1], &byte, 1), "write", "ready");
		must(read(shared->start[0], &byte, 1), "read", "start");
	}
	must(execve(argv[0], argv, env), "execute", argv[0]);
}

/* ---- one container, and the modes ------------------------------------------------------------------------------ */

static int64_t container(void)
{
	char byte = 0;
	stamp(BEGIN);
	make_cgroups();
	pid_t pid = spawn(CLONE_NEWPID | CLONE_NEWNET | CLONE_NEWIPC | CLONE_NEWUTS | CLONE_NEWNS,
	                  host.unified ? host.unified->tasks : -1, !shared->two_phase, child);
	if (shared->two_phase) {
		must(read(shared->ready[0], &byte, 1), "read", "ready");
		must(write(shared->start[1], &byte, 1), "write", "start");
	}
	stamp(RUNNING);
	int status = wait_for(pid);
	stamp(EXITED);
	remove_cgroups();
	stamp(REMOVED);
	must_be_zero(status, "container");
	return shared->at[REMOVED] - shared->at[BEGIN];
}

static void loop(size_t count)
{
	int64_t *samples = samples_for(count), sum = 0;
	for (size_t i = 0; i < count; i++)
		sum += samples[i] = container();
	int64_t middle = median(samples, count);
	printf("median %lld mean %lld min %lld\n", (long long)middle, (long long)(sum / (int64_t)count), (long long)samples[0]);
}

static void phases(size_t count)
{
	int64_t *spans[MOMENTS], sum = 0;
	for (int m = 1; m < MOMENTS; m++)
		spans[m] = samples_for(count);
	for (size_t i = 0; i < count; i++) {
		container();
		for (int m = 1; m < MOMENTS; m++)
			spans[m][i] = shared->at[m] - shared->at[m - 1];
	}
	for (int m = 1; m < MOMENTS; m++)
		sum += median(spans[m], count);
	for (int m = 1; m < MOMENTS; m++)
		printf("| %s | %.0f | %.1f %% |\n", moment_names[m], median(spans[m], count) / 1e3, 100.0 * median(spans[m], count) / sum);
	printf("| sum of the medians | %.0f | |\n", sum / 1e3);
}

static int usage(void)
{
	dprintf(2, "usage: floor [--loop N [--two-phase] | --phases N] ROOTFS\n");
	return 2;
}

int main(int argc, char **argv)
{
	void (*mode)(size_t) = NULL;
	char id[64], rootfs[PATH_MAX];
	long count = 0;
	int two_phase = 0, at = 1;
	for (; at < argc - 1 && argv[at][0] == '-'; at++) {
		if (!strcmp(argv[at], "--two-phase")) {
			two_phase = 1;
			continue;
		}
		mode = !strcmp(argv[at], "--loop") ? loop : !strcmp(argv[at], "--phases") ? phases : NULL;
		if (!mode || (count = atol(argv[++at])) < 1)
			return usage();
	}
	if (at != argc - 1)
		return usage();
	shared = mmap(NULL, sizeof *shared, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (shared == MAP_FAILED)
		must(-1, "map", "shared memory");
	if (!realpath(argv[at], rootfs))
		must(-1, "resolve", argv[at]);
	snprintf(id, sizeof id, "floor-%d", getpid());
	*shared = (struct shared){ .rootfs = rootfs, .id = id, .two_phase = two_phase };
	if (two_phase) {
		must(pipe2(shared->ready, O_CLOEXEC), "make", "pipe");
		must(pipe2(shared->start, O_CLOEXEC), "make", "pipe");
		alarm_fd = shared->ready[1];
	}
	probe_host();
	if (mode)
		mode(count);
	else
		container();
	return 0;
}
