/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "clusterd/view_items.h"

#include <string.h>

#define EVENTS_LIMIT 200
#define NEVER UINT64_MAX

enum hv_rc view_events(const struct view *v, const Hv__EventsRequest *req, Hv__ControlResponse *r)
{
	struct view_budget budget = {.left = VIEW_BYTES};
	uint64_t first = cluster_journal_first(v->c), next = cluster_journal_next(v->c);
	uint64_t limit = req->limit && req->limit < EVENTS_LIMIT ? req->limit : EVENTS_LIMIT;
	uint64_t id = req->since;
	Hv__EventsResponse *list = hv_xcalloc(1, sizeof(*list));

	hv__events_response__init(list);
	r->body_case = HV__CONTROL_RESPONSE__BODY_EVENTS;
	r->events = list;
	if (req->tail)
		id = next - first > limit ? next - limit : first;
	list->gap = id && id < first;
	if (id < first)
		id = first;
	for (; id < next && list->n_events < limit; id++) {
		const struct journal_line *line = cluster_journal(v->c, id);

		if (line &&
		    !view_add(&budget, &list->events, &list->n_events, view_event_info(line)))
			break;
	}
	list->next = id;
	return HV_OK;
}

/* ---- a failover */

struct span {
	uint64_t from, to;
};

static int by_start(const void *a, const void *b)
{
	const struct span *x = a, *y = b;

	return x->from < y->from ? -1 : x->from > y->from;
}

static void add_span(struct span *spans, size_t *n, uint64_t from, uint64_t to, uint64_t until)
{
	if (to > until)
		to = until;
	if (from && to > from)
		spans[(*n)++] = (struct span){from, to};
}

/* Length of the union: two calls at the same time are waited for once. */
static uint64_t covered_us(struct span *spans, size_t n)
{
	uint64_t sum = 0, end = 0;

	qsort(spans, n, sizeof(*spans), by_start);
	for (size_t i = 0; i < n; i++) {
		uint64_t from = spans[i].from > end ? spans[i].from : end;

		if (spans[i].to > from) {
			sum += spans[i].to - from;
			end = spans[i].to;
		}
	}
	return sum;
}

uint64_t view_own_share_us(const struct failover *f, uint64_t until_us)
{
	_cleanup_free_ struct span *spans = hv_xcalloc(f->n_vms + 1, sizeof(*spans));
	size_t n = 0;
	uint64_t total, others;

	if (until_us <= f->detected_us)
		return 0;
	add_span(spans, &n, f->fence_began_us, f->fence_ended_us, until_us);
	for (size_t i = 0; i < f->n_vms; i++)
		add_span(spans, &n, f->vms[i].began_us, f->vms[i].ended_us, until_us);
	total = until_us - f->detected_us;
	others = covered_us(spans, n);
	return total > others ? total - others : 0;
}

static uint64_t since_detected(const struct failover *f, uint64_t at_us)
{
	if (!at_us)
		return NEVER;
	return at_us > f->detected_us ? at_us - f->detected_us : 0;
}

static Hv__FailoverVm *failover_vm(const struct view *v, const struct failover *f,
				   const struct failover_vm *vm)
{
	Hv__FailoverVm *i = hv_xcalloc(1, sizeof(*i));

	hv__failover_vm__init(i);
	i->name = view_str(vm->name);
	i->node = view_str(view_node_name(v, vm->node));
	i->decided_us = since_detected(f, vm->decided_us);
	i->began_us = since_detected(f, vm->began_us);
	i->ended_us = since_detected(f, vm->ended_us);
	i->running_us = since_detected(f, vm->running_us);
	if (vm->running_us)
		i->result = view_str("running");
	else if (vm->ended_us)
		i->result = view_str(hv_rc_text(vm->result));
	else
		i->result = view_str("waiting");
	return i;
}

static void fill_report(const struct view *v, const struct failover *f, Hv__FailoverReport *rep)
{
	struct view_budget budget = {.left = VIEW_BYTES};
	uint64_t first = 0, last = 0;

	rep->id = f->id;
	rep->victim = view_str(view_node_name(v, f->victim));
	rep->wall_ms = f->wall_ms;
	rep->view_us = since_detected(f, f->view_us);
	rep->fence_began_us = since_detected(f, f->fence_began_us);
	rep->fence_ended_us = since_detected(f, f->fence_ended_us);
	rep->fenced_us = since_detected(f, f->fenced_us);
	rep->proof = view_str(f->proof);
	rep->done = f->done;
	for (size_t i = 0; i < f->n_vms; i++) {
		uint64_t running = f->vms[i].running_us;

		view_add(&budget, &rep->vms, &rep->n_vms, failover_vm(v, f, &f->vms[i]));
		if (running && (!first || running < first))
			first = running;
		if (running > last)
			last = running;
	}
	rep->own_first_us = first ? view_own_share_us(f, first) : NEVER;
	rep->own_last_us = last ? view_own_share_us(f, last) : NEVER;
}

enum hv_rc view_report(const struct view *v, const Hv__ReportRequest *req, Hv__ControlResponse *r)
{
	size_t n = cluster_failover_count(v->c);
	const struct failover *f = NULL;

	for (size_t i = 0; i < n; i++) {
		const struct failover *one = cluster_failover_at(v->c, i);

		if (!req->id || one->id == req->id)
			f = one;
	}
	if (!f && req->id)
		return view_fail(r, HV_NOT_FOUND, "hvcluster report failover",
				 "there is no failover %llu (any more)",
				 (unsigned long long)req->id);
	if (!f)
		return view_fail(r, HV_NOT_FOUND, NULL, "no failover has happened yet");
	r->body_case = HV__CONTROL_RESPONSE__BODY_REPORT_FAILOVER;
	r->report_failover = hv_xcalloc(1, sizeof(*r->report_failover));
	hv__failover_report__init(r->report_failover);
	fill_report(v, f, r->report_failover);
	return HV_OK;
}
