/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "clusterd/clusterd_priv.h"

#include "clusterd/host_time.h"
#include "clusterd/logging.h"
#include "proto/ipc.h"

#include "fence/fence_agent.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define COROSYNC_RETRY_US (300 * HV_US_PER_MS)

void clusterd_end(struct clusterd *d, enum hv_rc rc)
{
	d->end = rc;
	qb_loop_stop(d->loop);
}

/* ---- joining */

static void try_to_join(void *user);

static void on_nodes_changed(void *user, const struct nodelist *list)
{
	struct clusterd *d = user;

	if (memcmp(list, &d->list, sizeof(*list)) == 0)
		return;
	log_notice("corosync: the node list has %zu nodes now", list->n_nodes);
	if (list->self == 0)
		log_error("this node is no longer in corosync's node list");
	d->list = *list;
	clusterd_watch_recheck(d);
	driver_nodes_changed(d->driver, list);
	driver_wake(d->driver);
}

/* Waits without end: corosync may be started an hour later, by hand. */
static void wait_for_corosync(struct clusterd *d, const char *why)
{
	if (!d->waiting_for) {
		log_notice("waiting for corosync: %s", why);
		notify_status(d->notify, "waiting for corosync");
		d->waiting_for =
		    hv_xstrdup("corosync is not running on this node; clusterd waits for it");
	}
	qb_loop_timer_add(d->loop, QB_LOOP_MED, COROSYNC_RETRY_US * 1000, d, try_to_join,
			  &d->retry);
}

static void join(struct clusterd *d)
{
	_cleanup_free_ char *text = NULL;
	enum hv_rc rc;

	free(d->waiting_for);
	d->waiting_for = NULL;
	corosync_hold_token(d->hold, d->list.token_ms);
	d->executor = executor_new(d->loop, d->list.self, &clusterd_executor_ops, d);
	d->guard = guard_new(&clusterd_guard_ops, d);
	rc = clusterd_watch_start(d);
	if (rc != HV_OK) {
		clusterd_end(d, rc);
		return;
	}
	rc = driver_open(d->loop, d->options->state_dir, (uint64_t)d->options->history_mib << 20,
			 &d->list, &clusterd_driver_ops, d, &d->driver, &text);
	if (rc != HV_OK) {
		log_error("the log store in %s cannot be opened: %s", d->options->state_dir,
			  text ? text : hv_rc_text(rc));
		clusterd_end(d, rc);
		return;
	}
	intake_set_self(d->intake, d->list.self, driver_incarnation(d->driver));
	if (d->feeder)
		feeder_set_self(d->feeder, d->list.self, driver_incarnation(d->driver));
	log_notice("node %u of cluster '%s', incarnation %llu", d->list.self, d->list.cluster,
		   (unsigned long long)driver_incarnation(d->driver));
	d->watch = nodelist_watch_new(d->loop, on_nodes_changed, d);
	driver_wake(d->driver);
}

static void try_to_join(void *user)
{
	struct clusterd *d = user;
	_cleanup_free_ char *text = NULL;
	enum hv_rc rc = nodelist_read(&d->list, &text);

	d->retry = 0;
	if (rc == HV_OK) {
		join(d);
		return;
	}
	if (rc == HV_COROSYNC_DOWN) {
		wait_for_corosync(d, text ? text : hv_rc_text(rc));
		return;
	}
	log_error("%s", text ? text : hv_rc_text(rc));
	clusterd_end(d, rc);
}

/* ---- signals */

static int32_t on_stop_signal(int32_t sig, void *user)
{
	struct clusterd *d = user;
	bool again = d->farewell != NULL;

	/* A host that goes down says so before, if there is someone to say it to. */
	if (sig == SIGTERM && !again && d->driver && driver_current(d->driver))
		d->farewell = farewell_begin(d->loop, &clusterd_farewell_ops, d);
	if (d->farewell && !again) {
		log_notice("signal %d: asking systemd whether this host goes down", sig);
		return 0;
	}
	log_notice("signal %d: stopping; VMs go on", sig);
	clusterd_leave(d);
	return 0;
}

static int32_t on_dump_signal(int32_t sig, void *user)
{
	logging_dump("asked for by a signal");
	return 0;
}

static void catch_signals(struct clusterd *d)
{
	signal(SIGPIPE, SIG_IGN);
	qb_loop_signal_add(d->loop, QB_LOOP_HIGH, SIGTERM, d, on_stop_signal, NULL);
	qb_loop_signal_add(d->loop, QB_LOOP_HIGH, SIGINT, d, on_stop_signal, NULL);
	qb_loop_signal_add(d->loop, QB_LOOP_LOW, SIGUSR1, d, on_dump_signal, NULL);
}

/* ---- life */

static void read_boot_id(char *ret, size_t size)
{
	int fd = open("/proc/sys/kernel/random/boot_id", O_RDONLY | O_CLOEXEC);
	ssize_t n = fd >= 0 ? read(fd, ret, size - 1) : -1;

	ret[n > 0 ? n : 0] = '\0';
	ret[strcspn(ret, "\n")] = '\0';
	if (fd >= 0)
		close(fd);
}

/* With those above it. False: errno says why. */
static bool make_folder(const char *path)
{
	_cleanup_free_ char *part = hv_xstrdup(path);

	for (char *slash = strchr(part + 1, '/'); slash; slash = strchr(slash + 1, '/')) {
		*slash = '\0';
		if (mkdir(part, 0755) < 0 && errno != EEXIST)
			return false;
		*slash = '/';
	}
	return mkdir(path, 0700) == 0 || errno == EEXIST;
}

/* It is installed beside hypervisord. */
static void find_ipmitool(const char *hypervisord)
{
	const char *slash = strrchr(hypervisord, '/');
	_cleanup_free_ char *path =
	    slash ? hv_xasprintf("%.*s/ipmitool-quiet", (int)(slash - hypervisord), hypervisord)
		  : NULL;

	if (!fence_agent_ipmitool(path))
		log_warning("%s is not there: fence_ipmilan will give passwords to ipmitool as "
			    "arguments, which others can see for a moment",
			    path ? path : "ipmitool-quiet");
}

static enum hv_rc start(struct clusterd *d)
{
	_cleanup_free_ char *text = NULL;
	char boot_id[64];

	if (!make_folder(d->options->state_dir)) {
		log_error("%s cannot be made: %s", d->options->state_dir, strerror(errno));
		return HV_IO;
	}
	d->notify = notify_new(d->loop);
	d->control = control_new(d->loop, &clusterd_control_ops, d);
	d->ipc = ipc_server_new(d->loop, HV_IPC_NAME, &clusterd_ipc_ops, d, &text);
	if (!d->ipc) {
		log_error("%s", text);
		return HV_BUSY;
	}
	read_boot_id(boot_id, sizeof(boot_id));
	d->intake = intake_new(boot_id, &clusterd_intake_ops, d);
	d->hold = corosync_hold_new(
	    d->loop, &(struct corosync_hold_config){.program = d->options->corosync_control,
						    .state_dir = d->options->state_dir,
						    .boot_id = boot_id});
	d->watchlist = watchlist_new(&clusterd_watchlist_ops, d);
	find_ipmitool(d->options->hypervisord);
	d->hv = hv_client_new(d->loop, d->options->hypervisord, d->options->libvirt_uri,
			      d->options->state_dir, &clusterd_hv_ops, d);
	notify_ready(d->notify);
	try_to_join(d);
	return HV_OK;
}

static void stop(struct clusterd *d)
{
	if (d->notify)
		notify_stopping(d->notify);
	if (d->retry)
		qb_loop_timer_del(d->loop, d->retry);
	if (d->due)
		qb_loop_timer_del(d->loop, d->due);
	farewell_free(d->farewell);
	nodelist_watch_free(d->watch);
	ipc_server_free(d->ipc);
	control_free(d->control);
	executor_free(d->executor);
	guard_free(d->guard);
	clusterd_watch_stop(d);
	driver_close(d->driver);
	corosync_hold_free(d->hold);
	force_done(&d->force);
	hv_client_free(d->hv);
	intake_free(d->intake);
	watchlist_free(d->watchlist);
	notify_free(d->notify);
	free(d->waiting_for);
}

enum hv_rc clusterd_run(const struct options *options)
{
	struct clusterd *d = hv_xcalloc(1, sizeof(*d));
	enum hv_rc rc;

	d->options = options;
	d->loop = qb_loop_create();
	hv_assert(d->loop);
	catch_signals(d);
	rc = start(d);
	/* An error in start() that came from a part has asked the loop to stop before it ran. */
	if (rc == HV_OK && d->end == HV_OK)
		qb_loop_run(d->loop);
	if (rc == HV_OK)
		rc = d->end;
	stop(d);
	qb_loop_destroy(d->loop);
	free(d);
	log_notice("stopped");
	return rc;
}
