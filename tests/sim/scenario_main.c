/* SPDX-License-Identifier: GPL-2.0-or-later */
/* hvsim scenario FILE...: each file in a process of its own, so that one that dies is one that
 * failed. */
#include "tests/sim/scenario.h"
#include "tests/sim/child.h"

#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define FILE_MAX (1 << 20)
#define LONGEST_S 300 /* a file is played in well under a second */

enum { HOLDS = 0, FAILS = 1, UNUSABLE = 2 };

static char *slurp(const char *path, size_t *ret_len)
{
	FILE *f = fopen(path, "rb");
	char *text;

	if (!f)
		return NULL;
	text = hv_xcalloc(1, FILE_MAX + 1);
	*ret_len = fread(text, 1, FILE_MAX + 1, f);
	if (ferror(f) || *ret_len > FILE_MAX) {
		free(text);
		text = NULL;
	}
	fclose(f);
	return text;
}

static int play(const struct scenario *sc, FILE *trace)
{
	_cleanup_free_ char *what = scenario_play(sc, trace);

	if (what)
		printf("FAILED %s: %s\n", sc->id, what);
	else
		printf("ok %s\n", sc->id);
	return what ? FAILS : HOLDS;
}

/* Its own process: what it prints is one line. */
static int play_apart(const struct scenario *sc, FILE *trace)
{
	int status = 0;
	pid_t pid;

	fflush(stdout);
	pid = fork();
	if (pid < 0) {
		printf("unusable %s: no process for it\n", sc->id);
		return UNUSABLE;
	}
	if (pid == 0) {
		int verdict;

		alarm(LONGEST_S);
		verdict = play(sc, trace);

		fflush(stdout);
		child_end(verdict);
	}
	if (waitpid(pid, &status, 0) == pid && WIFEXITED(status))
		return WEXITSTATUS(status);
	printf("FAILED %s: the simulator died (signal %d)\n", sc->id,
	       WIFSIGNALED(status) ? WTERMSIG(status) : 0);
	return FAILS;
}

static int one_file(const char *path, FILE *trace)
{
	struct scenario *sc = NULL;
	_cleanup_free_ char *why = NULL, *text = NULL;
	size_t len = 0;
	int verdict;

	text = slurp(path, &len);
	if (!text) {
		printf("unusable %s: cannot be read, or is larger than 1 MiB\n", path);
		return UNUSABLE;
	}
	if (scenario_read(text, len, &sc, &why) != HV_OK) {
		printf("unusable %s: %s\n", path, why ? why : "?");
		return UNUSABLE;
	}
	verdict = play_apart(sc, trace);
	scenario_free(sc);
	return verdict;
}

int scenario_main(int argc, char **argv)
{
	FILE *trace = argc > 0 && strcmp(argv[0], "--trace") == 0 ? stdout : NULL;
	int worst = HOLDS, first = trace ? 1 : 0;

	if (first >= argc) {
		fputs("usage: hvsim scenario [--trace] FILE...\n", stderr);
		return UNUSABLE;
	}
	for (int i = first; i < argc; i++) {
		int verdict = one_file(argv[i], trace);

		fflush(stdout);
		worst = verdict > worst ? verdict : worst;
	}
	return worst;
}
