/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * options.h - every option of every command in one table, and the reader of a command line.
 *
 * A command says which options it takes (a set of enum option_id); the same name may mean different
 * things in different commands (--timeout), which then are different ids. The forms are those of
 * getopt_long(3): --name value, --name=value, -n value, options anywhere, "--" ends them.
 */
#ifndef HV_CLI_OPTIONS_H
#define HV_CLI_OPTIONS_H

#include "cli/output.h"
#include "proto/ids.h"
#include "proto/rc.h"

enum option_id {
	OPT_JSON,
	OPT_COLOR,
	OPT_HELP,
	OPT_WAIT,
	OPT_TIMEOUT, /* of --wait */
	OPT_NAME,
	OPT_PRIORITY,
	OPT_STOPPED,
	OPT_STOP_TIMEOUT,
	OPT_ON,
	OPT_TO,
	OPT_FORCE,
	OPT_STOP_FIRST,
	OPT_GRACE, /* vm stop --timeout */
	OPT_XML,
	OPT_NODE,
	OPT_AGENT,
	OPT_LEVEL,
	OPT_AGENT_TIMEOUT, /* fence add --timeout */
	OPT_OPTION,
	OPT_SECRET_FILE,
	OPT_SECRET_STDIN,
	OPT_YES,
	OPT_FOLLOW,
	OPT_LINES,
	OPT_SOFT,
	OPT_VM,
	OPT_EXECUTE,
	OPT_CANCEL,
	OPT_IGNORE,
	OPT_LOCAL,
	OPT_UNTIL,
	OPT_MAP,
	OPT_DELAY,
	OPT_DELAY_RANDOM,
	OPT_PROOF,
	OPT_REQUIRE,
	OPT_UNFENCE,
	OPT_ALL,
	OPT_OFF,
	N_OPTIONS,
};
typedef uint64_t option_set;
#define OPTION(id) ((option_set)1 << OPT_##id)
_Static_assert(N_OPTIONS <= 64, "a set of options has 64 bits");

/* Values given more than once. */
struct option_list {
	const char *items[HV_MAX_DEVICE_OPTIONS];
	size_t count;
};

struct options {
	option_set given; /* set of OPTION() */
	bool json, help, wait, stopped, force, stop_first, xml, yes, soft, follow;
	bool execute, cancel, ignore, local, unfence, all;
	const char *vm, *color, *name, *on, *to, *node, *agent, *map, *proof, *require, *off;
	uint32_t delay_s, delay_random_s;
	uint32_t timeout_s, stop_timeout_s, grace_s, level, agent_timeout_s, lines, until;
	int32_t priority;
	struct option_list option, secret_file, secret_stdin;
};

/*
 * Reads `argv` (argv[0] is skipped), of which the options in `allowed` are known. The other words
 * are moved to the front of `args` (room for argc), *ret_n of them; all point into argv. With
 * `stop_at_word` the first word that is no option ends the options: it and all after it are words.
 * On failure HV_USAGE or HV_BAD_INPUT and a sentence in *ret_why (the caller frees).
 */
enum hv_rc options_parse(struct options *o, option_set allowed, bool stop_at_word, int argc,
			 char **argv, const char **args, size_t *ret_n, char **ret_why);

/* Writes one line for each option of the set: "  --timeout S    ...". */
void options_describe(option_set set, const struct out *o);

/* A whole number in [min, max] and nothing else. */
bool options_number(const char *text, int64_t min, int64_t max, int64_t *ret);

#endif
