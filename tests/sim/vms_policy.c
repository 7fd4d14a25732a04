/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Administrators decide about nodes and the whole cluster: fencing on request, announced
 * shutdowns. */
#include "tests/sim/vms.h"

static void admin_set(struct sim *s, struct host *h, const char *key, const char *value)
{
	Hv__Command cmd = HV__COMMAND__INIT;
	Hv__SettingSet set = HV__SETTING_SET__INIT;

	if (!sim_inject(s, "setting"))
		return;
	set.key = (char *)key;
	set.value = (char *)value;
	cmd.body_case = HV__COMMAND__BODY_SETTING_SET;
	cmd.setting_set = &set;
	admin_command_at(s, h, &cmd);
}

void admin_brakes(struct sim *s, struct host *h)
{
	struct prng *r = sim_stream(s, STREAM_ADMIN);
	bool window = prng_chance(r, 400), quarantine = prng_chance(r, 400),
	     test = prng_chance(r, 500);
	static const char *const windows[] = {"20", "60", "300"}, *const fences[] = {"1", "2", "3"};
	uint64_t x = prng_range(r, 0, 2);

	if (s->options->duel) {
		admin_set(s, h, "fence_priority_delay_ms", "8000");
		window = quarantine = false;
	}
	if (vms_of(s)->storage_fences)
		admin_set(s, h, "storage_loss", "fence");
	if (vms_of(s)->short_freeze)
		admin_set(s, h, "frozen_timeout_s", "20");
	/* Most often off: a run is minutes, and its faults are many. */
	admin_set(s, h, "fence_window_s", window ? windows[x] : "0");
	admin_set(s, h, "quarantine_fences", quarantine ? fences[x] : "0");
	admin_set(s, h, "quarantine_s", x ? "20" : "600");
	admin_set(s, h, "fence_test_interval_s", test ? "20" : "600");
}

static void fence(struct sim *s, struct host *h, const struct host *target)
{
	Hv__Command cmd = HV__COMMAND__INIT;
	Hv__NodeFence f = HV__NODE_FENCE__INIT;
	char name[16];

	if (!sim_inject(s, "node fence"))
		return;
	snprintf(name, sizeof(name), "host%u", target->id);
	f.node = name;
	cmd.body_case = HV__COMMAND__BODY_NODE_FENCE;
	cmd.node_fence = &f;
	admin_command_at(s, h, &cmd);
}

static void announce(struct sim *s, struct host *h, const struct host *target, bool reboot,
		     bool cancel)
{
	Hv__Command cmd = HV__COMMAND__INIT;
	Hv__NodeShutdown down = HV__NODE_SHUTDOWN__INIT;
	char name[16];

	if (!sim_inject(s, cancel ? "node shutdown taken back" : "node shutdown"))
		return;
	snprintf(name, sizeof(name), "host%u", target->id);
	down.node = name;
	down.reboot = reboot;
	down.cancel = cancel;
	cmd.body_case = HV__COMMAND__BODY_NODE_SHUTDOWN;
	cmd.node_shutdown = &down;
	admin_command_at(s, h, &cmd);
}

static void boot(struct sim *s, struct host *h, uint64_t arg)
{
	host_power_on(s, h);
}

/* Some wait until the host may go down, some pull the plug before. */
static void go_down(struct sim *s, struct host *h, uint64_t patience)
{
	const struct node *n =
	    h->power && process_runs(h) ? cluster_node(h->proc.mind->c, h->id) : NULL;

	if (s->healing || !h->power)
		return;
	if (n && n->leaving_op && patience) {
		sim_at(s, SEC, go_down, h, patience - 1);
		return;
	}
	if (!n || n->leaving == NODE_STAYS)
		return;
	host_power_off(s, h);
	sim_at(s, prng_range(sim_stream(s, STREAM_ADMIN), 2, 60) * SEC, boot, h, 0);
}

static void set_policy(struct sim *s, struct host *h)
{
	static const char *const shutdown[] = {"conditional", "freeze", "failover", "migrate"};
	/* Not ignore: it lets two parts of a cluster act, and says so. */
	static const char *const loss[] = {"freeze", "stop", "self-fence"};
	struct prng *r = sim_stream(s, STREAM_ADMIN);

	admin_set(s, h, "node_shutdown", shutdown[prng_range(r, 0, 3)]);
	admin_set(s, h, "frozen_timeout_s", prng_chance(r, 500) ? "0" : "30");
	admin_set(s, h, "quorum_loss", loss[prng_range(r, 0, 2)]);
	admin_set(s, h, "quorum_loss_grace_ms", prng_chance(r, 500) ? "2000" : "10000");
}

static void arm(struct sim *s, struct host *h, bool disarm, bool ignore)
{
	Hv__Command cmd = HV__COMMAND__INIT;
	Hv__Arm a = HV__ARM__INIT;

	if (!sim_inject(s, disarm ? "disarm" : "arm"))
		return;
	a.disarm = disarm;
	a.ignore = ignore;
	cmd.body_case = HV__COMMAND__BODY_ARM;
	cmd.arm = &a;
	admin_command_at(s, h, &cmd);
}

void admin_policy_heal(struct sim *s, struct host *h)
{
	Hv__Command cmd = HV__COMMAND__INIT;
	Hv__Arm a = HV__ARM__INIT;

	cmd.body_case = HV__COMMAND__BODY_ARM;
	cmd.arm = &a;
	admin_command_at(s, h, &cmd);
}

void admin_policy(struct sim *s, struct host *h, struct host *target)
{
	struct prng *r = sim_stream(s, STREAM_ADMIN);
	uint64_t x = prng_range(r, 0, 99);

	if (cluster_arm(h->proc.mind->c) != ARMED && x < 60) {
		arm(s, h, false, false);
	} else if (x < 20) {
		fence(s, h, target);
	} else if (x < 60) {
		announce(s, h, target, prng_chance(r, 500), false);
		sim_at(s, prng_range(r, 100, 3000) * MS, go_down, target, prng_range(r, 0, 40));
	} else if (x < 80) {
		announce(s, h, target, false, true);
	} else if (x < 90) {
		set_policy(s, h);
	} else {
		arm(s, h, true, prng_chance(r, 500));
	}
}

/* ---- by seed, and in a bad moment */

void vms_policy_setup(struct sim *s)
{
	struct prng *r = sim_stream(s, STREAM_POLICY);
	bool short_freeze = prng_chance(r, 250), at_word = prng_chance(r, 250);

	if (s->scenario || s->options->calm)
		return;
	vms_of(s)->short_freeze = short_freeze;
	vms_of(s)->disarmed_at_word = at_word ? 300 : 0;
}

static void disarm_now(struct sim *s, struct host *h, uint64_t disarm)
{
	if (!s->healing && process_runs(h) && mind_current(h->proc.mind))
		arm(s, h, disarm, false);
}

/*
 * What a host says of its watchdog is late, and by the time that it is heard the cluster has been
 * disarmed, and armed again: the host has closed the device meanwhile.
 */
void vms_policy_at_word(struct sim *s, struct host *h)
{
	unsigned often = vms_of(s)->disarmed_at_word;
	struct host *by;
	uint64_t on_us, late_us;

	if (!often || s->healing || !prng_chance(sim_stream(s, STREAM_POLICY), often))
		return;
	on_us = sim_pick(s, sim_stream(s, STREAM_POLICY), 5 * MS, 100 * MS, 5 * MS, 30 * MS);
	late_us = sim_pick(s, sim_stream(s, STREAM_POLICY), 50 * MS, 500 * MS, 20 * MS, 60 * MS);
	by = &s->hosts[h->id % s->n];
	if (by == h || !sim_inject(s, "disarmed while a watchdog is spoken of"))
		return;
	if (h->try_again_us < s->now_us + late_us)
		h->try_again_us = s->now_us + late_us;
	sim_at(s, MS, disarm_now, by, true);
	sim_at(s, MS + on_us, disarm_now, by, false);
}
