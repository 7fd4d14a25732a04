/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The settings: a table of keys with presets; numbers are parsed once, when they change. */
#include "fence/selfguard.h"
#include "resource/cluster_priv.h"

enum setting_kind { KIND_NUMBER, KIND_WORD };
struct setting {
	struct setting_info info;
	enum setting_kind kind;
	uint64_t min, max; /* NUMBER */
	const char *words; /* WORD: those that it may be, "a|b|c" */
};

static const struct setting table[] = {
    {{"after_fence", "off", "leave a fenced node off, or power it on again: off, on"},
     KIND_WORD,
     0,
     0,
     "off|on"},
    {{"disk_lock", "none",
      "libvirt's lock manager that guards the VMs' disks on every host, as a second line: none, "
      "lockd, sanlock"},
     KIND_WORD,
     0,
     0,
     "none|lockd|sanlock"},
    {{"drain_tries", "3", "tries to migrate a VM before a drain gives it up: 1 to 20"},
     KIND_NUMBER,
     1,
     20,
     NULL},
    {{"fence_lost", "needed",
      "fence a lost node when something depends on it, or always: needed, always"},
     KIND_WORD,
     0,
     0,
     "needed|always"},
    {{"fence_priority_delay_ms", "3000",
      "in a duel of two parts without a majority, how long the one whose VMs matter less waits "
      "before it fences the other: 0 to 600000"},
     KIND_NUMBER,
     0,
     600000,
     NULL},
    {{"fence_proof", "any",
      "what proves a node off: any level of its devices (any), or only one whose devices have all "
      "seen it off, not waited (seen)"},
     KIND_WORD,
     0,
     0,
     "any|seen"},
    {{"fence_retry_max_ms", "60000", "longest pause between rounds of fencing: 100 to 3600000"},
     KIND_NUMBER,
     100,
     3600000,
     NULL},
    {{"fence_retry_ms", "2000",
      "pause after all fence levels failed, doubled each time: 100 to 3600000"},
     KIND_NUMBER,
     100,
     3600000,
     NULL},
    {{"fence_test_interval_s", "600",
      "how often each fence device is tested by itself, 0: never: 0 to 604800"},
     KIND_NUMBER,
     0,
     604800,
     NULL},
    {{"fence_timeout_s", "60", "for a fence device that states none: 1 to 3600"},
     KIND_NUMBER,
     1,
     3600,
     NULL},
    {{"fence_window_s", "300",
      "at most half of the nodes are fenced within this time, 0: no such brake: 0 to 86400"},
     KIND_NUMBER,
     0,
     86400,
     NULL},
    {{"frozen_timeout_s", "1800",
      "how long VMs wait for a node that went down as announced, before it counts as lost; 0: for "
      "ever: 0 to 604800"},
     KIND_NUMBER,
     0,
     604800,
     NULL},
    {{"join_timeout_ms", "60000",
      "how long a node that joined may take to report what it runs, before it is fenced: 1000 to "
      "3600000"},
     KIND_NUMBER,
     1000,
     3600000,
     NULL},
    {{"maintenance_return", "on", "VMs go back to a node when its maintenance is over: off, on"},
     KIND_WORD,
     0,
     0,
     "off|on"},
    {{"manager_grace_ms", "10000",
      "how long clusterd of a node that corosync still sees may be gone: 0 to 3600000"},
     KIND_NUMBER,
     0,
     3600000,
     NULL},
    {{"migrate_parallel", "2", "migrations that a node takes part in at a time: 1 to 64"},
     KIND_NUMBER,
     1,
     64,
     NULL},
    {{"migration_tls", "required",
      "live migrations are encrypted and both hosts prove who they are (required), or go in clear "
      "text (off): required, off"},
     KIND_WORD,
     0,
     0,
     "required|off"},
    {{"migrate_timeout_s", "1800", "for one live migration: 1 to 86400"},
     KIND_NUMBER,
     1,
     86400,
     NULL},
    {{"node_shutdown", "conditional",
      "VMs of a node that goes down on purpose: wait for it (freeze), are started elsewhere "
      "(failover), leave live before (migrate), or wait for a reboot and fail over otherwise "
      "(conditional)"},
     KIND_WORD,
     0,
     0,
     "conditional|freeze|failover|migrate"},
    {{"on_stop_failure", "block",
      "a VM that cannot be stopped: stays and is tried again (block), or its node is fenced "
      "(fence)"},
     KIND_WORD,
     0,
     0,
     "block|fence"},
    {{"placement", "balanced",
      "where a VM is started among the nodes that fit: fewest vCPUs per CPU (balanced), fewest VMs "
      "(count), most room left (capacity), least room left (pack)"},
     KIND_WORD,
     0,
     0,
     "balanced|count|capacity|pack"},
    {{"preemption", "off", "a VM that fits nowhere makes VMs of lower priority give way: off, on"},
     KIND_WORD,
     0,
     0,
     "off|on"},
    {{"quarantine_fences", "3",
      "a node that is fenced so often within an hour gets no VMs for quarantine_s, 0: it does: 0 "
      "to 8"},
     KIND_NUMBER,
     0,
     8,
     NULL},
    {{"quarantine_s", "14400",
      "how long such a node is kept without VMs, 0: until 'hvcluster node release': 0 to 604800"},
     KIND_NUMBER,
     0,
     604800,
     NULL},
    {{"quorum_loss", "auto",
      "a node without quorum: leaves its VMs running (freeze), shuts them down (stop), resets "
      "itself (self-fence), or goes on as if it had quorum (ignore); auto is self-fence where "
      "watchdogs are all there is to fence with, and freeze else"},
     KIND_WORD,
     0,
     0,
     "freeze|stop|self-fence|ignore|auto"},
    {{"quorum_loss_grace_ms", "30000",
      "how long a node is without quorum before it does what quorum_loss says: 1000 to 3600000"},
     KIND_NUMBER,
     1000,
     3600000,
     NULL},
    {{"restart_window_s", "600",
      "a VM that ends by itself sooner than this after its start is restarted with growing pauses: "
      "0 to 86400"},
     KIND_NUMBER,
     0,
     86400,
     NULL},
    {{"start_parallel", "8", "VMs that a node starts at a time: 1 to 64"},
     KIND_NUMBER,
     1,
     64,
     NULL},
    {{"start_retry_max_ms", "60000",
      "longest pause between tries to start, stop or ask: 100 to 3600000"},
     KIND_NUMBER,
     100,
     3600000,
     NULL},
    {{"start_retry_ms", "1000",
      "pause after a start failed everywhere, doubled each time: 100 to 3600000"},
     KIND_NUMBER,
     100,
     3600000,
     NULL},
    {{"start_timeout_s", "60", "for one start: 1 to 3600"}, KIND_NUMBER, 1, 3600, NULL},
    {{"startup_grace_ms", "20000",
      "when all members have just been started, how long missing nodes are waited for before they "
      "are fenced: 0 to 3600000"},
     KIND_NUMBER,
     0,
     3600000,
     NULL},
    {{"stickiness", "on",
      "a VM is not moved only for balance: on; off moves it where placement is clearly better: "
      "off, on"},
     KIND_WORD,
     0,
     0,
     "off|on"},
    {{"storage_loss", "evacuate",
      "a node on which a storage cannot be used gets no VMs that need it; those that run there "
      "leave "
      "live while that works (evacuate), stay (stay), or leave, and the node is fenced when they "
      "cannot: the storage hangs for a minute, or migrations fail (fence)"},
     KIND_WORD,
     0,
     0,
     "evacuate|stay|fence"},
    {{"stop_timeout_s", "180", "graceful shutdown before a VM is destroyed: 0 to 86400"},
     KIND_NUMBER,
     0,
     86400,
     NULL},
    {{"vcpus_per_cpu", "0", "vCPUs that may run on each CPU of a node, 0: no limit: 0 to 64"},
     KIND_NUMBER,
     0,
     64,
     NULL},
};

size_t setting_count(void)
{
	return ARRAY_SIZE(table);
}

const struct setting_info *setting_at(size_t i)
{
	return i < ARRAY_SIZE(table) ? &table[i].info : NULL;
}

static const struct setting *setting_find(const char *key)
{
	for (size_t i = 0; i < ARRAY_SIZE(table); i++)
		if (table[i].info.key[0] == key[0] && strcmp(table[i].info.key, key) == 0)
			return &table[i];
	return NULL;
}

bool setting_known(const char *key)
{
	return setting_find(key) != NULL;
}

const char *cluster_setting(const struct cluster *c, const char *key)
{
	const struct setting *s = setting_find(key);

	for (size_t i = 0; i < c->n_settings; i++)
		if (strcmp(c->settings[i].key, key) == 0)
			return c->settings[i].value;
	return s ? s->info.preset : NULL;
}

static bool number_parse(const char *s, uint64_t *ret)
{
	uint64_t v = 0;

	if (!*s || strlen(s) > 9)
		return false;
	for (; *s; s++) {
		if (*s < '0' || *s > '9')
			return false;
		v = v * 10 + (uint64_t)(*s - '0');
	}
	*ret = v;
	return true;
}

static uint64_t number(const struct cluster *c, const char *key)
{
	uint64_t v = 0;

	hv_assert(number_parse(cluster_setting(c, key), &v));
	return v;
}

/* Which one of "a|b|c": 0, 1, 2; -1: none of them. */
static int word_index(const char *words, const char *value)
{
	size_t len = strlen(value);
	int i = 0;

	for (const char *p = words; p; i++) {
		if (strncmp(p, value, len) == 0 && (p[len] == '|' || p[len] == '\0'))
			return i;
		p = strchr(p, '|');
		p = p ? p + 1 : NULL;
	}
	return -1;
}

static unsigned word_number(const struct cluster *c, const char *key)
{
	int i = word_index(setting_find(key)->words, cluster_setting(c, key));

	hv_assert(i >= 0);
	return (unsigned)i;
}

static bool word_is(const struct cluster *c, const char *key, const char *word)
{
	return strcmp(cluster_setting(c, key), word) == 0;
}

void settings_load(struct cluster *c)
{
	c->tuning = (struct tuning){
	    .fence_always = word_is(c, "fence_lost", "always"),
	    .fence_seen = word_is(c, "fence_proof", "seen"),
	    .fence_priority_delay_us = number(c, "fence_priority_delay_ms") * HV_US_PER_MS,
	    .fence_window_us = number(c, "fence_window_s") * HV_US_PER_S,
	    .fence_test_interval_us = number(c, "fence_test_interval_s") * HV_US_PER_S,
	    .quarantine_us = number(c, "quarantine_s") * HV_US_PER_S,
	    .quarantine_fences = (uint32_t)number(c, "quarantine_fences"),
	    .maintenance_return = word_is(c, "maintenance_return", "on"),
	    .fence_on_stop_failure = word_is(c, "on_stop_failure", "fence"),
	    .preemption = word_is(c, "preemption", "on"),
	    .sticky = word_is(c, "stickiness", "on"),
	    .storage_loss = (enum storage_loss)word_number(c, "storage_loss"),
	    .node_shutdown = (enum node_shutdown)word_number(c, "node_shutdown"),
	    .placement = (enum placement_mode)word_number(c, "placement"),
	    .vcpus_per_cpu = (uint32_t)number(c, "vcpus_per_cpu"),
	    .frozen_timeout_us = number(c, "frozen_timeout_s") * HV_US_PER_S,
	    .join_timeout_us = number(c, "join_timeout_ms") * HV_US_PER_MS,
	    .power_on = word_is(c, "after_fence", "on"),
	    .manager_grace_us = number(c, "manager_grace_ms") * HV_US_PER_MS,
	    .startup_grace_us = number(c, "startup_grace_ms") * HV_US_PER_MS,
	    .start_retry_us = number(c, "start_retry_ms") * HV_US_PER_MS,
	    .start_retry_max_us = number(c, "start_retry_max_ms") * HV_US_PER_MS,
	    .fence_retry_us = number(c, "fence_retry_ms") * HV_US_PER_MS,
	    .fence_retry_max_us = number(c, "fence_retry_max_ms") * HV_US_PER_MS,
	    .restart_window_us = number(c, "restart_window_s") * HV_US_PER_S,
	    .quorum_loss = word_number(c, "quorum_loss"),
	    .quorum_loss_grace_us = number(c, "quorum_loss_grace_ms") * HV_US_PER_MS,
	    .start_parallel = (uint32_t)number(c, "start_parallel"),
	    .migrate_parallel = (uint32_t)number(c, "migrate_parallel"),
	    .stop_timeout_s = (uint32_t)number(c, "stop_timeout_s"),
	    .start_timeout_s = (uint32_t)number(c, "start_timeout_s"),
	    .migrate_timeout_s = (uint32_t)number(c, "migrate_timeout_s"),
	    .fence_timeout_s = (uint32_t)number(c, "fence_timeout_s"),
	    .drain_tries = (uint32_t)number(c, "drain_tries"),
	};
}

/* Watchdogs, and no fence device at all. */
static bool only_watchdogs(const struct cluster *c)
{
	bool any = false;

	for (size_t i = 0; i < c->n_nodes; i++) {
		if (c->nodes[i]->n_devices)
			return false;
		any = any || c->nodes[i]->watch.watchdog_ms;
	}
	return any;
}

unsigned cluster_quorum_loss(const struct cluster *c, uint64_t *ret_grace_us)
{
	unsigned word = c->tuning.quorum_loss;

	*ret_grace_us = c->tuning.quorum_loss_grace_us;
	if (word <= SELFGUARD_IGNORE)
		return word;
	return only_watchdogs(c) ? SELFGUARD_SELF_FENCE : SELFGUARD_FREEZE;
}

bool cluster_migration_tls(const struct cluster *c)
{
	return word_is(c, "migration_tls", "required");
}

uint32_t cluster_stop_timeout_s(const struct cluster *c, const struct vm *vm)
{
	return vm->stop_timeout_s ? vm->stop_timeout_s : c->tuning.stop_timeout_s;
}

static bool value_fits(const struct setting *s, const char *value)
{
	uint64_t v = 0;

	if (s->kind == KIND_WORD)
		return *value && word_index(s->words, value) >= 0;
	return number_parse(value, &v) && v >= s->min && v <= s->max;
}

static void setting_store(struct cluster *c, const char *key, const char *value)
{
	size_t i = 0;

	while (i < c->n_settings && strcmp(c->settings[i].key, key) < 0)
		i++;
	if (i == c->n_settings || strcmp(c->settings[i].key, key) != 0) {
		hv_assert(c->n_settings < HV_MAX_SETTINGS);
		memmove(c->settings + i + 1, c->settings + i,
			(c->n_settings - i) * sizeof(*c->settings));
		c->settings[i] = (struct option){.key = hv_xstrdup(key)};
		c->n_settings++;
	}
	free(c->settings[i].value);
	c->settings[i].value = hv_xstrdup(value);
}

enum hv_rc setting_set(struct cluster *c, const char *key, const char *value, const char **ret_why)
{
	const struct setting *s = setting_find(key);

	if (!s)
		return HV_NOT_FOUND;
	if (!*value)
		value = s->info.preset;
	if (!value_fits(s, value)) {
		*ret_why = s->info.help;
		return HV_BAD_INPUT;
	}
	setting_store(c, key, value);
	settings_load(c);
	return HV_OK;
}
