/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Whether the nodes can be fenced, and what keeps them from it. */
#include "clusterd/view_items.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

/* ---- a device */

static bool way_counts(const struct view *v, const struct node *victim, const struct fence_path *p)
{
	const struct node *n = cluster_node(v->c, p->node);

	return n && n->configured && n != victim;
}

/* Somebody who is there now has reached it, the last time he tried. */
static bool device_able(const struct view *v, const struct node *n, const struct fence_device *d)
{
	for (size_t i = 0; i < d->n_paths; i++) {
		const struct node *by = cluster_node(v->c, d->paths[i].node);

		if (way_counts(v, n, &d->paths[i]) && by->state == NODE_ONLINE &&
		    d->paths[i].rc == HV_OK)
			return true;
	}
	return false;
}

/* What a level, or a node, would come to if it were fenced now. */
enum ability {
	UNABLE,
	NO_PROOF, /* its devices work, one only waits, and seeing is demanded */
	WAITS,	  /* not seen off */
	SEES,
};

static enum ability level_ability(const struct view *v, const struct node *n, uint32_t level)
{
	bool any = false, waited = false;

	for (size_t i = 0; i < n->n_devices; i++) {
		const struct fence_device *d = n->devices[i];

		if (d->level != level)
			continue;
		if (!device_able(v, n, d))
			return UNABLE;
		any = true;
		waited = waited || d->waited;
	}
	if (!any || !waited)
		return any ? SEES : UNABLE;
	return cluster_must_see(v->c, n, level) ? NO_PROOF : WAITS;
}

/* The best of its levels. */
static enum ability node_ability(const struct view *v, const struct node *n)
{
	enum ability best = UNABLE;

	for (uint32_t level = 1; level <= HV_MAX_FENCE_LEVELS; level++) {
		enum ability is = level_ability(v, n, level);

		best = is > best ? is : best;
	}
	return best;
}

const char *view_fencing_word(const struct view *v, const struct node *n)
{
	enum ability is = node_ability(v, n);
	bool failed = false;

	if (!n->n_devices)
		return cluster_watchdog_proves(v->c, n) ? "watchdog" : "none";
	for (size_t i = 0; i < n->n_devices; i++)
		failed = failed || (n->devices[i]->tested && n->devices[i]->test_rc != HV_OK);
	if (failed)
		return "test-failed";
	return is == WAITS || is == NO_PROOF ? "waited" : "ready";
}

Hv__FencePathInfo *view_path_info(const struct view *v, const struct fence_path *p)
{
	Hv__FencePathInfo *i = hv_xcalloc(1, sizeof(*i));

	hv__fence_path_info__init(i);
	i->node = view_str(view_node_name(v, p->node));
	i->ok = p->rc == HV_OK;
	i->wall_ms = p->wall_ms;
	return i;
}

/* ---- the cluster */

static void oldest_test(const struct node *n, Hv__StatusResponse *s)
{
	for (size_t i = 0; i < n->n_devices; i++) {
		uint64_t at = n->devices[i]->test_wall_ms;

		if (n->devices[i]->tested &&
		    (!s->fence_checked_wall_ms || at < s->fence_checked_wall_ms))
			s->fence_checked_wall_ms = at;
	}
}

void view_fence_summary(const struct view *v, Hv__StatusResponse *s)
{
	for (size_t i = 0; i < cluster_node_count(v->c); i++) {
		const struct node *n = cluster_node_at(v->c, i);
		enum ability is = node_ability(v, n);

		if (!n->configured)
			continue;
		s->fence_hosts++;
		oldest_test(n, s);
		if (is != UNABLE) {
			s->fence_able++;
			s->fence_waited += is != SEES;
		} else if (cluster_watchdog_proves(v->c, n)) {
			s->fence_able++;
			s->fence_by_watchdog++;
		}
	}
}

/* ---- what needs somebody */

static void warn(char ***list, size_t *count, char *s)
{
	*list = hv_xrealloc(*list, *count + 1, sizeof(char *));
	(*list)[(*count)++] = s;
}

static void warn_quarantine(const struct view *v, const struct node *n, char ***list, size_t *count)
{
	uint64_t left_s =
	    n->quarantine_us > v->now_us ? (n->quarantine_us - v->now_us) / HV_US_PER_S : 0;
	_cleanup_free_ char *left =
	    n->quarantine_us ? hv_xasprintf("for another %" PRIu64 " min", left_s / 60 + 1)
			     : hv_xstrdup("until it is released");

	warn(list, count,
	     hv_xasprintf("NODE %s IS IN QUARANTINE and gets no VMs %s: it was fenced too "
			  "often; find out why, then run 'hvcluster node release %s'",
			  n->name, left, n->name));
}

static void warn_device(const struct view *v, const struct node *n, const struct fence_device *d,
			char ***list, size_t *count)
{
	char by[HV_TEXT_MAX / 4] = "";
	bool told = false;

	for (size_t i = 0; i < d->n_paths; i++) {
		const struct fence_path *p = &d->paths[i];
		size_t len = strlen(by);

		if (p->rc == HV_OK || !way_counts(v, n, p))
			continue;
		snprintf(by + len, sizeof(by) - len, "%s%s", len ? ", " : "",
			 view_node_name(v, p->node));
		told = told || (p->wall_ms == d->test_wall_ms && d->test_rc == p->rc);
	}
	if (*by)
		warn(list, count,
		     hv_xasprintf("NODE %s CANNOT BE FENCED with %s by %s: %s", n->name, d->name,
				  by,
				  told && d->test_text && *d->test_text
				      ? d->test_text
				      : "the latest test failed ('hvcluster fence test' tries "
					"again)"));
}

static void warn_node(const struct view *v, const struct node *n, char ***list, size_t *count)
{
	if (n->quarantined)
		warn_quarantine(v, n, list, count);
	if (n->log_lost_us)
		warn(list, count,
		     hv_xasprintf(
			 "THE DISK OF NODE %s DOES NOT TAKE THE CLUSTER'S LOG (full, failing or "
			 "hanging; 'journalctl -u clusterd' there says which): its VMs leave "
			 "it live; repair it, then restart clusterd there",
			 n->name));
	if (n->braked)
		warn(list, count,
		     hv_xasprintf("NODE %s IS NOT FENCED, the brake holds: %s", n->name,
				  n->reason.text ? n->reason.text : ""));
	if (n->state == NODE_ONLINE && n->unfence_tries)
		warn(list, count,
		     hv_xasprintf("node %s could not be unfenced (%u tries) and gets no VMs: "
				  "hvcluster events",
				  n->name, n->unfence_tries));
	for (size_t i = 0; i < n->n_devices; i++)
		warn_device(v, n, n->devices[i], list, count);
	if (n->both_go_on && !n->n_devices) {
		_cleanup_free_ char *text = cluster_watchdog_text(n);

		warn(list, count, hv_xasprintf("node %s: %s", n->name, text ? text : ""));
	}
	if (node_ability(v, n) == NO_PROOF && !cluster_watchdog_proves(v->c, n))
		warn(list, count,
		     hv_xasprintf("the fence devices of %s only wait and do not see it off, which "
				  "its fence level or fence_proof demands: its VMs will wait for "
				  "'hvcluster fence confirm %s'",
				  n->name, n->name));
}

void view_fence_warnings(const struct view *v, size_t most, char ***list, size_t *count)
{
	for (size_t i = 0; i < cluster_node_count(v->c) && *count < most; i++)
		warn_node(v, cluster_node_at(v->c, i), list, count);
}
