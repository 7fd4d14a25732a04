/* SPDX-License-Identifier: GPL-2.0-or-later */
/* options.h - hypervisord's command line, which clusterd composes (`hypervisord --help` has the
 * list). */
#ifndef HV_HYPERVISOR_OPTIONS_H
#define HV_HYPERVISOR_OPTIONS_H

#include <stdint.h>

struct options {
	int fd;				       /* the socket to clusterd */
	int log_level;			       /* LOG_*, as syslog.h has them */
	const char *uri, *run_dir, *state_dir; /* borrowed from argv, or constants */
	unsigned workers;		       /* 1 to 64 */
	uint64_t reserve_mib;		       /* 0: as the host's memory says (health.h) */
};

/* Fills in what is preset, too. Ends the program with a message when the command line is wrong. */
void options_parse(struct options *ret, int argc, char **argv);

#endif
