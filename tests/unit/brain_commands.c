/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The commands in short of brain_world.h. */
#include "tests/unit/brain_world.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

const char *uuid_of(const char *name)
{
	static char buf[64][HV_UUID_LEN + 1];
	static unsigned next;
	char *s = buf[next++ % 64];
	uint64_t h = 1469598103934665603ULL;

	for (const char *p = name; *p; p++)
		h = (h ^ (unsigned char)*p) * 1099511628211ULL;
	snprintf(s, HV_UUID_LEN + 1, "00000000-0000-4000-%04x-%012llx", (unsigned)(h >> 48),
		 (unsigned long long)(h & 0xffffffffffffULL));
	return s;
}

#define COMMAND(w, lower, UPPER, ...)                                                              \
	do {                                                                                       \
		Hv__Command _cmd = HV__COMMAND__INIT;                                              \
		__VA_ARGS__;                                                                       \
		_cmd.body_case = HV__COMMAND__BODY_##UPPER;                                        \
		_cmd.lower = &_m;                                                                  \
		command(w, &_cmd);                                                                 \
	} while (0)

void vm_add(struct world *w, const char *name, uint64_t mem_mib, int32_t priority, bool started)
{
	COMMAND(w, vm_add, VM_ADD, Hv__VmAdd _m = HV__VM_ADD__INIT; _m.name = (char *)name;
		_m.uuid = (char *)uuid_of(name); _m.xml = (char *)"<domain/>"; _m.mem_mib = mem_mib;
		_m.vcpus = 1; _m.priority = priority; _m.started = started);
}

void vm_start(struct world *w, const char *name, const char *on)
{
	COMMAND(w, vm_start, VM_START, Hv__VmStart _m = HV__VM_START__INIT; _m.name = (char *)name;
		_m.node = (char *)on);
}

void vm_stop(struct world *w, const char *name, bool force)
{
	COMMAND(w, vm_stop, VM_STOP, Hv__VmStop _m = HV__VM_STOP__INIT; _m.name = (char *)name;
		_m.force = force);
}

void vm_remove(struct world *w, const char *name, bool stop_first)
{
	COMMAND(w, vm_remove, VM_REMOVE, Hv__VmRemove _m = HV__VM_REMOVE__INIT;
		_m.name = (char *)name; _m.stop_first = stop_first);
}

void vm_migrate(struct world *w, const char *name, const char *on)
{
	COMMAND(w, vm_migrate, VM_MIGRATE, Hv__VmMigrate _m = HV__VM_MIGRATE__INIT;
		_m.name = (char *)name; _m.node = (char *)on);
}

void vm_pause(struct world *w, const char *name)
{
	COMMAND(w, vm_pause, VM_PAUSE, Hv__VmPause _m = HV__VM_PAUSE__INIT; _m.name = (char *)name);
}

void vm_resume(struct world *w, const char *name)
{
	COMMAND(w, vm_resume, VM_RESUME, Hv__VmResume _m = HV__VM_RESUME__INIT;
		_m.name = (char *)name);
}

void vm_reset(struct world *w, const char *name)
{
	COMMAND(w, vm_reset, VM_RESET, Hv__VmReset _m = HV__VM_RESET__INIT; _m.name = (char *)name);
}

void vm_set(struct world *w, const char *name, const char *key, const char *value)
{
	Hv__KeyValue kv = HV__KEY_VALUE__INIT, *list[] = {&kv};

	kv.key = (char *)key;
	kv.value = (char *)value;
	COMMAND(w, vm_set, VM_SET, Hv__VmSet _m = HV__VM_SET__INIT; _m.name = (char *)name;
		_m.attributes = list; _m.n_attributes = 1);
}

void vm_lock(struct world *w, const char *name, const char *reason)
{
	COMMAND(w, vm_lock, VM_LOCK, Hv__VmLock _m = HV__VM_LOCK__INIT; _m.name = (char *)name;
		_m.reason = (char *)reason);
}

void node_drain(struct world *w, const char *name)
{
	COMMAND(w, node_drain, NODE_DRAIN, Hv__NodeDrain _m = HV__NODE_DRAIN__INIT;
		_m.node = (char *)name);
}

void node_resume(struct world *w, const char *name)
{
	COMMAND(w, node_resume, NODE_RESUME, Hv__NodeResume _m = HV__NODE_RESUME__INIT;
		_m.node = (char *)name);
}

void node_fence(struct world *w, const char *name)
{
	COMMAND(w, node_fence, NODE_FENCE, Hv__NodeFence _m = HV__NODE_FENCE__INIT;
		_m.node = (char *)name);
}

void node_shutdown(struct world *w, const char *name, bool reboot)
{
	COMMAND(w, node_shutdown, NODE_SHUTDOWN, Hv__NodeShutdown _m = HV__NODE_SHUTDOWN__INIT;
		_m.node = (char *)name; _m.reboot = reboot);
}

void node_shutdown_cancel(struct world *w, const char *name)
{
	COMMAND(w, node_shutdown, NODE_SHUTDOWN, Hv__NodeShutdown _m = HV__NODE_SHUTDOWN__INIT;
		_m.node = (char *)name; _m.cancel = true);
}

void arm(struct world *w)
{
	COMMAND(w, arm, ARM, Hv__Arm _m = HV__ARM__INIT);
}

void disarm(struct world *w, bool ignore)
{
	COMMAND(w, arm, ARM, Hv__Arm _m = HV__ARM__INIT; _m.disarm = true; _m.ignore = ignore);
}

void fence_add(struct world *w, const char *name, const char *device, uint32_t level)
{
	Hv__KeyValue ip = HV__KEY_VALUE__INIT, secret = HV__KEY_VALUE__INIT;
	Hv__KeyValue *ips[] = {&ip}, *secrets[] = {&secret};

	ip.key = (char *)"ip";
	ip.value = (char *)"10.0.0.1";
	secret.key = (char *)"password";
	secret.value = (char *)"swordfish";
	COMMAND(w, fence_add, FENCE_ADD, Hv__FenceAdd _m = HV__FENCE_ADD__INIT;
		_m.node = (char *)name; _m.device = (char *)device;
		_m.agent = (char *)"fence_ipmilan"; _m.level = level; _m.n_options = 1;
		_m.options = ips; _m.n_secrets = 1; _m.secrets = secrets);
}

Hv__FenceAdd fence_device(const char *name, uint32_t level)
{
	Hv__FenceAdd m = HV__FENCE_ADD__INIT;

	m.device = (char *)name;
	m.level = level;
	return m;
}

void fence_level(struct world *w, const char *name, uint32_t level, bool seen)
{
	COMMAND(w, fence_level, FENCE_LEVEL, Hv__FenceLevel _m = HV__FENCE_LEVEL__INIT;
		_m.node = (char *)name; _m.level = level; _m.seen = seen);
}

void fence_add_with(struct world *w, const char *name, Hv__FenceAdd m)
{
	COMMAND(w, fence_add, FENCE_ADD, Hv__FenceAdd _m = m; _m.node = (char *)name;
		_m.agent = (char *)"fence_ipmilan");
}

void fence_remove(struct world *w, const char *name, const char *device)
{
	COMMAND(w, fence_remove, FENCE_REMOVE, Hv__FenceRemove _m = HV__FENCE_REMOVE__INIT;
		_m.node = (char *)name; _m.device = (char *)device);
}

void fence_test(struct world *w, const char *name, const char *device)
{
	COMMAND(w, fence_test, FENCE_TEST, Hv__FenceTest _m = HV__FENCE_TEST__INIT;
		_m.node = (char *)name; _m.device = (char *)device);
}

void node_release(struct world *w, const char *name)
{
	COMMAND(w, node_release, NODE_RELEASE, Hv__NodeRelease _m = HV__NODE_RELEASE__INIT;
		_m.node = (char *)name);
}

void fence_confirm(struct world *w, const char *name)
{
	COMMAND(w, fence_confirm, FENCE_CONFIRM, Hv__FenceConfirm _m = HV__FENCE_CONFIRM__INIT;
		_m.node = (char *)name);
}

void fence_confirm_seen(struct world *w, const char *name, uint64_t incarnation, bool member)
{
	COMMAND(w, fence_confirm, FENCE_CONFIRM, Hv__FenceConfirm _m = HV__FENCE_CONFIRM__INIT;
		_m.node = (char *)name; _m.incarnation = incarnation; _m.member = member);
}

void op_cancel_cmd(struct world *w, hv_op_id id)
{
	COMMAND(w, op_cancel, OP_CANCEL, Hv__OpCancel _m = HV__OP_CANCEL__INIT; _m.op = id);
}

void set(struct world *w, const char *key, const char *value)
{
	COMMAND(w, setting_set, SETTING_SET, Hv__SettingSet _m = HV__SETTING_SET__INIT;
		_m.key = (char *)key; _m.value = (char *)value);
}

static size_t split(char *text, char **words, size_t max)
{
	size_t n = 0;
	char *rest = NULL;

	for (char *s = strtok_r(text, " ", &rest); s && n < max; s = strtok_r(NULL, " ", &rest))
		words[n++] = s;
	return n;
}

void rule_add(struct world *w, const char *name, Hv__RuleKind kind, const char *vms,
	      const char *nodes, bool hard)
{
	char vm_text[512], node_text[256], *vm_words[32], *node_words[32];
	Hv__RuleNode node[32], *node_list[32];
	size_t n_nodes;

	snprintf(vm_text, sizeof(vm_text), "%s", vms);
	snprintf(node_text, sizeof(node_text), "%s", nodes);
	n_nodes = split(node_text, node_words, 32);
	for (size_t i = 0; i < n_nodes; i++) {
		char *value = strchr(node_words[i], '=');

		if (value)
			*value++ = '\0';
		hv__rule_node__init(&node[i]);
		node[i].node = node_words[i];
		node[i].priority = value ? (int32_t)strtol(value, NULL, 10) : 0;
		node_list[i] = &node[i];
	}
	COMMAND(w, rule_add, RULE_ADD, Hv__RuleAdd _m = HV__RULE_ADD__INIT; _m.name = (char *)name;
		_m.kind = kind; _m.hard = _m.mandatory = hard; _m.vms = vm_words;
		_m.n_vms = split(vm_text, vm_words, 32); _m.nodes = node_list;
		_m.n_nodes = n_nodes);
}

void rule_remove(struct world *w, const char *name)
{
	COMMAND(w, rule_remove, RULE_REMOVE, Hv__RuleRemove _m = HV__RULE_REMOVE__INIT;
		_m.name = (char *)name);
}
