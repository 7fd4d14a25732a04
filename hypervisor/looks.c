/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "hypervisor/looks.h"

#include "hypervisor/domain_log.h"

#include <stdio.h>
#include <string.h>

/* An inventory or a look at one VM, on its way through the pool. */
struct look {
	struct pool_task task; /* first */
	struct looks *ls;
	uint64_t mark;
	char uuid[HV_UUID_LEN + 1], name[256]; /* of the one VM; "": all */
	struct sight sight;
	struct inventory inv;
	bool full; /* to be told in full */
	bool given_up;
	qb_loop_timer_handle timer;
};

struct looks {
	qb_loop_t *loop;
	struct pool *pool;
	struct facts *facts;
	struct conn *conn;
	struct looks_hooks hooks;
	struct look *running;  /* the inventory */
	bool again, full;      /* one more is wanted after it, to be told in full */
	char odd[HV_TEXT_MAX]; /* what was last said to be odd: not again */
	bool settling;	       /* one more will be taken soon */
};

static void on_settled(void *data);

static void look_run(struct pool_task *task)
{
	struct look *k = (struct look *)task;
	_cleanup_lease_ struct conn_lease lease = {0};

	conn_lease(k->ls->conn, &lease);
	if (k->uuid[0])
		observe(lease.v, k->uuid, &k->sight);
	else
		inventory_take(lease.v, &k->inv);
}

static void look_free(struct look *k)
{
	if (k->timer)
		qb_loop_timer_del(k->ls->loop, k->timer);
	inventory_done(&k->inv);
	free(k);
}

/*
 * A look may be faster than the event that says why a VM is gone, or come instead of it. One that
 * somebody moved to another host must not be started here again before that host has spoken.
 */
static Hv__Cause cause_of(Hv__Observed observed, Hv__Cause cause, const char *name)
{
	if (observed == HV__OBSERVED__OBSERVED_ABSENT && cause == HV__CAUSE__CAUSE_NONE &&
	    domain_log_left(name))
		return HV__CAUSE__CAUSE_MIGRATED;
	return cause;
}

/* One VM's state is told; one that cannot be told is no news, the next inventory will tell. */
static void look_done(struct pool_task *task)
{
	struct look *k = (struct look *)task;
	struct looks *ls = k->ls;
	Hv__Observed observed = k->sight.observed;
	const struct fact *f = NULL;

	if (!k->given_up && observed != HV__OBSERVED__OBSERVED_UNKNOWN)
		f = facts_look(ls->facts, k->uuid, k->name, observed,
			       cause_of(observed, k->sight.cause, k->name), k->mark);
	if (f)
		ls->hooks.news(f, ls->hooks.user);
	look_free(k);
}

static struct look *look_new(struct looks *ls, void (*done)(struct pool_task *),
			     void (*late)(void *))
{
	struct look *k = hv_xcalloc(1, sizeof(*k));

	k->task.run = look_run;
	k->task.done = done;
	k->ls = ls;
	k->mark = facts_mark(ls->facts);
	qb_loop_timer_add(ls->loop, QB_LOOP_MED, LOOK_TIMEOUT_MS * 1000000ULL, k, late, &k->timer);
	return k;
}

/* It hangs: nobody waits for it any longer. */
static void look_give_up(struct look *k)
{
	k->timer = 0;
	k->given_up = true;
	if (pool_give_up(k->ls->pool, &k->task))
		look_free(k);
}

static void look_late(void *data)
{
	look_give_up(data);
}

void looks_at(struct looks *ls, const char *uuid, const char *name)
{
	struct look *k = look_new(ls, look_done, look_late);

	snprintf(k->uuid, sizeof(k->uuid), "%s", uuid);
	snprintf(k->name, sizeof(k->name), "%s", name);
	pool_submit(ls->pool, &k->task);
}

/* Says what is new; whoever was there and is not in it is absent. */
static void tell_changes(struct looks *ls, const struct look *k)
{
	const struct fact *f;

	for (size_t i = 0; i < k->inv.count; i++) {
		const struct inventory_item *it = &k->inv.items[i];

		f = facts_look(ls->facts, it->uuid, it->name, it->observed, it->cause, k->mark);
		if (f && !k->full)
			ls->hooks.news(f, ls->hooks.user);
	}
	for (size_t i = 0; (f = facts_at(ls->facts, i)); i++) {
		if (f->observed == HV__OBSERVED__OBSERVED_ABSENT ||
		    inventory_find(&k->inv, f->uuid))
			continue;
		f = facts_look(
		    ls->facts, f->uuid, "", HV__OBSERVED__OBSERVED_ABSENT,
		    cause_of(HV__OBSERVED__OBSERVED_ABSENT, HV__CAUSE__CAUSE_NONE, f->name),
		    k->mark);
		if (f && !k->full)
			ls->hooks.news(f, ls->hooks.user);
	}
	facts_drop_absent(ls->facts, k->mark);
}

static void say_odd(struct looks *ls, const char *text)
{
	if (text[0] && strcmp(text, ls->odd) != 0)
		ls->hooks.odd(text, ls->hooks.user);
	snprintf(ls->odd, sizeof(ls->odd), "%s", text);
}

/* What was uncertain only because something is just going on is looked at again soon. */
static void settle(struct looks *ls)
{
	qb_loop_timer_handle t;

	if (ls->settling)
		return;
	ls->settling = true;
	qb_loop_timer_add(ls->loop, QB_LOOP_LOW, LOOKS_SETTLE_MS * 1000000ULL, ls, on_settled, &t);
}

static void inventory_over(struct looks *ls, const struct look *k)
{
	ls->running = NULL;
	if (k->inv.complete)
		tell_changes(ls, k);
	say_odd(ls, k->inv.text);
	if (k->full)
		ls->hooks.inventory(&k->inv, ls->hooks.user);
	if (k->inv.settling)
		settle(ls);
	if (ls->again)
		looks_inventory(ls, ls->full);
}

static void on_settled(void *data)
{
	struct looks *ls = data;

	ls->settling = false;
	looks_inventory(ls, false);
}

static void inventory_finished(struct pool_task *task)
{
	struct look *k = (struct look *)task;

	if (!k->given_up)
		inventory_over(k->ls, k);
	look_free(k);
}

static void inventory_late(void *data)
{
	struct look *k = data;
	struct looks *ls = k->ls;
	struct look none = {.ls = ls, .full = k->full};

	look_give_up(k);
	snprintf(none.inv.text, sizeof(none.inv.text), "libvirt did not answer within %d ms",
		 LOOK_TIMEOUT_MS);
	inventory_over(ls, &none);
}

void looks_inventory(struct looks *ls, bool full)
{
	if (ls->running) {
		ls->again = true;
		ls->full |= full;
		return;
	}
	ls->again = ls->full = false;
	ls->running = look_new(ls, inventory_finished, inventory_late);
	ls->running->full = full;
	pool_submit(ls->pool, &ls->running->task);
}

struct looks *looks_new(qb_loop_t *loop, struct pool *pool, struct facts *facts,
			const struct looks_hooks *hooks)
{
	struct looks *ls = hv_xcalloc(1, sizeof(*ls));

	ls->loop = loop;
	ls->pool = pool;
	ls->facts = facts;
	ls->hooks = *hooks;
	return ls;
}

void looks_use(struct looks *ls, struct conn *conn)
{
	ls->conn = conn;
}
