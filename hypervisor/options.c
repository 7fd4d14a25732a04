/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "hypervisor/options.h"

#include "proto/base.h"
#include "proto/ids.h"

#include <argp.h>
#include <stdlib.h>
#include <string.h>
#include <syslog.h>

#include "config.h"

static const char *const levels[] = {"emerg",	"alert",  "crit", "err",
				     "warning", "notice", "info", "debug"};

static error_t parse_option(int key, char *arg, struct argp_state *state)
{
	struct options *o = state->input;

	switch (key) {
	case 'f':
		o->fd = (int)strtol(arg, NULL, 10);
		return 0;
	case 'u':
		o->uri = arg;
		return 0;
	case 'w':
		o->workers = (unsigned)strtoul(arg, NULL, 10);
		if (o->workers < 1 || o->workers > 64)
			argp_error(state, "--workers must be 1 to 64");
		return 0;
	case 'r':
		o->reserve_mib = strtoull(arg, NULL, 10);
		return 0;
	case 'd':
		o->run_dir = arg;
		return 0;
	case 's':
		o->state_dir = arg;
		return 0;
	case 'l':
		for (int i = 0; i < (int)ARRAY_SIZE(levels); i++)
			if (strcmp(arg, levels[i]) == 0) {
				o->log_level = i;
				return 0;
			}
		argp_error(state, "--log-level must be err, warning, notice, info or debug");
		return 0;
	case ARGP_KEY_END:
		if (o->fd < 0)
			argp_error(state, "--fd is missing: hypervisord is started by clusterd");
		return 0;
	default:
		return ARGP_ERR_UNKNOWN;
	}
}

static const struct argp_option option_table[] = {
    {"fd", 'f', "N", 0, "The socket to clusterd", 0},
    {"uri", 'u', "URI", 0, "libvirt's URI (qemu:///system)", 0},
    {"workers", 'w', "N", 0, "Calls to libvirt at a time (6)", 0},
    {"reserve-mib", 'r', "N", 0, "Memory kept for the host itself (5 %, at least 512)", 0},
    {"run-dir", 'd', "DIR", 0, "Where starts under way are noted (" HV_RUN_DIR ")", 0},
    {"state-dir", 's', "DIR", 0, "Where the list of the cluster's VMs is (" HV_STATE_DIR ")", 0},
    {"log-level", 'l', "LEVEL", 0, "err, warning, notice, info (preset) or debug", 0},
    {0},
};
static const struct argp argp = {
    .options = option_table,
    .parser = parse_option,
    .doc = "The hypervisor layer of hvcluster. Started and supervised by clusterd.",
};
/* libc looks for it: it must be seen outside the program. */
extern const char *argp_program_version __attribute__((visibility("default")));
const char *argp_program_version = "hypervisord " PACKAGE_VERSION;

void options_parse(struct options *ret, int argc, char **argv)
{
	*ret = (struct options){.fd = -1,
				.log_level = LOG_INFO,
				.uri = "qemu:///system",
				.run_dir = HV_RUN_DIR,
				.state_dir = HV_STATE_DIR,
				.workers = 6};
	argp_parse(&argp, argc, argv, 0, NULL, ret);
}
