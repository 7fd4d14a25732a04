/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * options.h - clusterd's command line. Everything that is the cluster's is a setting in the
 * replicated state; here is only what this process needs to start.
 */
#ifndef HV_CLUSTERD_OPTIONS_H
#define HV_CLUSTERD_OPTIONS_H

#include <stdbool.h>

struct options {
	bool foreground;	      /* log to stderr instead of syslog */
	int log_level;		      /* syslog's LOG_* */
	const char *state_dir;	      /* log store and blackbox */
	const char *hypervisord;      /* path of the program */
	const char *corosync_control; /* program; empty: corosync is never taken down */
	unsigned history_mib;	      /* bound of what is kept for replay, 0: nothing */
	const char *watchdog;	      /* device; NULL: none */
	bool watchdog_any_file;
	unsigned watchdog_timeout_s, watchdog_lease_ms; /* 0: as suits corosync's timeouts */
	const char *libvirt_uri; /* handed to hypervisord; NULL: its own default */
};

/* Fills `ret`; exits by itself with status 2 on a bad command line, as argp does. */
void options_parse(struct options *ret, int argc, char **argv);

#endif
