/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "clusterd/logging.h"

#include <signal.h>
#include <stdio.h>
#include <syslog.h>
#include <unistd.h>

#define BLACKBOX_BYTES (256 * 1024)

static char dump_path[4096];

static void dump_on_panic(const char *file, int line, const char *what)
{
	log_error("internal error at %s:%d: %s", file, line, what);
	logging_dump("an assertion failed");
}

/* A fatal signal: what libqb does here is not async-signal-safe, but the process is lost anyway. */
static void dump_on_signal(int sig)
{
	signal(sig, SIG_DFL);
	logging_dump("a fatal signal");
	raise(sig);
}

static void catch_fatal_signals(void)
{
	static const int fatal[] = {SIGSEGV, SIGBUS, SIGILL, SIGFPE};
	struct sigaction sa = {.sa_handler = dump_on_signal, .sa_flags = SA_NODEFER};

	for (size_t i = 0; i < ARRAY_SIZE(fatal); i++) {
		struct sigaction old;

		/* Sanitizers bring handlers of their own, which say more. */
		if (sigaction(fatal[i], NULL, &old) == 0 && old.sa_handler == SIG_DFL)
			sigaction(fatal[i], &sa, NULL);
	}
}

void logging_init(bool to_stderr, int level, const char *dir)
{
	int target = to_stderr ? QB_LOG_STDERR : QB_LOG_SYSLOG;

	snprintf(dump_path, sizeof(dump_path), "%s/clusterd.blackbox", dir);
	qb_log_init("clusterd", LOG_DAEMON, level);
	qb_log_ctl(QB_LOG_SYSLOG, QB_LOG_CONF_ENABLED, QB_FALSE);
	qb_log_filter_ctl(target, QB_LOG_FILTER_CLEAR_ALL, QB_LOG_FILTER_FILE, "*", LOG_TRACE);
	qb_log_filter_ctl(target, QB_LOG_FILTER_ADD, QB_LOG_FILTER_FILE, "*", (uint8_t)level);
	qb_log_format_set(target, to_stderr ? "%T [%P] %-7p %b" : "%b");
	qb_log_ctl(target, QB_LOG_CONF_ENABLED, QB_TRUE);

	qb_log_filter_ctl(QB_LOG_BLACKBOX, QB_LOG_FILTER_ADD, QB_LOG_FILTER_FILE, "*", LOG_DEBUG);
	qb_log_ctl(QB_LOG_BLACKBOX, QB_LOG_CONF_SIZE, BLACKBOX_BYTES);
	qb_log_ctl(QB_LOG_BLACKBOX, QB_LOG_CONF_THREADED, QB_FALSE);
	qb_log_ctl(QB_LOG_BLACKBOX, QB_LOG_CONF_ENABLED, QB_TRUE);

	hv_on_panic = dump_on_panic;
	catch_fatal_signals();
}

void logging_dump(const char *why)
{
	if (!dump_path[0])
		return;
	unlink(dump_path); /* libqb refuses to write over an older one */
	if (qb_log_blackbox_write_to_file(dump_path) > 0)
		log_notice("blackbox written to %s (%s)", dump_path, why);
}

void logging_done(void)
{
	hv_on_panic = NULL;
	qb_log_fini();
}
