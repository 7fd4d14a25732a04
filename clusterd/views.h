/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * views.h - the cluster's state as answers to clients: reads, never writes, decides nothing.
 *
 * No clock, no I/O. Each function fills the body of `r`, a response whose strings and arrays are
 * malloc'ed (hv__control_response__free_unpacked() frees it), or returns a code with r->text and
 * r->hint set. An answer stays below VIEW_BYTES packed: lists are cut there and say so. Secrets of
 * fence devices never appear; their names do.
 */
#ifndef HV_CLUSTERD_VIEWS_H
#define HV_CLUSTERD_VIEWS_H

#include "clusterd/progress.h"
#include "proto/control.pb-c.h"
#include "quorum/forecast.h"
#include "quorum/nodelist.h"
#include "resource/brain.h"

#define VIEW_BYTES (HV_IPC_MAX - 8192)

struct view {
	const struct cluster *c;
	const struct rl_status *status;
	const struct progress *progress;
	hv_node_id self;
	bool
	    current; /* this node is part of the active cluster, and its state is the present one */
	uint64_t now_us;
	const char *cluster_name;
	const struct nodelist *list;   /* corosync's; NULL: not known. The state may be younger */
	const struct vote_info *votes; /* NULL: not known */
	uint64_t stuck_ms;	       /* for so long there has been nobody to act with */
	const char *local_reason;      /* why not current; NULL when it is */
	const char *const *warnings;   /* of this node; the cluster's own are added */
	size_t n_warnings;
};

enum hv_rc view_status(const struct view *v, Hv__ControlResponse *r);
enum hv_rc view_vm_list(const struct view *v, const Hv__VmListRequest *req, Hv__ControlResponse *r);
enum hv_rc view_vm_show(const struct view *v, const Hv__VmShowRequest *req, Hv__ControlResponse *r);
enum hv_rc view_node_show(const struct view *v, const Hv__NodeShowRequest *req,
			  Hv__ControlResponse *r);
enum hv_rc view_op(const struct view *v, hv_op_id id, Hv__ControlResponse *r);
enum hv_rc view_events(const struct view *v, const Hv__EventsRequest *req, Hv__ControlResponse *r);
enum hv_rc view_report(const struct view *v, const Hv__ReportRequest *req, Hv__ControlResponse *r);
enum hv_rc view_fence_list(const struct view *v, const Hv__FenceListRequest *req,
			   Hv__ControlResponse *r);
enum hv_rc view_rule_list(const struct view *v, const Hv__RuleListRequest *req,
			  Hv__ControlResponse *r);
enum hv_rc view_quorum(const struct view *v, Hv__ControlResponse *r);
/* How many more nodes, whichever they are; *ret_text says it (malloc'ed). */
uint32_t view_may_lose(const struct view *v, char **ret_text);
enum hv_rc view_settings(const struct view *v, Hv__ControlResponse *r);

/* A code with its texts; `text` is formatted, `hint` is taken as it is and may be NULL. */
enum hv_rc view_fail(Hv__ControlResponse *r, enum hv_rc rc, const char *hint, const char *fmt, ...)
    _printf_(4, 5);
/* What of an operation a waiting client wants to hear about: changes when that does. */
uint64_t view_op_fingerprint(const struct view *v, hv_op_id id, bool *ret_ended);

/*
 * Our own share of a failover, in µs: from the moment the membership change reached us until the
 * VM of `vms[which]` ran, without the time in which the fence agent ran or libvirt started a VM.
 */
uint64_t view_own_share_us(const struct failover *f, uint64_t until_us);

#endif
