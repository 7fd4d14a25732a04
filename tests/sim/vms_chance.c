/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What guests, libvirt, storage and people at a host's console do by themselves. Each seed has its
 * own mix; every fault is undone after a while.
 */
#include "tests/sim/vms.h"

#define CUT_GROUP 9 /* of one that is cut off; parts are 0 to 2 */

static struct prng *chance(struct sim *s)
{
	return sim_stream(s, STREAM_HYPERVISOR);
}

static unsigned weight(struct sim *s, unsigned most)
{
	bool on = prng_chance(chance(s), 500);
	unsigned x = (unsigned)prng_range(chance(s), 1, most);

	return on ? x : 0;
}

void vms_chance_setup(struct sim *s)
{
	vms_of(s)->swarm = (struct vms_swarm){
	    .start_fails = weight(s, 200),
	    .start_slow = weight(s, 400),
	    .start_cut = weight(s, 300),
	    .call_fails = weight(s, 80),
	    .crash = weight(s, 30),
	    .shut_down = weight(s, 20),
	    .deaf = weight(s, 20),
	    .stall = weight(s, 20),
	    .storage = weight(s, 20),
	    .io_error = weight(s, 8),
	    .libvirt_hangs = weight(s, 25),
	    .libvirt_ends = weight(s, 25),
	    .hvd_ends = weight(s, 25),
	    .move_fails = weight(s, 80),
	    .outside = weight(s, 20),
	    .fence_breaks = weight(s, 40),
	    .fence_cut = weight(s, 40),
	    .foolish = weight(s, 200),
	    .garbage = weight(s, 40),
	    .wishes = weight(s, 300),
	};
	if (s->options->duel || s->options->lossy || (s->options->witness && !s->storm))
		vms_of(s)->swarm = (struct vms_swarm){0};
}

/* ---- the hypervisor layer */

static void layer_bad(struct sim *s, struct host *h, uint64_t arg)
{
	struct hyper *y = &vms_of(s)->hyper[h->id - 1];

	if (!h->power || h->powers != arg || vms_layer_well(s, h->id) || y->bad)
		return;
	if (process_runs(h)) {
		y->bad = true;
		intake_hypervisor_gone(h->proc.mind->intake, "simulated", mind_mono(h->proc.mind));
		mind_wake(h->proc.mind);
	} else {
		sim_at(s, SEC, layer_bad, h, arg);
	}
}

static void layer_back(struct sim *s, struct host *h)
{
	if (!vms_layer_well(s, h->id))
		return;
	vms_creates_again(s, h);
	if (h->proc.up)
		exec_hypervisor_up(h->proc.mind);
	if (process_runs(h)) {
		vms_inventory(h->proc.mind);
		mind_wake(h->proc.mind);
	} else if (h->proc.up) {
		h->proc.mind->inventory_sent = false;
	}
	vms_kick(s, h, -1);
}

static void libvirt_well(struct sim *s, struct host *h, uint64_t arg)
{
	struct hyper *y = &vms_of(s)->hyper[h->id - 1];

	if (!y->hung && !y->down)
		return;
	sim_trace(s, "host %u: libvirt answers", h->id);
	y->hung = y->down = false;
	layer_back(s, h);
}

static void libvirt_hangs(struct sim *s, struct host *h, int k, uint64_t ms)
{
	struct hyper *y = &vms_of(s)->hyper[h->id - 1];

	if (!h->power || y->hung || y->down)
		return;
	sim_trace(s, "host %u: libvirt hangs", h->id);
	y->hung = true;
	sim_at(s, 2500 * MS + ms % 2500 * MS, layer_bad, h, h->powers);
	sim_at(s, ms * MS, libvirt_well, h, 0);
}

/* What waits inside it is lost; migrations of its own are over. */
static void libvirt_ends(struct sim *s, struct host *h, int k, uint64_t ms)
{
	struct hyper *y = &vms_of(s)->hyper[h->id - 1];

	if (!h->power || y->down)
		return;
	sim_trace(s, "host %u: libvirt ends", h->id);
	y->hung = false;
	y->down = true;
	y->life++;
	for (int i = 0; i < VMS; i++)
		vms_dom(s, h->id, i)->create_lost = false;
	sim_at(s, 500 * MS, layer_bad, h, h->powers);
	sim_at(s, ms / 8 * MS + MS, libvirt_well, h, 0);
}

void vms_libvirt(struct sim *s, struct host *h, bool hangs)
{
	if (hangs)
		libvirt_hangs(s, h, 0, 100000000);
	else
		libvirt_well(s, h, 0);
}

static void hvd_well(struct sim *s, struct host *h, uint64_t arg)
{
	struct hyper *y = &vms_of(s)->hyper[h->id - 1];

	if (!y->hvd_down)
		return;
	y->hvd_down = false;
	layer_back(s, h);
}

static void hvd_ends(struct sim *s, struct host *h, int k, uint64_t ms)
{
	struct hyper *y = &vms_of(s)->hyper[h->id - 1];

	if (!h->power || y->hvd_down)
		return;
	sim_trace(s, "host %u: hypervisord ends", h->id);
	y->hvd_down = true;
	y->bad = false;
	vms_hypervisord_ends(s, h);
	layer_bad(s, h, h->powers);
	sim_at(s, 50 * MS + ms / 8 * MS, hvd_well, h, 0);
}

/* ---- guests and their storage */

static void stall_over(struct sim *s, struct host *h, uint64_t k)
{
	struct domain *d = vms_dom(s, h->id, (int)k);

	if (!d->stalled)
		return;
	d->stalled = false;
	vms_tell(s, h, (int)k, HV__CAUSE__CAUSE_NONE);
	vms_kick(s, h, (int)k);
}

static void stall(struct sim *s, struct host *h, int k, uint64_t ms)
{
	struct domain *d = vms_dom(s, h->id, k);

	if (d->state == DOM_ABSENT || d->stalled)
		return;
	sim_trace(s, "host %u: %s waits for its storage", h->id, vms_of(s)->name[k]);
	d->stalled = true;
	sim_at(s, ms * MS, stall_over, h, (uint64_t)k);
}

static bool runs(struct sim *s, const struct host *h, int k)
{
	return h->power && !h->hung && vms_dom(s, h->id, k)->state == DOM_RUNNING;
}

static void told(struct sim *s, struct host *h)
{
	if (process_runs(h))
		mind_wake(h->proc.mind);
}

static void crash(struct sim *s, struct host *h, int k, uint64_t ms)
{
	vms_guest_ends(s, h, k, HV__CAUSE__CAUSE_CRASHED);
	told(s, h);
}

static void shut_down(struct sim *s, struct host *h, int k, uint64_t ms)
{
	if (runs(s, h, k))
		vms_guest_ends(s, h, k, HV__CAUSE__CAUSE_GUEST_SHUTDOWN);
	told(s, h);
}

static void deaf(struct sim *s, struct host *h, int k, uint64_t ms)
{
	if (runs(s, h, k))
		vms_dom(s, h->id, k)->deaf = true;
}

static void io_error(struct sim *s, struct host *h, int k, uint64_t ms)
{
	if (runs(s, h, k))
		vms_set(s, h, k, DOM_PAUSED, HV__CAUSE__CAUSE_IO_ERROR);
	told(s, h);
}

/* ---- a person at the host's console */

static void outside_start(struct sim *s, struct host *h, int k)
{
	struct domain *d = vms_dom(s, h->id, k);

	if (d->state != DOM_ABSENT || d->create_lost)
		return;
	d->stray = true;
	vms_set(s, h, k, DOM_RUNNING, HV__CAUSE__CAUSE_ADMIN);
}

static void outside(struct sim *s, struct host *h, int k, uint64_t ms)
{
	struct domain *d = vms_dom(s, h->id, k);
	hv_node_id other =
	    (hv_node_id)(1 + (h->id - 1 + 1 + ms % (s->n > 1 ? s->n - 1 : 1)) % s->n);

	if (!h->power || h->hung || vms_of(s)->hyper[h->id - 1].hung ||
	    vms_of(s)->hyper[h->id - 1].down)
		return;
	sim_trace(s, "host %u: a person does something with %s", h->id, vms_of(s)->name[k]);
	if (ms % 100 < 30) {
		vms_set(s, h, k, DOM_ABSENT, HV__CAUSE__CAUSE_DESTROYED);
	} else if (ms % 100 < 50 && d->state == DOM_RUNNING) {
		vms_set(s, h, k, DOM_PAUSED, HV__CAUSE__CAUSE_ADMIN);
	} else if (ms % 100 < 65 &&
		   (d->state == DOM_PAUSED || (d->state == DOM_INCOMING && d->whole))) {
		d->stray = true;
		vms_set(s, h, k, DOM_RUNNING, HV__CAUSE__CAUSE_ADMIN);
	} else if (ms % 100 < 80) {
		outside_start(s, h, k);
	} else if (d->state == DOM_RUNNING && other != h->id) {
		vms_move_begin(s, h, k, other, true);
	}
	told(s, h);
}

/* ---- fence devices */

static void fence_well(struct sim *s, struct host *h, uint64_t i)
{
	vms_of(s)->devices[h->id - 1][i].broken = false;
}

static void fence_breaks(struct sim *s, struct host *h, int k, uint64_t ms)
{
	struct vms_world *w = vms_of(s);
	uint64_t i = ms % DEVICES;

	if (i >= w->n_devices[h->id - 1])
		return;
	w->devices[h->id - 1][i].broken = true;
	sim_at(s, ms * MS, fence_well, h, i);
}

static void fence_reached(struct sim *s, struct host *h, uint64_t arg)
{
	vms_of(s)->hyper[h->id - 1].fence_cut = false;
}

/* The network of the fence devices is another one, and this host has no way to it. */
static void fence_cut(struct sim *s, struct host *h, int k, uint64_t ms)
{
	vms_of(s)->hyper[h->id - 1].fence_cut = true;
	sim_at(s, 4 * ms * MS, fence_reached, h, 0);
}

/* ---- in the middle of a start */

static void cut_over(struct sim *s, struct host *h, uint64_t arg)
{
	h->group = 0;
	net_changed(s, true);
}

static void cut_off(struct sim *s, struct host *h, uint64_t us)
{
	if (s->healing || h->group)
		return;
	sim_trace(s, "network: host %u is cut off", h->id);
	h->group = CUT_GROUP;
	net_changed(s, false);
	sim_at(s, us, cut_over, h, 0);
}

/* An administrator has seen it go, and wants nothing on it any more. */
static void drain(struct sim *s, struct host *h, uint64_t arg)
{
	struct host *at = admin_host(s);
	Hv__Command cmd = HV__COMMAND__INIT;
	Hv__NodeDrain body = HV__NODE_DRAIN__INIT;
	char name[16];

	if (!at || s->healing)
		return;
	snprintf(name, sizeof(name), "host%u", h->id);
	body.node = name;
	cmd.body_case = HV__COMMAND__BODY_NODE_DRAIN;
	cmd.node_drain = &body;
	admin_command_at(s, at, &cmd);
}

/*
 * Its host is lost, and back before anybody could fence it: what is said of the VM then? If nothing
 * is to be started there any more, it is soon started elsewhere.
 */
void vms_chance_start(struct sim *s, struct host *h)
{
	unsigned often = vms_of(s)->swarm.start_cut;
	uint64_t after, us, drained;
	bool cut;

	if (!often || s->n < 2)
		return;
	cut = prng_chance(chance(s), often);
	after = prng_range(chance(s), 0, 500 * MS);
	us = prng_range(chance(s), 300 * MS, 4 * SEC);
	drained = prng_chance(chance(s), 500) ? prng_range(chance(s), MS, 3 * SEC) : 0;
	if (!cut || !sim_inject(s, "cut off during a start"))
		return;
	sim_at(s, after, cut_off, h, us);
	if (drained)
		sim_at(s, after + drained, drain, h, 0);
}

/* ---- the swarm */

void vms_chance_step(struct sim *s)
{
	struct vms_world *w = vms_of(s);
	const struct {
		const char *name;
		unsigned weight;
		void (*fn)(struct sim *s, struct host *h, int k, uint64_t ms);
	} kinds[] = {{"guest-crash", w->swarm.crash, crash},
		     {"guest-shutdown", w->swarm.shut_down, shut_down},
		     {"guest-deaf", w->swarm.deaf, deaf},
		     {"storage-stall", w->swarm.stall, stall},
		     {"storage-bad", w->swarm.storage, vms_storage_bad},
		     {"io-error", w->swarm.io_error, io_error},
		     {"libvirt-hang", w->swarm.libvirt_hangs, libvirt_hangs},
		     {"libvirt-end", w->swarm.libvirt_ends, libvirt_ends},
		     {"hypervisord-end", w->swarm.hvd_ends, hvd_ends},
		     {"outside", w->swarm.outside, outside},
		     {"fence-breaks", w->swarm.fence_breaks, fence_breaks},
		     {"fence-cut", w->swarm.fence_cut, fence_cut}};
	struct host *h = &s->hosts[prng_range(chance(s), 0, s->n - 1)];
	int k = (int)prng_range(chance(s), 0, w->max_vms - 1);
	uint64_t ms = prng_chance(chance(s), 700) ? prng_range(chance(s), 50, 3000)
						  : prng_range(chance(s), 3000, 25000);
	uint64_t x = prng_range(chance(s), 0, 999);

	/* A VM that is there is more interesting than one that is not. */
	for (int tries = 0; tries < 8 && vms_dom(s, h->id, k)->state == DOM_ABSENT; tries++)
		k = (k + 1) % (int)w->max_vms;
	for (size_t i = 0; i < ARRAY_SIZE(kinds); i++) {
		if (x < kinds[i].weight) {
			if (sim_inject(s, kinds[i].name))
				kinds[i].fn(s, h, k, ms);
			return;
		}
		x -= kinds[i].weight;
	}
}

void vms_chance_heal(struct sim *s)
{
	struct vms_world *w = vms_of(s);

	w->swarm = (struct vms_swarm){0};
	for (size_t i = 0; i < s->n; i++) {
		struct host *h = &s->hosts[i];

		for (uint64_t d = 0; d < DEVICES; d++)
			fence_well(s, h, d);
		fence_reached(s, h, 0);
		hvd_well(s, h, 0);
		libvirt_well(s, h, 0);
		vms_storage_good(s, h);
		for (uint64_t k = 0; k < VMS; k++)
			stall_over(s, h, k);
	}
}
