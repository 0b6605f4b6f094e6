/*
 * parts: what the parts of a container that cannot be saved cost alone, and the memory peak of a command.
 *
 * Why beside floor.c: its phases tell where the time of one container goes, but a clone with five namespaces is one phase
 * there, and the teardown of the namespaces is hidden in the wait. It is not a benchmark of runtimes.
 *
 *   parts N PROGRAM           medians over N in us, rows of a Markdown table; PROGRAM must need no arguments
 *   parts --maxrss COMMAND... peak resident memory of COMMAND and what it waits for, in KiB, on standard error
 *
 * Built by: gcc -O2 -static -o parts parts.c
 */
#define _GNU_SOURCE
#include "spawn.h"
#include <sys/resource.h>

static const char *program;

static void just_exit(void)
{
	_exit(0);
}

static void just_exec(void)
{
	char *argv[] = { (char *)program, NULL };
	must(execve(program, argv, argv + 1), "execute", program);
}

static void parts(size_t count)
{
	static const struct {
		const char *name;
		uint64_t flags;
		void (*body)(void);
	} table[] = {
		{ "clone, exit, wait", 0, just_exit },
		{ "the same in a new uts namespace", CLONE_NEWUTS, just_exit },
		{ "the same in a new ipc namespace", CLONE_NEWIPC, just_exit },
		{ "the same in a new pid namespace", CLONE_NEWPID, just_exit },
		{ "the same in a new mount namespace", CLONE_NEWNS, just_exit },
		{ "the same in a new network namespace", CLONE_NEWNET, just_exit },
		{ "the same in all five", CLONE_NEWUTS | CLONE_NEWIPC | CLONE_NEWPID | CLONE_NEWNS | CLONE_NEWNET, just_exit },
		{ "clone, execve of the program, its exit, wait", 0, just_exec },
	};
	int64_t *samples = samples_for(count);
	for (size_t t = 0; t < COUNT(table); t++) {
		for (size_t i = 0; i < count; i++) {
			int64_t begin = now();
			must_be_zero(wait_for(spawn(table[t].flags, -1, 1, table[t].body)), table[t].name);
			samples[i] = now() - begin;
		}
		printf("| %s | %.0f |\n", table[t].name, median(samples, count) / 1e3);
	}
}

/*
 * The kernel counts the memory of the process that spawns into the peak of the spawned one (exec keeps the larger), so a
 * benchmark of some MiB cannot measure a runtime of one. This program is small enough to.
 */
static int maxrss(char **command)
{
	struct rusage usage;
	int status;
	pid_t pid = must(vfork(), "fork", command[0]);
	if (pid == 0) {
		execvp(command[0], command);
		_exit(127);
	}
	must(wait4(pid, &status, 0, &usage), "wait for", command[0]);
	dprintf(2, "maxrss %ld\n", usage.ru_maxrss);
	return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

int main(int argc, char **argv)
{
	if (argc > 2 && !strcmp(argv[1], "--maxrss"))
		return maxrss(argv + 2);
	long count = argc == 3 ? atol(argv[1]) : 0;
	if (count < 1) {
		dprintf(2, "usage: parts N PROGRAM\n       parts --maxrss COMMAND [ARGUMENT...]\n");
		return 2;
	}
	program = argv[2];
	parts(count);
	return 0;
}
