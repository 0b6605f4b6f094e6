/*
 * What floor.c and parts.c share: checked calls, the clock, the median, and a clone3 that behaves like vfork.
 *
 * Not a header for others: everything is static, each program includes it once.
 */
#ifndef FLOOR_SPAWN_H
#define FLOOR_SPAWN_H

#include <errno.h>
#include <linux/sched.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))
#define STACK_SIZE (256 * 1024)

/* Where a child says that it cannot go on, for a parent that would otherwise wait for its `ready`; -1: nowhere. */
static int alarm_fd = -1;

/* Every return code goes through here. _exit: in the child, the stdio buffers are the parent's. */
static long must(long result, const char *doing, const char *object)
{
	if (result < 0) {
		dprintf(2, "floor: %s %s: %s\n", doing, object, strerror(errno));
		if (alarm_fd >= 0 && write(alarm_fd, "", 1) < 0)
			dprintf(2, "floor: tell the parent: %s\n", strerror(errno));
		_exit(1);
	}
	return result;
}

static int64_t now(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * INT64_C(1000000000) + t.tv_nsec;
}

static int ascending(const void *a, const void *b)
{
	int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
	return (x > y) - (x < y);
}

static int64_t median(int64_t *samples, size_t count)
{
	qsort(samples, count, sizeof *samples, ascending);
	return count % 2 ? samples[count / 2] : (samples[count / 2 - 1] + samples[count / 2]) / 2;
}

static int64_t *samples_for(size_t count)
{
	int64_t *samples = calloc(count, sizeof *samples);
	if (!samples)
		must(-1, "allocate", "samples");
	return samples;
}

/*
 * clone3 into `body`. Where the few instructions for an own stack are written, the child shares the parent's memory (no
 * page table is copied) and, unless the parent has to go on before the exec, suspends it: what vfork does, with flags.
 * -DFLOOR_FORK shows what the plain way costs.
 */
static pid_t spawn(uint64_t namespaces, int cgroup, int suspend, void (*body)(void))
{
	static char *stack;
	struct clone_args args = { .flags = namespaces, .exit_signal = SIGCHLD };
	long pid;
	if (cgroup >= 0) {
		args.flags |= CLONE_INTO_CGROUP;
		args.cgroup = cgroup;
	}
#if defined(__x86_64__) && !defined(FLOOR_FORK)
	if (!stack)
		stack = mmap(NULL, STACK_SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_STACK, -1, 0);
	if (stack == MAP_FAILED)
		must(-1, "map", "stack");
	args.flags |= CLONE_VM | (suspend ? CLONE_VFORK : 0);
	args.stack = (uintptr_t)stack;
	args.stack_size = STACK_SIZE;
	register void (*entry)(void) __asm__("r12") = body;
	__asm__ volatile("syscall\n\t"
	                 "test %%rax, %%rax\n\t"
	                 "jnz 1f\n\t"
	                 "xor %%ebp, %%ebp\n\t"
	                 "call *%%r12\n\t"
	                 "ud2\n"
	                 "1:"
	                 : "=a"(pid)
	                 : "a"(SYS_clone3), "D"(&args), "S"(sizeof args), "r"(entry)
	                 : "rcx", "r11", "memory", "cc");
	if (pid < 0) {
		errno = -pid;
		pid = -1;
	}
#else
	(void)stack;
	(void)suspend;
	pid = syscall(SYS_clone3, &args, sizeof args);
	if (pid == 0) {
		body();
		_exit(1);
	}
#endif
	return must(pid, "clone", "child");
}

static int wait_for(pid_t pid)
{
	int status;
	must(waitpid(pid, &status, 0), "wait for", "child");
	return status;
}

static void must_be_zero(int status, const char *what)
{
	if (status) {
		dprintf(2, "floor: %s: wait status %#x\n", what, status);
		_exit(1);
	}
}

#endif
