/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Administrators when all is healed: nodes are resumed, devices are there again, settings are as
 * they were, and where no device proves anything somebody goes there.
 */
#include "tests/sim/vms_admin.h"

#include <string.h>

static void node_back(struct sim *s, struct host *h, hv_node_id id)
{
	Hv__Command cmd = HV__COMMAND__INIT;
	Hv__NodeResume r = HV__NODE_RESUME__INIT;
	char name[16];

	snprintf(name, sizeof(name), "host%u", id);
	r.node = name;
	cmd.body_case = HV__COMMAND__BODY_NODE_RESUME;
	cmd.node_resume = &r;
	admin_ask(s, h, &cmd, 0);
}

/* The preset, but for what would go on for ever, or come back after hours. */
static const char *calm_value(const struct setting_info *info)
{
	static const char *const off[] = {"fence_test_interval_s", "fence_window_s",
					  "quarantine_fences"};

	for (size_t i = 0; i < ARRAY_SIZE(off); i++)
		if (strcmp(info->key, off[i]) == 0)
			return "0";
	return info->preset;
}

static void settings_back(struct sim *s, struct host *h)
{
	for (size_t i = 0; i < setting_count(); i++) {
		const struct setting_info *info = setting_at(i);
		Hv__Command cmd = HV__COMMAND__INIT;
		Hv__SettingSet set = HV__SETTING_SET__INIT;

		if (strcmp(cluster_setting(h->proc.mind->c, info->key), calm_value(info)) == 0)
			continue;
		set.key = (char *)info->key;
		set.value = (char *)calm_value(info);
		cmd.body_case = HV__COMMAND__BODY_SETTING_SET;
		cmd.setting_set = &set;
		admin_ask(s, h, &cmd, 0);
	}
}

static void release(struct sim *s, struct host *h)
{
	for (size_t i = 0; i < s->n; i++) {
		const struct node *n = cluster_node(h->proc.mind->c, s->hosts[i].id);
		Hv__Command cmd = HV__COMMAND__INIT;
		Hv__NodeRelease r = HV__NODE_RELEASE__INIT;

		if (!n || !n->quarantined)
			continue;
		r.node = n->name;
		cmd.body_case = HV__COMMAND__BODY_NODE_RELEASE;
		cmd.node_release = &r;
		admin_ask(s, h, &cmd, 0);
	}
}

/* Another one that answers. */
static struct host *host_beside(struct sim *s, const struct host *victim)
{
	for (size_t i = 0; i < s->n; i++) {
		struct host *h = &s->hosts[i];

		if (h != victim && process_runs(h) && mind_current(h->proc.mind))
			return h;
	}
	return NULL;
}

/* Where no device ever proves anything, somebody goes there and pulls the plug. */
static void by_hand(struct sim *s)
{
	for (size_t i = 0; i < s->n; i++) {
		struct host *h = host_beside(s, &s->hosts[i]);
		const struct node *n = h ? cluster_node(h->proc.mind->c, s->hosts[i].id) : NULL;
		struct ask a;

		if (!n || (n->state != NODE_LOST && n->state != NODE_FENCING))
			continue;
		sim_trace(s, "host %zu is switched off by hand", i + 1);
		vms_fence_by_hand(s, &s->hosts[i]);
		ask_init(&a, s);
		a.h = h;
		ask_confirm(&a, &s->hosts[i]);
		if (admin_ask(s, h, &a.cmd, a.confirmed))
			vms_proven(s, s->hosts[i].id);
		return; /* the state may be another now */
	}
}

#define ALL_BACK_US (300 * SEC) /* after the heal */
static void all_back(struct sim *s, struct host *unused, uint64_t again)
{
	struct ask a;

	ask_init(&a, s);
	if (a.h) {
		settings_back(s, a.h);
		admin_policy_heal(s, a.h);
		vms_wishes_over(s, a.h);
		release(s, a.h);
		for (size_t i = 0; i < s->n; i++)
			node_back(s, a.h, s->hosts[i].id);
		ask_missing_device(&a);
	}
	if (again < 3)
		by_hand(s);
	/* Hosts that took their corosync down may be back only minutes later. */
	if (again || (!a.h && s->now_us < s->swarm.faults_us + ALL_BACK_US)) {
		sim_at(s, 10 * SEC, all_back, NULL, a.h ? again - 1 : again);
		return;
	}
	vms_of(s)->healed = true;
	if (!a.h || !prng_chance(&a.r, 300))
		return;
	ask_node_drain(&a); /* one more, which nothing disturbs */
	admin_ask(s, a.h, &a.cmd, 0);
}

void admin_heal(struct sim *s)
{
	sim_at(s, 8 * SEC, all_back, NULL, 4);
}
