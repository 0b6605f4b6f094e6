/*
 * probe: runs as a container's process and prints all that a process can see of its surroundings as one JSON object.
 *
 * Why: two runtimes did the same with a bundle exactly when the process inside cannot tell them apart. Keys are flat
 * ("mount./proc.options"), sorted, and every value is a string, so that two reports are compared key by key.
 * What differs from run to run by nature (inode numbers, pids) is left out or put into words ("self", "other").
 *
 * It is not a test: it judges nothing. Static, so that it needs no files of the root file system.
 *
 *   probe [PATH...]             the report; each PATH is described as well
 *   probe hold                  waits for ever (a container to exec into)
 *   probe exit N                exits with status N at once
 *   probe recv-console SOCKET   on the host: takes the pty master from a runtime and copies what it says to stdout
 *   probe dirty COMMAND...      on the host: runs COMMAND as an untidy caller would (signals, descriptors, umask, ...)
 *   probe pty COMMAND...        on the host: runs COMMAND on a terminal of its own
 *   probe give-fds N COMMAND... on the host: runs COMMAND with N descriptors after stdio
 *   probe listen-fds N COMMAND... the same, and LISTEN_FDS says so
 *   probe companion [user]      on the host: a process in namespaces of its own, until stdin ends; with a user namespace
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "probe.h"

#define MAX_FACTS 8192

static struct fact {
	char *key, *value;
} facts[MAX_FACTS];
static int count;

static int known(const char *key)
{
	for (int i = 0; i < count; i++)
		if (!strcmp(facts[i].key, key))
			return 1;
	return 0;
}

void put(const char *key, const char *format, ...)
{
	va_list arguments;
	char *value = NULL, *unique = NULL;

	if (count == MAX_FACTS)
		return;
	va_start(arguments, format);
	if (vasprintf(&value, format, arguments) < 0)
		abort();
	va_end(arguments);
	if (asprintf(&unique, "%s", key) < 0)
		abort();
	for (int n = 2; known(unique); n++) {
		free(unique);
		if (asprintf(&unique, "%s#%d", key, n) < 0)
			abort();
	}
	facts[count].key = unique;
	facts[count++].value = value;
}

const char *keyf(const char *format, ...)
{
	static char texts[8][4200];
	static unsigned next;
	char *text = texts[next++ % 8];
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(text, sizeof texts[0], format, arguments);
	va_end(arguments);
	return text;
}

const char *error_name(int error)
{
	const char *name = error ? strerrorname_np(error) : "ok";

	return name ? name : "E?";
}

const char *try_open(const char *path, int flags)
{
	int fd = open(path, flags | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);

	if (fd < 0)
		return error_name(errno);
	close(fd);
	return "ok";
}

int read_text(const char *path, char *buffer, int size)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK), used = 0;

	if (fd < 0)
		return -1;
	for (;;) {
		ssize_t got = read(fd, buffer + used, size - 1 - used);
		if (got < 0) {
			int error = errno;
			close(fd);
			errno = error;
			return -1;
		}
		used += got;
		if (got == 0 || used == size - 1)
			break;
	}
	close(fd);
	while (used > 0 && buffer[used - 1] == '\n')
		used--;
	buffer[used] = 0;
	return used;
}

static int by_key(const void *a, const void *b)
{
	return strcmp(((const struct fact *)a)->key, ((const struct fact *)b)->key);
}

static void print_string(FILE *out, const char *text)
{
	fputc('"', out);
	for (; *text; text++) {
		unsigned char c = *text;
		if (c == '"' || c == '\\')
			fprintf(out, "\\%c", c);
		else if (c < 0x20 || c >= 0x7f)
			fprintf(out, "\\u%04x", c);
		else
			fputc(c, out);
	}
	fputc('"', out);
}

static int report(int paths, char **path)
{
	char *text = NULL;
	size_t length = 0;
	FILE *out;

	process_facts();
	mount_facts();
	place_facts();
	kernel_facts();
	for (int i = 0; i < paths; i++)
		if (path[i][0] == '/')
			path_fact(path[i]);
	qsort(facts, count, sizeof *facts, by_key);
	out = open_memstream(&text, &length);
	if (!out)
		return 1;
	for (int i = 0; i < count; i++) {
		fputs(i ? ",\n" : "{\n", out);
		print_string(out, facts[i].key);
		fputs(": ", out);
		print_string(out, facts[i].value);
	}
	fputs("\n}\n", out);
	fclose(out);
	for (size_t done = 0; done < length;) {
		ssize_t wrote = write(1, text + done, length - done);
		if (wrote < 0)
			return 1;
		done += wrote;
	}
	return 0;
}

int main(int argc, char **argv)
{
	const char *mode = argc > 1 ? argv[1] : "";

	if (!strcmp(mode, "hold"))
		return hold();
	if (!strcmp(mode, "exit"))
		return argc > 2 ? atoi(argv[2]) : 0;
	if (!strcmp(mode, "recv-console") && argc > 2)
		return receive_console(argv[2]);
	if (!strcmp(mode, "dirty") && argc > 2)
		return run_dirty(argv + 2);
	if (!strcmp(mode, "pty") && argc > 2)
		return run_in_pty(argv + 2);
	if ((!strcmp(mode, "give-fds") || !strcmp(mode, "listen-fds")) && argc > 3)
		return run_with_descriptors(atoi(argv[2]), !strcmp(mode, "listen-fds"), argv + 3);
	if (!strcmp(mode, "companion"))
		return keep_company(argc > 2 && !strcmp(argv[2], "user"));
	/* The command line belongs to the report: the whole of it, argv[0] included. */
	for (int i = 0; i < argc; i++)
		put(keyf("argv.%d", i), "%s", argv[i]);
	return report(argc - 1, argv + 1);
}
