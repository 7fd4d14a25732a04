/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * cli_harness.h - runs the hvcluster program in a child process against a server of our own that
 * speaks clusterd's socket and gives prepared answers.
 *
 * One run at a time. The service's name holds the process id, so tests run beside each other.
 */
#ifndef HV_TESTS_CLI_HARNESS_H
#define HV_TESTS_CLI_HARNESS_H

#include "proto/control.pb-c.h"
#include "proto/rc.h"

#include <stdbool.h>
#include <stdio.h>

#define RUN_MAX 65536

struct run {
	int status; /* exit status; 128 + signal */
	char out[RUN_MAX], err[RUN_MAX];
	unsigned requests; /* that reached the server */
	unsigned connections;
	long took_ms;
};

enum server_act {
	SERVER_ANSWER,	/* with what `ret` was filled with */
	SERVER_GARBLE,	/* with bytes that are no frame */
	SERVER_SHORT,	/* with a frame of which the end is missing */
	SERVER_DIE,	/* end all connections and the service, come back after server.back_ms */
	SERVER_SILENCE, /* no answer */
};

/* Fills `ret` (initialised) with pointers that outlive the call; `n` counts requests from 1. */
typedef enum server_act (*server_fn)(const Hv__ControlRequest *request, unsigned n,
				     Hv__ControlResponse *ret);

struct server {
	server_fn answer; /* NULL: nobody listens */
	unsigned back_ms;
	int refuse;	/* errno with which connections are refused */
	const char *in; /* the program's standard input; NULL: nothing */
	unsigned uid;	/* not 0: the server runs as this user (tests must be run by root) */
};

/* `line` is split at spaces; it begins with "hvcluster". The environment has no terminal and no
 * locale. */
struct run *cli_run(const struct server *server, const char *line);

/* The same for a function instead of the program: its result is the exit status. */
struct run *child_run(const struct server *server, int (*child)(const char *service, FILE *out));

/* Is `text` in it? Says where it looked if not. */
void must_have(const char *in, const char *text);
void must_lack(const char *in, const char *text);

#endif
