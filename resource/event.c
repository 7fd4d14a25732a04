/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The closed list of inputs: is an event well-formed? Run by the proposer and by the brain. */
#include "resource/brain.h"

#include "fence/fence_plan.h"
#include "fence/timing.h"
#include "resource/cluster_priv.h"
#include "resource/setup.h"
#include "resource/storage.h"

#define TRY(cond, why)                                                                             \
	do {                                                                                       \
		if (!(cond)) {                                                                     \
			*ret_why = why;                                                            \
			return false;                                                              \
		}                                                                                  \
	} while (0)

static bool text_fits(const char *s, size_t max)
{
	return strnlen(s, max + 1) <= max;
}

/* Printable, no control characters but tab: it will be shown on terminals. */
static bool text_clean(const char *s, size_t max)
{
	if (!text_fits(s, max))
		return false;
	for (; *s; s++)
		if (((unsigned char)*s < 0x20 && *s != '\t') || *s == 0x7f)
			return false;
	return true;
}

static bool ids_ascend(const uint32_t *ids, size_t count)
{
	for (size_t i = 0; i < count; i++)
		if (ids[i] == 0 || (i && ids[i] <= ids[i - 1]))
			return false;
	return count <= HV_MAX_NODES;
}

static bool view_valid(const Hv__View *v, const char **ret_why)
{
	TRY(v->n_members > 0 && v->n_members <= HV_MAX_NODES, "view: no members, or too many");
	for (size_t i = 0; i < v->n_members; i++)
		TRY(v->members[i]->node && (!i || v->members[i]->node > v->members[i - 1]->node),
		    "view: members not in ascending order");
	TRY(ids_ascend(v->lost, v->n_lost), "view: lost nodes not in ascending order");
	TRY(ids_ascend(v->in_ring, v->n_in_ring), "view: nodes in the ring not in ascending order");
	for (size_t i = 0; i < v->n_lost; i++)
		for (size_t k = 0; k < v->n_members; k++)
			TRY(v->lost[i] != v->members[k]->node, "view: a node is member and lost");
	return true;
}

static bool configured_valid(const Hv__NodesConfigured *ev, const char **ret_why)
{
	TRY(ev->n_nodes > 0 && ev->n_nodes <= HV_MAX_NODES, "node list: empty or too long");
	for (size_t i = 0; i < ev->n_nodes; i++) {
		TRY(ev->nodes[i]->id, "node list: node id 0");
		TRY(hv_name_valid(ev->nodes[i]->name), "node list: bad name");
		for (size_t k = 0; k < i; k++) {
			TRY(ev->nodes[i]->id != ev->nodes[k]->id, "node list: a node id twice");
			TRY(strcmp(ev->nodes[i]->name, ev->nodes[k]->name) != 0,
			    "node list: a name twice");
		}
	}
	return true;
}

static bool domain_valid(const Hv__DomainSeen *d, const char **ret_why)
{
	TRY(d, "no domain");
	TRY(hv_uuid_valid(d->uuid), "domain: bad uuid");
	TRY((unsigned)d->observed <= HV__OBSERVED__OBSERVED_INCOMING, "domain: unknown state");
	TRY(text_fits(d->name, 4 * HV_NAME_MAX), "domain: name too long");
	return true;
}

static bool report_valid(const Hv__NodeReport *ev, const char **ret_why)
{
	TRY(ev->node, "report: no node");
	TRY(text_clean(ev->boot_id, HV_NAME_MAX), "report: bad boot id");
	TRY(ev->mem_mib <= UINT32_MAX && ev->cpus <= HV_MAX_CPUS, "report: size out of range");
	TRY(ev->n_domains <= HV_MAX_VMS, "report: too many domains");
	for (size_t i = 0; i < ev->n_domains; i++)
		if (!domain_valid(ev->domains[i], ret_why))
			return false;
	return true;
}

static bool result_valid(const Hv__OpResult *r, const char **ret_why)
{
	TRY(r->op && r->attempt && r->node, "result: no operation, attempt or node");
	TRY((unsigned)r->observed <= HV__OBSERVED__OBSERVED_INCOMING, "result: unknown state");
	TRY(r->rc <= HV_INTERNAL, "result: unknown code");
	TRY(text_clean(r->text, HV_TEXT_MAX), "result: bad text");
	TRY(text_clean(r->evidence, HV_PATH_MAX), "result: bad path of the evidence");
	return true;
}

static bool watchdog_valid(const Hv__NodeWatchdog *ev, const char **ret_why)
{
	TRY(ev->node, "watchdog: no node");
	TRY(!ev->watchdog_ms || (ev->lease_ms && ev->watchdog_ms > ev->lease_ms),
	    "watchdog: no lease, or one as long as its timeout");
	TRY(TIMING_LEFT_MS(ev->watchdog_ms, ev->lease_ms, ev->device_ms) <= TIMING_LONGEST_MS,
	    "watchdog: figures out of range");
	return true;
}

static bool guest_valid(const Hv__GuestHealth *ev, const char **ret_why)
{
	const Hv__GuestSeen *g = ev->guest;

	TRY(ev->node && g, "guest: no node, or nothing of a guest");
	TRY(hv_uuid_valid(g->uuid), "guest: bad uuid");
	TRY((unsigned)g->heartbeat <= HV__GUEST_HEARTBEAT__HEARTBEAT_LOST,
	    "guest: unknown heartbeat");
	TRY((unsigned)g->trouble <= HV__GUEST_TROUBLE__TROUBLE_IO_ERROR, "guest: unknown trouble");
	TRY(text_clean(g->text, HV_TEXT_MAX), "guest: bad text");
	return true;
}

static bool vm_add_valid(const Hv__VmAdd *a, const char **ret_why)
{
	TRY(hv_name_valid(a->name), "vm add: bad name");
	TRY(hv_uuid_valid(a->uuid), "vm add: bad uuid");
	TRY(*a->xml && text_fits(a->xml, HV_XML_MAX), "vm add: no domain XML, or too large");
	TRY(a->mem_mib && a->mem_mib <= UINT32_MAX, "vm add: memory out of range");
	TRY(a->vcpus && a->vcpus <= HV_MAX_CPUS, "vm add: vCPUs out of range");
	TRY(a->priority >= -1000000 && a->priority <= 1000000, "vm add: priority out of range");
	TRY(a->stop_timeout_s <= 86400, "vm add: stop timeout out of range");
	TRY(storage_paths_valid(a->storage, a->n_storage), "vm add: bad list of storage");
	return true;
}

static bool pairs_valid(Hv__KeyValue **kv, size_t count, const char **ret_why)
{
	TRY(count <= HV_MAX_DEVICE_OPTIONS, "fence add: too many options");
	for (size_t i = 0; i < count; i++) {
		TRY(hv_name_valid(kv[i]->key), "fence add: bad option name");
		TRY(text_clean(kv[i]->value, HV_OPTION_MAX),
		    "fence add: option value too long or not printable");
		for (size_t k = 0; k < i; k++)
			TRY(strcmp(kv[i]->key, kv[k]->key) != 0, "fence add: an option twice");
	}
	return true;
}

static bool agent_valid(const char *s)
{
	if (strncmp(s, "fence_", 6) != 0 || !s[6] || !text_fits(s, HV_NAME_MAX))
		return false;
	for (s += 6; *s; s++)
		if (!(*s >= 'a' && *s <= 'z') && !(*s >= '0' && *s <= '9') && *s != '_')
			return false;
	return true;
}

static bool fence_add_valid(const Hv__FenceAdd *f, const char **ret_why)
{
	TRY((f->n_map ? !*f->node : hv_name_valid(f->node)) && hv_name_valid(f->device),
	    "fence add: bad name");
	TRY(f->n_map <= HV_MAX_NODES, "fence add: too many hosts in the map");
	for (size_t i = 0; i < f->n_map; i++)
		TRY(hv_name_valid(f->map[i]->key) && *f->map[i]->value &&
			text_clean(f->map[i]->value, HV_OPTION_MAX),
		    "fence add: bad map");
	TRY(f->delay_s <= 3600 && f->delay_random_s <= 3600, "fence add: delay out of range");
	TRY(agent_valid(f->agent),
	    "fence add: an agent's name is fence_ and lower-case letters, digits, _");
	TRY(strcmp(f->device, FENCE_PLAN_WATCHDOG) != 0,
	    "fence add: 'watchdog' is the name of a node's own watchdog");
	TRY(f->level <= HV_MAX_FENCE_LEVELS, "fence add: level out of range");
	TRY(f->timeout_s <= 3600, "fence add: timeout out of range");
	return pairs_valid(f->options, f->n_options, ret_why) &&
	       pairs_valid(f->secrets, f->n_secrets, ret_why);
}

static bool rule_add_valid(const Hv__RuleAdd *r, const char **ret_why)
{
	TRY(hv_name_valid(r->name), "rule add: bad name");
	TRY(r->kind > HV__RULE_KIND__RULE_NONE && r->kind <= HV__RULE_KIND__RULE_AFTER,
	    "rule add: unknown kind");
	TRY(r->n_vms && r->n_vms <= HV_MAX_RULE_VMS, "rule add: no VMs, or too many");
	TRY(r->n_nodes <= HV_MAX_NODES, "rule add: too many nodes");
	for (size_t i = 0; i < r->n_nodes; i++)
		TRY(r->nodes[i]->priority >= -1000000 && r->nodes[i]->priority <= 1000000,
		    "rule add: priority out of range");
	return true;
}

static bool vm_set_valid(const Hv__VmSet *s, const char **ret_why)
{
	TRY(s->n_attributes && s->n_attributes <= HV_MAX_DEVICE_OPTIONS,
	    "vm set: no attributes, or too many");
	for (size_t i = 0; i < s->n_attributes; i++)
		TRY(text_clean(s->attributes[i]->key, HV_NAME_MAX) &&
			text_clean(s->attributes[i]->value, HV_NAME_MAX),
		    "vm set: too long or not printable");
	return true;
}

/* Names of things that must exist are only bounded here: a wrong one is an answer, not a broken
 * event. */
static bool command_valid(const Hv__Command *cmd, const char **ret_why)
{
	TRY(text_clean(cmd->actor, 2 * HV_NAME_MAX), "command: bad actor");
	switch (cmd->body_case) {
	case HV__COMMAND__BODY_VM_ADD:
		return vm_add_valid(cmd->vm_add, ret_why);
	case HV__COMMAND__BODY_FENCE_ADD:
		return fence_add_valid(cmd->fence_add, ret_why);
	case HV__COMMAND__BODY_FENCE_LEVEL:
		TRY(cmd->fence_level->level >= 1 &&
			cmd->fence_level->level <= FENCE_PLAN_WATCHDOG_LEVEL,
		    "fence level: level out of range");
		return true;
	case HV__COMMAND__BODY_VM_STOP:
		TRY(cmd->vm_stop->timeout_s <= 86400, "vm stop: timeout out of range");
		return true;
	case HV__COMMAND__BODY_SETTING_SET:
		TRY(text_clean(cmd->setting_set->key, HV_NAME_MAX) &&
			text_clean(cmd->setting_set->value, HV_NAME_MAX),
		    "setting: too long or not printable");
		return true;
	case HV__COMMAND__BODY_RULE_ADD:
		return rule_add_valid(cmd->rule_add, ret_why);
	case HV__COMMAND__BODY_VM_SET:
		return vm_set_valid(cmd->vm_set, ret_why);
	case HV__COMMAND__BODY_VM_LOCK:
		TRY(text_clean(cmd->vm_lock->reason, HV_NAME_MAX), "vm lock: bad reason");
		return true;
	case HV__COMMAND__BODY_QUORUM_FORCE:
		TRY(cmd->quorum_force->n_off <= HV_MAX_NODES, "quorum force: too many nodes");
		for (size_t i = 0; i < cmd->quorum_force->n_off; i++)
			TRY(hv_name_valid(cmd->quorum_force->off[i]), "quorum force: bad name");
		return true;
	case HV__COMMAND__BODY_RULE_REMOVE:
	case HV__COMMAND__BODY_NODE_SHUTDOWN:
	case HV__COMMAND__BODY_NODE_FENCE:
	case HV__COMMAND__BODY_NODE_RELEASE:
	case HV__COMMAND__BODY_ARM:
	case HV__COMMAND__BODY_VM_REMOVE:
	case HV__COMMAND__BODY_VM_START:
	case HV__COMMAND__BODY_VM_MIGRATE:
	case HV__COMMAND__BODY_VM_PAUSE:
	case HV__COMMAND__BODY_VM_RESUME:
	case HV__COMMAND__BODY_VM_RESET:
	case HV__COMMAND__BODY_NODE_DRAIN:
	case HV__COMMAND__BODY_NODE_RESUME:
	case HV__COMMAND__BODY_FENCE_REMOVE:
	case HV__COMMAND__BODY_FENCE_TEST:
	case HV__COMMAND__BODY_FENCE_CONFIRM:
	case HV__COMMAND__BODY_OP_CANCEL:
		return true;
	case HV__COMMAND__BODY__NOT_SET:
	case _HV__COMMAND__BODY__CASE_IS_INT_SIZE:
		break;
	}
	*ret_why = "command: none";
	return false;
}

bool event_valid(const Hv__Event *ev, const char **ret_why)
{
	TRY(ev && ev->proposer, "event: no proposer");
	TRY(ev->at_us <= UINT64_MAX / 2, "event: time out of range");
	switch (ev->body_case) {
	case HV__EVENT__BODY_VIEW:
		return view_valid(ev->view, ret_why);
	case HV__EVENT__BODY_TICK:
		return true;
	case HV__EVENT__BODY_NODES_CONFIGURED:
		return configured_valid(ev->nodes_configured, ret_why);
	case HV__EVENT__BODY_NODE_REPORT:
		return report_valid(ev->node_report, ret_why);
	case HV__EVENT__BODY_VM_OBSERVED:
		TRY(ev->vm_observed->node, "observation: no node");
		return domain_valid(ev->vm_observed->domain, ret_why);
	case HV__EVENT__BODY_OP_RESULT:
		return result_valid(ev->op_result, ret_why);
	case HV__EVENT__BODY_COMMAND:
		return command_valid(ev->command, ret_why);
	case HV__EVENT__BODY_RAISE_FEATURE:
		return true;
	case HV__EVENT__BODY_HOST_HEALTH:
		TRY(ev->host_health->node, "health: no node");
		TRY(ev->host_health->mem_mib <= UINT32_MAX && ev->host_health->cpus <= HV_MAX_CPUS,
		    "health: size out of range");
		TRY(text_clean(ev->host_health->text, HV_TEXT_MAX), "health: bad text");
		TRY(storage_list_valid(ev->host_health->bad_storage,
				       ev->host_health->n_bad_storage),
		    "health: bad list of storage");
		TRY(setup_valid(ev->host_health->setup), "health: bad words about the host");
		return true;
	case HV__EVENT__BODY_NODE_WATCHDOG:
		return watchdog_valid(ev->node_watchdog, ret_why);
	case HV__EVENT__BODY_GUEST_HEALTH:
		return guest_valid(ev->guest_health, ret_why);
	case HV__EVENT__BODY__NOT_SET:
	case _HV__EVENT__BODY__CASE_IS_INT_SIZE:
		break;
	}
	*ret_why = "event: no body";
	return false;
}
