/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "clusterd/clusterd.h"
#include "clusterd/logging.h"

#include <errno.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

/* Fence devices' passwords are in memory: neither a core file nor another process shall read them.
 */
static void keep_secrets(void)
{
	const struct rlimit none = {0, 0};

	if (setrlimit(RLIMIT_CORE, &none) < 0 || prctl(PR_SET_DUMPABLE, 0) < 0)
		log_warning("core dumps cannot be switched off: %s", strerror(errno));
}

int main(int argc, char **argv)
{
	struct options options;
	enum hv_rc rc;

	options_parse(&options, argc, argv);
	umask(077);
	logging_init(options.foreground, options.log_level, options.state_dir);
	keep_secrets();
	if (geteuid() != 0) {
		log_error("clusterd must be started by root: it controls VMs and fence devices");
		return hv_rc_exit_status(HV_NOT_PERMITTED);
	}
	log_notice("clusterd " HV_VERSION " starting");
	rc = clusterd_run(&options);
	logging_done();
	return hv_rc_exit_status(rc);
}
