/*
 * Makes system calls, each in a child of its own, and says what came of it: "ok", the errno's number, or the signal.
 *
 *	calls [x86:|x32:]NUMBER[:ARGUMENT...] ...	makes them
 *	calls fds	lists its open descriptors above 2
 *	calls hold	waits to be killed
 *
 * x86 calls go through int 0x80, which a 64-bit program may use as well.
 */
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

static long call_x86(long number, long *a)
{
	long result = -ENOSYS;
#ifdef __x86_64__
	__asm__ volatile("int $0x80" : "=a"(result)
		: "a"(number), "b"(a[0]), "c"(a[1]), "d"(a[2]), "S"(a[3]), "D"(a[4])
		: "memory", "r8", "r9", "r10", "r11");
	result = (int)result;
#endif
	return result;
}

static void make(const char *text)
{
	long a[6] = {0}, result, number;
	int x86 = !strncmp(text, "x86:", 4), x32 = !strncmp(text, "x32:", 4), n = 0;
	char *rest;

	number = strtol(text + (x86 || x32 ? 4 : 0), &rest, 0);
	while (*rest == ':' && n < 6)
		a[n++] = strtoull(rest + 1, &rest, 0);
	if (x86) {
		result = call_x86(number, a);
	} else {
		result = syscall(x32 ? number | 0x40000000 : number, a[0], a[1], a[2], a[3], a[4], a[5]);
		result = result == -1 ? -errno : result;
	}
	_exit(result < 0 && result > -200 ? -result : 0);
}

int main(int count, char **arguments)
{
	struct rlimit none = {0, 0};

	setrlimit(RLIMIT_CORE, &none);
	if (count == 2 && !strcmp(arguments[1], "hold"))
		for (;;)
			pause();
	if (count == 2 && !strcmp(arguments[1], "fds")) {
		DIR *directory = opendir("/proc/self/fd");
		struct dirent *entry;

		while (directory && (entry = readdir(directory)))
			if (atoi(entry->d_name) > 2 && atoi(entry->d_name) != dirfd(directory))
				printf("%s ", entry->d_name);
		printf("end\n");
		return 0;
	}
	for (int i = 1; i < count; i++) {
		int status;
		pid_t child = fork();

		if (child == 0)
			make(arguments[i]);
		waitpid(child, &status, 0);
		if (WIFSIGNALED(status))
			printf("signal %d\n", WTERMSIG(status));
		else if (WEXITSTATUS(status))
			printf("%d\n", WEXITSTATUS(status));
		else
			printf("ok\n");
		fflush(stdout);
	}
	return 0;
}
