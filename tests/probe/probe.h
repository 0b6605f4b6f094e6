/*
 * What the probe's files share: the table of facts that they fill, and the small words for values.
 *
 * Not a library: nothing outside this directory includes it.
 */
#ifndef PROBE_H
#define PROBE_H

/* Puts one fact; a key that is there already gets "#2", "#3", ... behind it. */
void put(const char *key, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* A formatted key; the text lives until eight more were made. */
const char *keyf(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* The name of an errno value, "ok" for 0: `EROFS`. */
const char *error_name(int error);

/* What open(path, flags) gives: "ok" or the errno's name. */
const char *try_open(const char *path, int flags);

/* Reads a file's first bytes without its last newline into buffer; -1 with errno when it cannot be read. */
int read_text(const char *path, char *buffer, int size);

void process_facts(void);	/* process.c: ids, rights, limits, signals, session, descriptors */
void mount_facts(void);		/* places.c: mountinfo, and whether each mount can be written */
void place_facts(void);		/* places.c: devices, masked and read-only paths, sysctls, the root */
void kernel_facts(void);	/* places.c: namespaces, cgroups, names, network */
void path_fact(const char *path);	/* places.c: one path that the caller asks about */

/* helpers.c: what a test needs beside the container, as programs of its own; each returns the exit status. */
int hold(void);
int receive_console(const char *socket_path);
int run_dirty(char **command);
int run_with_descriptors(int number, int listening, char **command);
int keep_company(int user);
int run_in_pty(char **command);

#endif
