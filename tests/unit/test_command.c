/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A command before it is proposed: what the host that was asked finds wrong with it. */
#include "clusterd/command.h"

#include "tests/unit/small_cluster.h"

#include <criterion/criterion.h>
#include <stdio.h>

#define UUID "0000000a-0000-4000-8000-000000000001"
#define CHANNEL                                                                                    \
	"<channel type='unix'><target type='virtio' name='org.qemu.guest_agent.0'/></channel>"

static void add_vm(struct small *s, const char *devices)
{
	Hv__Command cmd = HV__COMMAND__INIT;
	Hv__VmAdd add = HV__VM_ADD__INIT;
	char xml[1024];

	snprintf(xml, sizeof(xml),
		 "<domain type='kvm'><name>web1</name><uuid>" UUID "</uuid>"
		 "<memory>1024</memory><devices>%s</devices></domain>",
		 devices);
	add.name = "web1";
	add.uuid = UUID;
	add.xml = xml;
	add.mem_mib = 1;
	add.vcpus = 1;
	cmd.body_case = HV__COMMAND__BODY_VM_ADD;
	cmd.vm_add = &add;
	small_command(s, &cmd);
	cr_assert(cluster_vm_by_name(s->c, "web1"));
}

static enum hv_rc set(const struct small *s, const char *vm, const char *key, const char *value,
		      struct command_plan *plan)
{
	Hv__Command cmd = HV__COMMAND__INIT;
	Hv__VmSet body = HV__VM_SET__INIT;
	Hv__KeyValue other = HV__KEY_VALUE__INIT, kv = HV__KEY_VALUE__INIT, *list[] = {&other, &kv};

	other.key = "priority";
	other.value = "7";
	kv.key = (char *)key;
	kv.value = (char *)value;
	body.name = (char *)vm;
	body.attributes = list;
	body.n_attributes = 2;
	cmd.body_case = HV__COMMAND__BODY_VM_SET;
	cmd.vm_set = &body;
	return command_prepare(s->c, &cmd, plan);
}

static const struct {
	const char *devices, *key, *value, *wrong; /* wrong: what is said; NULL: fine */
} sets[] = {
    {"", "heartbeat_s", "30", "<channel type='unix'>"},
    {"", "heartbeat_s", "0", NULL},
    {CHANNEL, "heartbeat_s", "30", NULL},
    {"", "guest_panic", "reset", "<panic model='isa'/>"},
    {"", "guest_panic", "report", NULL},
    {"<panic model='isa'/>", "guest_panic", "reset", NULL},
    {"", "guest_watchdog", "reset", "<watchdog model='i6300esb' action='none'/>"},
    {"", "guest_watchdog", "report", NULL},
    {"<watchdog model='i6300esb'/>", "guest_watchdog", "reset", "acts by itself"},
    {"<watchdog model='i6300esb' action='none'/>", "guest_watchdog", "reset", NULL},
    {"", "heartbeat_idle_s", "30", NULL},
    {"", "io_error", "resume", NULL},
    {"", "priority", "3", NULL},
};

Test(command, health_needs_its_device_in_the_xml)
{
	for (size_t i = 0; i < ARRAY_SIZE(sets); i++) {
		_cleanup_small_ struct small s = small_online();
		struct command_plan plan;
		enum hv_rc rc;

		add_vm(&s, sets[i].devices);
		rc = set(&s, "web1", sets[i].key, sets[i].value, &plan);
		cr_assert_eq(rc, sets[i].wrong ? HV_BAD_INPUT : HV_OK, "%s=%s with %s: %s",
			     sets[i].key, sets[i].value, sets[i].devices, plan.text);
		if (sets[i].wrong) {
			cr_assert(strstr(plan.text, sets[i].wrong), "%s", plan.text);
			cr_assert(strstr(plan.text, "web1") && strstr(plan.text, sets[i].key));
			cr_assert_not_null(plan.hint);
		}
		command_plan_done(&plan);
	}
}

/* That is the brain's to say, and the same on all nodes. */
Test(command, a_vm_that_is_not_there_is_not_judged_here)
{
	_cleanup_small_ struct small s = small_online();
	struct command_plan plan;

	cr_assert_eq(set(&s, "web2", "heartbeat_s", "30", &plan), HV_OK);
	command_plan_done(&plan);
	small_vm_add(&s, "web1", UUID, false);
	cr_assert_eq(set(&s, "web1", "heartbeat_s", "30", &plan), HV_OK, "its XML cannot be read");
	command_plan_done(&plan);
}
