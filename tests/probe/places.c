/*
 * The facts about places: mounts, devices, masked and read-only paths, sysctls, namespaces, cgroups, network.
 *
 * Numbers that the kernel hands out (mount ids, peer groups, namespace inodes) do not appear but where the reader of
 * the report compares them with the host's own: ns.* are the links as they are.
 */
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <net/if.h>
#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/sysmacros.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "probe.h"

#define LENGTH(table) (sizeof(table) / sizeof *(table))

static const char *const guarded[] = {"/proc/acpi", "/proc/asound", "/proc/bus", "/proc/fs", "/proc/interrupts",
	"/proc/irq", "/proc/kcore", "/proc/keys", "/proc/latency_stats", "/proc/sched_debug", "/proc/scsi", "/proc/sys",
	"/proc/sys/kernel", "/proc/sysrq-trigger", "/proc/timer_list", "/proc/timer_stats", "/sys/devices/virtual/powercap",
	"/sys/firmware", "/sys/fs/cgroup", "/sys/kernel/debug"};

/* Each is opened for writing (nothing is written); the namespaced ones also tell their value. */
static const struct {
	const char *name;
	int value;
} sysctls[] = {{"fs/mqueue/queues_max", 1}, {"kernel/core_pattern", 0}, {"kernel/domainname", 1}, {"kernel/hostname", 1},
	{"kernel/modprobe", 0}, {"kernel/msgmax", 1}, {"kernel/sem", 1}, {"kernel/shm_rmid_forced", 1}, {"kernel/shmmax", 1},
	{"net/ipv4/conf/lo/forwarding", 1}, {"net/ipv4/ip_forward", 1}, {"net/ipv4/ip_unprivileged_port_start", 1},
	{"net/ipv4/ping_group_range", 1}, {"vm/overcommit_memory", 0}};

static const char *describe(const char *path, char *text, size_t size)
{
	struct stat status;
	char target[4096];

	if (lstat(path, &status))
		return error_name(errno);
	unsigned mode = status.st_mode & 07777;
	switch (status.st_mode & S_IFMT) {
	case S_IFLNK: {
		ssize_t length = readlink(path, target, sizeof target - 1);
		snprintf(text, size, "link %.*s", (int)(length < 0 ? 0 : length), target);
		return text;
	}
	case S_IFCHR:
	case S_IFBLK:
		snprintf(text, size, "%s %u:%u %04o %u:%u", S_ISCHR(status.st_mode) ? "char" : "block",
			 major(status.st_rdev), minor(status.st_rdev), mode, status.st_uid, status.st_gid);
		return text;
	default:
		snprintf(text, size, "%s %04o %u:%u", S_ISDIR(status.st_mode) ? "dir" : S_ISREG(status.st_mode) ? "file" :
			 S_ISFIFO(status.st_mode) ? "fifo" : "other", mode, status.st_uid, status.st_gid);
		return text;
	}
}

static int entries(const char *path)
{
	DIR *directory = opendir(path);
	int n = 0;

	if (!directory)
		return -1;
	for (struct dirent *entry; (entry = readdir(directory));)
		n += entry->d_name[0] != '.';
	closedir(directory);
	return n;
}

void path_fact(const char *path)
{
	char text[4600], content[65];

	put(keyf("path.%s", path), "%s", describe(path, text, sizeof text));
	if (read_text(path, content, sizeof content) >= 0)
		put(keyf("path.%s.text", path), "%s", content);
	if (entries(path) >= 0)
		put(keyf("path.%s.entries", path), "%d", entries(path));
	else
		put(keyf("path.%s.opening", path), "%s to read, %s to write", try_open(path, O_RDONLY),
		    try_open(path, O_WRONLY));
}

/* Octal escapes of mountinfo, undone in place. */
static char *unescape(char *text)
{
	char *to = text;

	for (char *from = text; *from; to++) {
		unsigned code;
		if (*from == '\\' && sscanf(from + 1, "%3o", &code) == 1) {
			*to = code;
			from += 4;
		} else {
			*to = *from++;
		}
	}
	*to = 0;
	return text;
}

static const char *try_write(const char *point)
{
	struct stat status;
	char path[4200];
	int fd;

	if (stat(point, &status))
		return error_name(errno);
	if (!S_ISDIR(status.st_mode))
		return try_open(point, O_WRONLY);
	snprintf(path, sizeof path, "%s/.probe-write", point);
	fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	if (fd < 0)
		return error_name(errno);
	close(fd);
	unlink(path);
	return "ok";
}

static void one_mount(char *line)
{
	char *save = NULL, *field[6], propagation[64] = "", *word, *type, *source, *super;

	for (int i = 0; i < 6; i++)
		if (!(field[i] = strtok_r(i ? NULL : line, " ", &save)))
			return;
	while ((word = strtok_r(NULL, " ", &save)) && strcmp(word, "-")) {
		word[strcspn(word, ":")] = 0;
		if (strcmp(word, "propagate_from"))
			sprintf(propagation + strlen(propagation), "%s%s", *propagation ? " " : "", word);
	}
	type = strtok_r(NULL, " ", &save);
	source = strtok_r(NULL, " ", &save);
	super = strtok_r(NULL, " ", &save);
	if (!super)
		return;
	const char *point = unescape(field[4]);
	put(keyf("mount.%s.root", point), "%s", unescape(field[3]));
	put(keyf("mount.%s.type", point), "%s", type);
	put(keyf("mount.%s.source", point), "%s", unescape(source));
	put(keyf("mount.%s.options", point), "%s", field[5]);
	put(keyf("mount.%s.super", point), "%s", super);
	put(keyf("mount.%s.propagation", point), "%s", *propagation ? propagation : "private");
	put(keyf("mount.%s.writing", point), "%s", try_write(point));
}

void mount_facts(void)
{
	FILE *file = fopen("/proc/self/mountinfo", "re");
	char *line = NULL;
	size_t size = 0;

	put("mounts", "%s", file ? "known" : error_name(errno));
	while (file && getline(&line, &size, file) > 0) {
		line[strcspn(line, "\n")] = 0;
		one_mount(line);
	}
	free(line);
	if (file)
		fclose(file);
}

static void device_facts(const char *directory, int depth)
{
	DIR *stream = opendir(directory);
	char text[4600];

	if (!stream)
		return;
	for (struct dirent *entry; (entry = readdir(stream));) {
		if (!strcmp(entry->d_name, ".") || !strcmp(entry->d_name, ".."))
			continue;
		const char *path = keyf("%s/%s", directory, entry->d_name);
		put(path + 1, "%s", describe(path, text, sizeof text));	/* "dev/null": the key needs no other prefix */
		if (depth > 0 && entry->d_type == DT_DIR) {
			char *below = strdup(path);
			device_facts(below, depth - 1);
			free(below);
		}
	}
	closedir(stream);
}

/* What the device rules say; only devices that do nothing by being opened. */
static void opening_facts(void)
{
	static const char *const devices[] = {"/dev/null", "/dev/zero", "/dev/full", "/dev/random", "/dev/urandom",
		"/dev/tty", "/dev/ptmx", "/dev/console", "/dev/net/tun", "/dev/fuse"};

	for (unsigned i = 0; i < LENGTH(devices); i++)
		put(keyf("opening.%s", devices[i]), "%s", try_open(devices[i], O_RDWR));
}

static void guard_facts(void)
{
	struct stat status;

	for (unsigned i = 0; i < LENGTH(guarded); i++) {
		const char *path = guarded[i];
		if (stat(path, &status)) {
			put(keyf("guarded.%s", path), "%s", error_name(errno));
			continue;
		}
		if (S_ISDIR(status.st_mode))
			put(keyf("guarded.%s", path), "directory, %s", entries(path) ? "not empty" : "empty");
		else if (S_ISCHR(status.st_mode))
			put(keyf("guarded.%s", path), "char %u:%u", major(status.st_rdev), minor(status.st_rdev));
		else
			put(keyf("guarded.%s", path), "file");
		put(keyf("guarded.%s.writing", path), "%s",
		    S_ISDIR(status.st_mode) ? try_write(path) : try_open(path, O_WRONLY));
	}
}

static void sysctl_facts(void)
{
	char path[128], text[256];

	for (unsigned i = 0; i < LENGTH(sysctls); i++) {
		snprintf(path, sizeof path, "/proc/sys/%s", sysctls[i].name);
		put(keyf("sysctl.%s.writing", sysctls[i].name), "%s", try_open(path, O_WRONLY));
		if (sysctls[i].value)
			put(keyf("sysctl.%s", sysctls[i].name), "%s",
			    read_text(path, text, sizeof text) < 0 ? error_name(errno) : text);
	}
}

static int by_name(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

void place_facts(void)
{
	char text[4600], list[8192] = "", *names[512];
	DIR *root = opendir("/");
	int n = 0;

	put("root", "%s", describe("/", text, sizeof text));
	for (struct dirent *entry; root && (entry = readdir(root)) && n < 512;)
		if (strcmp(entry->d_name, ".") && strcmp(entry->d_name, ".."))
			names[n++] = strdup(entry->d_name);
	if (root)
		closedir(root);
	qsort(names, n, sizeof *names, by_name);
	for (int i = 0; i < n; i++) {
		put(keyf("root.%s", names[i]), "%s", describe(keyf("/%s", names[i]), text, sizeof text));
		if (strlen(list) + strlen(names[i]) + 2 < sizeof list)
			sprintf(list + strlen(list), "%s%s", *list ? " " : "", names[i]);
		free(names[i]);
	}
	put("root.listing", "%s", list);
	device_facts("/dev", 2);
	opening_facts();
	guard_facts();
	sysctl_facts();
}

static void network_facts(void)
{
	struct if_nameindex *interfaces = if_nameindex();
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	for (struct if_nameindex *i = interfaces; i && i->if_index; i++) {
		struct ifreq request = {0};
		strncpy(request.ifr_name, i->if_name, IFNAMSIZ - 1);
		if (!ioctl(fd, SIOCGIFFLAGS, &request))
			put(keyf("net.%s.flags", i->if_name), "%#x", (unsigned short)request.ifr_flags);
		if (!strcmp(i->if_name, "lo") && !ioctl(fd, SIOCGIFADDR, &request))
			put("net.lo.address", "%s", inet_ntoa(((struct sockaddr_in *)&request.ifr_addr)->sin_addr));
	}
	if (interfaces)
		if_freenameindex(interfaces);
	if (fd >= 0)
		close(fd);
}

void kernel_facts(void)
{
	static const char *const spaces[] = {"cgroup", "ipc", "mnt", "net", "pid", "time", "user", "uts"};
	char path[64], link[128], *line = NULL;
	struct utsname names;
	size_t size = 0;
	FILE *file = fopen("/proc/self/cgroup", "re");

	for (unsigned i = 0; i < LENGTH(spaces); i++) {
		snprintf(path, sizeof path, "/proc/self/ns/%s", spaces[i]);
		ssize_t length = readlink(path, link, sizeof link - 1);
		put(keyf("ns.%s", spaces[i]), "%.*s", (int)(length < 0 ? 0 : length), link);
	}
	uname(&names);
	put("uts.hostname", "%s", names.nodename);
	put("uts.domainname", "%s", names.domainname);
	put("uts.machine", "%s", names.machine);
	while (file && getline(&line, &size, file) > 0) {
		char *controllers = strchr(line, ':') + 1, *where = strchr(controllers, ':');
		*where++ = 0;
		where[strcspn(where, "\n")] = 0;
		put(keyf("cgroup.%s", *controllers ? controllers : "unified"), "%s", where);
	}
	free(line);
	if (file)
		fclose(file);
	network_facts();
}
