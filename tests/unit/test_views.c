/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "clusterd/views.h"
#include "tests/unit/small_cluster.h"

#include <criterion/criterion.h>
#include <stdio.h>

static struct rl_status active = {
    .phase = RL_ACTIVE, .coordinator = 1, .quorate = true, .n_members = 2};
static struct progress progress;

static struct view view_of(const struct small *s)
{
	return (struct view){.c = s->c,
			     .status = &active,
			     .progress = &progress,
			     .self = 1,
			     .current = true,
			     .now_us = s->at_us,
			     .cluster_name = "demo"};
}

static Hv__ControlResponse *response(void)
{
	Hv__ControlResponse *r = hv_xcalloc(1, sizeof(*r));

	hv__control_response__init(r);
	return r;
}

static size_t packed(const Hv__ControlResponse *r)
{
	return hv__control_response__get_packed_size(r);
}

static void add_many_vms(struct small *s, unsigned n)
{
	for (unsigned i = 0; i < n; i++) {
		char name[16], uuid[HV_UUID_LEN + 1];

		snprintf(name, sizeof(name), "vm%05u", i);
		snprintf(uuid, sizeof(uuid), "00000000-0000-0000-0000-%012u", i);
		cr_assert(small_vm_add(s, name, uuid, false), "%s", name);
	}
}

Test(views, a_list_of_vms_comes_page_by_page_and_each_fits_a_frame)
{
	_cleanup_small_ struct small s = small_online();
	struct view v = view_of(&s);
	Hv__VmListRequest req = HV__VM_LIST_REQUEST__INIT;
	char after[64] = "";
	size_t seen = 0, pages = 0;
	bool more = true;

	add_many_vms(&s, 1200);
	while (more) {
		Hv__ControlResponse *r = response();

		req.after = after;
		cr_assert_eq(view_vm_list(&v, &req, r), HV_OK);
		cr_assert_lt(packed(r), HV_IPC_MAX - 64);
		cr_assert_gt(r->vm_list->n_vms, 0);
		cr_assert_lt(strcmp(after, r->vm_list->vms[0]->name), 0, "in order, no overlap");
		seen += r->vm_list->n_vms;
		pages++;
		snprintf(after, sizeof(after), "%s", r->vm_list->vms[r->vm_list->n_vms - 1]->name);
		more = r->vm_list->more;
		hv__control_response__free_unpacked(r, NULL);
	}
	cr_assert_eq(seen, 1200);
	cr_assert_gt(pages, 2);
}

Test(views, status_fits_a_frame_however_much_is_wrong)
{
	_cleanup_small_ struct small s = small_new(); /* nobody has reported: nothing can start */
	struct view v = view_of(&s);
	Hv__ControlResponse *r = response();

	for (unsigned i = 0; i < 300; i++) {
		char name[16], uuid[HV_UUID_LEN + 1];

		snprintf(name, sizeof(name), "vm%u", i);
		snprintf(uuid, sizeof(uuid), "00000000-0000-0000-0000-%012u", i);
		small_vm_add(&s, name, uuid, true);
	}
	cr_assert_eq(view_status(&v, r), HV_OK);
	cr_assert_lt(packed(r), HV_IPC_MAX - 64);
	cr_assert_eq(r->status->vms, 300);
	cr_assert_eq(r->status->attention_total, 300);
	cr_assert_eq(r->status->n_attention, 50);
	cr_assert_str_eq(r->status->coordinator, "host1");
	cr_assert_eq(r->status->n_nodes, 2);
	cr_assert(r->status->nodes[0]->self);
	hv__control_response__free_unpacked(r, NULL);
}

Test(views, a_secret_is_named_and_never_shown)
{
	_cleanup_small_ struct small s = small_online();
	struct view v = view_of(&s);
	Hv__Command cmd = HV__COMMAND__INIT;
	Hv__FenceAdd add = HV__FENCE_ADD__INIT;
	Hv__KeyValue ip = HV__KEY_VALUE__INIT, pw = HV__KEY_VALUE__INIT, *options = &ip,
		     *secrets = &pw;
	Hv__FenceListRequest req = HV__FENCE_LIST_REQUEST__INIT;
	Hv__ControlResponse *r = response();
	uint8_t *bytes;
	size_t len;

	ip.key = "ip";
	ip.value = "10.0.0.1";
	pw.key = "password";
	pw.value = "correct-horse";
	add.node = "host2";
	add.device = "bmc";
	add.agent = "fence_ipmilan";
	add.level = 1;
	add.options = &options;
	add.n_options = 1;
	add.secrets = &secrets;
	add.n_secrets = 1;
	cmd.body_case = HV__COMMAND__BODY_FENCE_ADD;
	cmd.fence_add = &add;
	small_command(&s, &cmd);
	cr_assert_eq(view_fence_list(&v, &req, r), HV_OK);
	cr_assert_eq(r->fence_list->n_devices, 1);
	cr_assert_str_eq(r->fence_list->devices[0]->secret_names[0], "password");
	cr_assert_str_eq(r->fence_list->unprotected[0], "host1");
	len = packed(r);
	bytes = hv_xcalloc(1, len);
	hv__control_response__pack(r, bytes);
	cr_assert_null(memmem(bytes, len, "correct-horse", 13));
	free(bytes);
	hv__control_response__free_unpacked(r, NULL);
}

/* The result of the test that runs now. */
static void test_ends(struct small *s, enum hv_rc rc, const char *text)
{
	for (size_t i = 0; i < cluster_op_count(s->c); i++) {
		const struct operation *op = cluster_op_at(s->c, i);
		Hv__Event ev = HV__EVENT__INIT;
		Hv__OpResult r = HV__OP_RESULT__INIT;

		if (op->kind != OP_FENCE_TEST || op->state != OP_RUNNING)
			continue;
		r.op = op->id;
		r.attempt = op->attempt;
		r.node = op->node;
		r.rc = rc;
		r.text = (char *)text;
		ev.proposer = op->node;
		ev.body_case = HV__EVENT__BODY_OP_RESULT;
		ev.op_result = &r;
		small_step(s, &ev);
		return;
	}
	cr_assert_fail("no test runs");
}

static void device_of(struct small *s, char *node, bool waited)
{
	Hv__Command cmd = HV__COMMAND__INIT;
	Hv__FenceAdd add = HV__FENCE_ADD__INIT;

	add.node = node;
	add.device = "bmc";
	add.agent = "fence_ipmilan";
	add.waited = waited;
	cmd.body_case = HV__COMMAND__BODY_FENCE_ADD;
	cmd.fence_add = &add;
	small_command(s, &cmd);
}

static bool warned(const Hv__StatusResponse *s, const char *words)
{
	for (size_t i = 0; i < s->n_warnings; i++)
		if (strstr(s->warnings[i], words))
			return true;
	return false;
}

Test(views, status_says_how_many_can_be_fenced_and_shouts_where_a_test_failed)
{
	_cleanup_small_ struct small s = small_online();
	struct view v = view_of(&s);
	Hv__ControlResponse *r = response();

	device_of(&s, "host1", false);
	device_of(&s, "host2", true);
	cr_assert_eq(view_status(&v, r), HV_OK);
	cr_assert(r->status->fence_hosts == 2 && r->status->fence_able == 0);
	cr_assert_eq(r->status->fence_checked_wall_ms, 0);
	hv__control_response__free_unpacked(r, NULL);

	r = response();
	test_ends(&s, HV_OK, "on");
	test_ends(&s, HV_OK, "on");
	view_status(&v, r);
	cr_assert(r->status->fence_able == 2 && r->status->fence_waited == 1);
	cr_assert_neq(r->status->fence_checked_wall_ms, 0);
	cr_assert_str_eq(r->status->nodes[1]->fencing, "waited");
	hv__control_response__free_unpacked(r, NULL);

	r = response();
	for (unsigned i = 0; i < 4; i++) { /* the next round */
		Hv__Event ev = HV__EVENT__INIT;
		Hv__Tick t = HV__TICK__INIT;

		s.at_us += 310 * HV_US_PER_S;
		ev.body_case = HV__EVENT__BODY_TICK;
		ev.tick = &t;
		small_step(&s, &ev);
		if (i % 2 == 0)
			test_ends(&s, HV_AGENT_FAILED, "login refused");
		else
			test_ends(&s, HV_OK, "on");
	}
	view_status(&v, r);
	cr_assert_eq(r->status->fence_able, 1);
	cr_assert(
	    warned(r->status, "NODE host1 CANNOT BE FENCED with bmc by host2: login refused"));
	cr_assert_str_eq(r->status->nodes[0]->fencing, "test-failed");
	hv__control_response__free_unpacked(r, NULL);
}

Test(views, status_shouts_where_a_level_demands_what_its_device_cannot)
{
	_cleanup_small_ struct small s = small_online();
	struct view v = view_of(&s);
	Hv__ControlResponse *r = response();
	Hv__Command cmd = HV__COMMAND__INIT;
	Hv__FenceLevel level = HV__FENCE_LEVEL__INIT;

	device_of(&s, "host1", true);
	device_of(&s, "host2", true);
	test_ends(&s, HV_OK, "on");
	test_ends(&s, HV_OK, "on");
	level.node = "host2";
	level.level = 1;
	level.seen = true;
	cmd.body_case = HV__COMMAND__BODY_FENCE_LEVEL;
	cmd.fence_level = &level;
	small_command(&s, &cmd);
	view_status(&v, r);
	cr_assert(warned(r->status, "the fence devices of host2 only wait"));
	cr_assert(!warned(r->status, "the fence devices of host1"));
	cr_assert_eq(r->status->fence_waited, 2);
	hv__control_response__free_unpacked(r, NULL);
}

static void host_says(struct small *s, uint32_t node, Hv__HostSetup *setup)
{
	Hv__Event ev = HV__EVENT__INIT;
	Hv__HostHealth h = HV__HOST_HEALTH__INIT;

	h.node = node;
	h.hypervisor_ok = true;
	h.setup = setup;
	ev.proposer = node;
	ev.body_case = HV__EVENT__BODY_HOST_HEALTH;
	ev.host_health = &h;
	small_step(s, &ev);
}

static void setting(struct small *s, char *key, char *value)
{
	Hv__Command cmd = HV__COMMAND__INIT;
	Hv__SettingSet set = HV__SETTING_SET__INIT;

	set.key = key;
	set.value = value;
	cmd.body_case = HV__COMMAND__BODY_SETTING_SET;
	cmd.setting_set = &set;
	small_command(s, &cmd);
}

Test(views, status_names_the_hosts_that_need_somebody)
{
	_cleanup_small_ struct small s = small_online();
	struct view v = view_of(&s);
	Hv__ControlResponse *r = response();
	Hv__HostSetup one = HV__HOST_SETUP__INIT, two = HV__HOST_SETUP__INIT;

	one.disk_lock = "none";
	one.certificate = "cert.pem ends soon";
	two.disk_lock = "lockd";
	two.disk_lock_text = "virtlockd does not run";
	two.hook = "libvirt's hook is not installed";
	host_says(&s, 1, &one);
	host_says(&s, 2, &two);
	view_status(&v, r);
	cr_assert(warned(r->status, "node host2: libvirt's hook is not installed"));
	cr_assert(warned(r->status, "node host1: cert.pem ends soon"));
	cr_assert(warned(r->status, "node host2: its libvirt locks the VMs' disks with lockd"));
	cr_assert(!warned(r->status, "virtlockd does not run"), "nobody wants it");
	hv__control_response__free_unpacked(r, NULL);

	r = response();
	setting(&s, "disk_lock", "lockd");
	setting(&s, "migration_tls", "off");
	host_says(&s, 1, NULL);
	view_status(&v, r);
	cr_assert(
	    warned(r->status, "node host1: disk_lock is lockd, and its libvirt uses no lock"));
	cr_assert(warned(r->status, "node host2: virtlockd does not run"));
	cr_assert(!warned(r->status, "cert.pem"), "no migration needs it");
	hv__control_response__free_unpacked(r, NULL);
}

Test(views, what_does_not_exist_is_said_with_the_next_command)
{
	_cleanup_small_ struct small s = small_online();
	struct view v = view_of(&s);
	Hv__VmShowRequest vm = HV__VM_SHOW_REQUEST__INIT;
	Hv__ReportRequest report = HV__REPORT_REQUEST__INIT;
	Hv__ControlResponse *r = response();

	vm.name = "nobody";
	cr_assert_eq(view_vm_show(&v, &vm, r), HV_NOT_FOUND);
	cr_assert(strstr(r->text, "nobody"));
	cr_assert_str_eq(r->hint, "hvcluster vm list");
	hv__control_response__free_unpacked(r, NULL);
	r = response();
	cr_assert_eq(view_report(&v, &report, r), HV_NOT_FOUND);
	hv__control_response__free_unpacked(r, NULL);
}

Test(views, events_go_on_where_the_client_stopped)
{
	_cleanup_small_ struct small s = small_online();
	struct view v = view_of(&s);
	Hv__EventsRequest req = HV__EVENTS_REQUEST__INIT;
	Hv__ControlResponse *r = response();
	uint64_t next = cluster_journal_next(s.c);

	req.since = 1;
	req.limit = 1;
	cr_assert_eq(view_events(&v, &req, r), HV_OK);
	cr_assert_eq(r->events->n_events, 1);
	cr_assert_eq(r->events->next, r->events->events[0]->id + 1);
	cr_assert_not(r->events->gap);
	hv__control_response__free_unpacked(r, NULL);
	r = response();
	req.since = next;
	cr_assert_eq(view_events(&v, &req, r), HV_OK);
	cr_assert_eq(r->events->n_events, 0);
	cr_assert_eq(r->events->next, next);
	hv__control_response__free_unpacked(r, NULL);
}

/* detected at 1.000 s; agent 1.010 to 1.350; two creates 1.360 to 1.560 and 1.400 to 1.600. */
Test(views, our_share_of_a_failover_leaves_out_the_agent_and_libvirt)
{
	struct failover_vm vms[2] = {
	    {.began_us = 1360000, .ended_us = 1560000, .running_us = 1563000},
	    {.began_us = 1400000, .ended_us = 1600000, .running_us = 1604000}};
	struct failover f = {.detected_us = 1000000,
			     .fence_began_us = 1010000,
			     .fence_ended_us = 1350000,
			     .vms = vms,
			     .n_vms = 2};

	/* 563 ms in all, 340 ms of them the agent's, 200 ms libvirt's until 1.560 and 3 ms of the
	 * other call */
	cr_assert_eq(view_own_share_us(&f, 1563000), 563000 - 340000 - 203000);
	cr_assert_eq(view_own_share_us(&f, 1604000), 604000 - 340000 - 240000);
	cr_assert_eq(view_own_share_us(&f, 1000000), 0);
}

static void add_rule(struct small *s, const char *name, Hv__RuleKind kind, const char *a,
		     const char *b)
{
	Hv__Command cmd = HV__COMMAND__INIT;
	Hv__RuleAdd add = HV__RULE_ADD__INIT;
	char *vms[] = {(char *)a, (char *)b};

	add.name = (char *)name;
	add.kind = kind;
	add.hard = true;
	add.vms = vms;
	add.n_vms = ARRAY_SIZE(vms);
	cmd.body_case = HV__COMMAND__BODY_RULE_ADD;
	cmd.rule_add = &add;
	small_command(s, &cmd);
}

Test(views, rules_are_listed_page_by_page_and_with_their_vms)
{
	_cleanup_small_ struct small s = small_online();
	struct view v = view_of(&s);
	Hv__RuleListRequest list = HV__RULE_LIST_REQUEST__INIT;
	Hv__VmShowRequest show = HV__VM_SHOW_REQUEST__INIT;
	Hv__ControlResponse *r = response();

	add_many_vms(&s, 3);
	add_rule(&s, "spread", HV__RULE_KIND__RULE_APART, "vm00000", "vm00001");
	add_rule(&s, "order", HV__RULE_KIND__RULE_AFTER, "vm00002", "vm00001");
	cr_assert_eq(view_rule_list(&v, &list, r), HV_OK);
	cr_assert_eq(r->rule_list->n_rules, 2);
	cr_assert_str_eq(r->rule_list->rules[0]->name, "order");
	cr_assert_str_eq(r->rule_list->rules[1]->kind, "apart");
	cr_assert_str_eq(r->rule_list->rules[1]->vms[1], "vm00001");
	hv__control_response__free_unpacked(r, NULL);

	r = response();
	list.after = (char *)"order";
	list.vm = (char *)"vm00002";
	cr_assert_eq(view_rule_list(&v, &list, r), HV_OK);
	cr_assert_eq(r->rule_list->n_rules, 0);
	hv__control_response__free_unpacked(r, NULL);

	r = response();
	list.vm = (char *)"nobody";
	cr_assert_eq(view_rule_list(&v, &list, r), HV_NOT_FOUND);
	hv__control_response__free_unpacked(r, NULL);

	r = response();
	show.name = (char *)"vm00000";
	cr_assert_eq(view_vm_show(&v, &show, r), HV_OK);
	cr_assert_eq(r->vm_show->n_rules, 1);
	cr_assert_str_eq(r->vm_show->rules[0]->name, "spread");
	hv__control_response__free_unpacked(r, NULL);
}
