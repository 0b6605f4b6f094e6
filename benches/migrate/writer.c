/* writer MIB KIB-A-MS: memory that keeps changing, and how long it did not. It fills MIB mebibytes with what cannot be
 * compressed, touches so many KiB of them in each millisecond, and writes its longest pause in milliseconds to /pause, and
 * how many rounds it has made to /rounds. Time is the machine's (CLOCK_REALTIME), so that it is the same before and after a
 * migration between two roots of one machine. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <time.h>

static int64_t now(void) {
    struct timespec time;
    clock_gettime(CLOCK_REALTIME, &time);
    return (int64_t)time.tv_sec * 1000000 + time.tv_nsec / 1000;
}

static void say(const char *path, const char *fresh, long number) {
    FILE *file = fopen(fresh, "w");
    if (file) {
        fprintf(file, "%ld\n", number);
        fclose(file);
        rename(fresh, path);
    }
}

int main(int argc, char **argv) {
    size_t size = (size_t)(argc > 1 ? atol(argv[1]) : 256) << 20;
    size_t step = (size_t)(argc > 2 ? atol(argv[2]) : 4) << 10;
    uint64_t *memory = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (memory == MAP_FAILED)
        return 1;
    uint64_t seed = 88172645463325252u;
    for (size_t i = 0; i < size / 8; i++) {
        seed ^= seed << 13, seed ^= seed >> 7, seed ^= seed << 17;
        memory[i] = seed;
    }
    /* Most writes go to a part of the memory, as programs do: an eighth of it. */
    size_t at = 0, part = size / 8;
    int64_t last = now(), longest = 0, told = 0;
    for (long round = 1;; round++) {
        for (size_t done = 0; done < step; done += 4096, at = (at + 4096) % part)
            memory[at / 8]++;
        struct timespec pause = {0, 1000000};
        nanosleep(&pause, NULL);
        int64_t here = now();
        if (here - last > longest) {
            longest = here - last;
            say("/pause", "/pause.new", (long)(longest / 1000));
        }
        last = here;
        if (here - told > 50000) {
            say("/rounds", "/rounds.new", round);
            told = here;
        }
    }
}
