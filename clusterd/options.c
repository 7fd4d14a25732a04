/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "clusterd/options.h"

#include "clusterd/history.h"
#include "proto/base.h"

#define HISTORY_MIB_MAX 1048576U

#include <argp.h>
#include <string.h>
#include <syslog.h>

#ifndef HV_STATE_DIR
#define HV_STATE_DIR "/var/lib/hvcluster"
#endif
#ifndef HV_LIBEXEC_DIR
#define HV_LIBEXEC_DIR "/usr/libexec/hvcluster"
#endif

/* libc looks for these: they must be seen outside the program, whatever the compiler's preset. */
extern const char *argp_program_version __attribute__((visibility("default")));
extern error_t argp_err_exit_status __attribute__((visibility("default")));
const char *argp_program_version = "clusterd (hvcluster) " HV_VERSION;
error_t argp_err_exit_status = 2;

enum {
	KEY_STATE_DIR = 256,
	KEY_HYPERVISORD,
	KEY_LOG_LEVEL,
	KEY_LIBVIRT_URI,
	KEY_HISTORY,
	KEY_COROSYNC,
	KEY_WATCHDOG,
	KEY_WATCHDOG_TIMEOUT,
	KEY_WATCHDOG_LEASE,
	KEY_WATCHDOG_ANY_FILE
};

static const struct argp_option option_table[] = {
    {"foreground", 'f', NULL, 0, "Log to standard error instead of syslog", 0},
    {"state-dir", KEY_STATE_DIR, "DIR", 0,
     "Where this node keeps its log (default " HV_STATE_DIR ")", 0},
    {"hypervisord", KEY_HYPERVISORD, "PATH", 0,
     "The program that talks to libvirt (default " HV_LIBEXEC_DIR "/hypervisord)", 0},
    {"corosync-control", KEY_COROSYNC, "PATH", 0,
     "The program that stops and starts corosync on a host that disturbs the others "
     "(default " HV_LIBEXEC_DIR "/corosync-control; empty: never)",
     0},
    {"log-level", KEY_LOG_LEVEL, "LEVEL", 0, "error, warning, notice, info (default) or debug", 0},
    {"history", KEY_HISTORY, "MIB", 0,
     "Keep so much of what happened for 'hvcluster replay' (default 64, 0: nothing)", 0},
    {"watchdog", KEY_WATCHDOG, "DEVICE", 0,
     "Have this host reset by it (/dev/watchdog0) when it is no working member (default: none)", 0},
    {"watchdog-timeout", KEY_WATCHDOG_TIMEOUT, "S", 0,
     "After so many seconds (default 5, or more if the lease is long)", 0},
    {"watchdog-lease", KEY_WATCHDOG_LEASE, "MS", 0,
     "Feed it for so long after the latest sign of the others (default: corosync's token + "
     "consensus + 500)",
     0},
    {"watchdog-any-file", KEY_WATCHDOG_ANY_FILE, NULL, 0,
     "DEVICE need not be a character device: for tests", 0},
    {"libvirt-uri", KEY_LIBVIRT_URI, "URI", 0, "What hypervisord connects to", 0},
    {0},
};

static const struct {
	const char *name;
	int level;
} levels[] = {
    {"error", LOG_ERR}, {"warning", LOG_WARNING}, {"notice", LOG_NOTICE},
    {"info", LOG_INFO}, {"debug", LOG_DEBUG},
};

static void parse_level(struct options *o, const char *arg, struct argp_state *state)
{
	for (size_t i = 0; i < ARRAY_SIZE(levels); i++) {
		if (strcmp(levels[i].name, arg) == 0) {
			o->log_level = levels[i].level;
			return;
		}
	}
	argp_error(state, "'%s' is not a log level; say error, warning, notice, info or debug",
		   arg);
}

static unsigned parse_number(const char *option, unsigned min, unsigned max, const char *arg,
			     struct argp_state *state)
{
	char *end = NULL;
	unsigned long n = strtoul(arg, &end, 10);

	if (*arg < '0' || *arg > '9' || *end || n < min || n > max)
		argp_error(state, "--%s takes a whole number from %u to %u, not '%s'", option, min,
			   max, arg);
	return (unsigned)n;
}

static void parse_history(struct options *o, const char *arg, struct argp_state *state)
{
	char *end = NULL;
	unsigned long n = strtoul(arg, &end, 10);

	if (*arg < '0' || *arg > '9' || *end || n > HISTORY_MIB_MAX)
		argp_error(state, "--history takes a whole number from 0 to %u, not '%s'",
			   HISTORY_MIB_MAX, arg);
	o->history_mib = (unsigned)n;
}

static error_t parse_one(int key, char *arg, struct argp_state *state)
{
	struct options *o = state->input;

	switch (key) {
	case 'f':
		o->foreground = true;
		return 0;
	case KEY_STATE_DIR:
		o->state_dir = arg;
		return 0;
	case KEY_HYPERVISORD:
		o->hypervisord = arg;
		return 0;
	case KEY_COROSYNC:
		o->corosync_control = arg;
		return 0;
	case KEY_LOG_LEVEL:
		parse_level(o, arg, state);
		return 0;
	case KEY_HISTORY:
		parse_history(o, arg, state);
		return 0;
	case KEY_WATCHDOG:
		o->watchdog = *arg ? arg : NULL;
		return 0;
	case KEY_WATCHDOG_TIMEOUT:
		o->watchdog_timeout_s = parse_number("watchdog-timeout", 2, 600, arg, state);
		return 0;
	case KEY_WATCHDOG_LEASE:
		o->watchdog_lease_ms = parse_number("watchdog-lease", 500, 60000, arg, state);
		return 0;
	case KEY_WATCHDOG_ANY_FILE:
		o->watchdog_any_file = true;
		return 0;
	case KEY_LIBVIRT_URI:
		o->libvirt_uri = arg;
		return 0;
	case ARGP_KEY_ARG:
		argp_error(state, "'%s' is one word too many", arg);
		return 0;
	default:
		return ARGP_ERR_UNKNOWN;
	}
}

void options_parse(struct options *ret, int argc, char **argv)
{
	static const struct argp argp = {
	    .options = option_table,
	    .parser = parse_one,
	    .doc = "The hvcluster daemon: a member of the cluster, beside corosync.",
	};

	*ret = (struct options){
	    .log_level = LOG_INFO,
	    .state_dir = HV_STATE_DIR,
	    .history_mib = HISTORY_MIB,
	    .hypervisord = HV_LIBEXEC_DIR "/hypervisord",
	    .corosync_control = HV_LIBEXEC_DIR "/corosync-control",
	};
	argp_parse(&argp, argc, argv, 0, NULL, ret);
}
