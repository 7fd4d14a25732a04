/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What clusterd keeps of its history, `hvcluster replay` and the copy without secrets. */
#include "cli/cli.h"
#include "cli/history.h"
#include "clusterd/history.h"
#include "tests/unit/cli_harness.h"
#include "tests/unit/small_cluster.h"

#include <criterion/criterion.h>
#include <dirent.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

TestSuite(history, .timeout = 60);

#define SECRET "Tr0ub4dor&3"
#define VNC "opensesame"

static char dir[64];
static struct small s;
static struct history *h;

static void setup(void)
{
	snprintf(dir, sizeof(dir), "/tmp/test_history.XXXXXX");
	cr_assert(mkdtemp(dir));
	s = (struct small){.c = cluster_new()};
	action_list_init(&s.actions);
}

static void teardown(void)
{
	_cleanup_free_ char *command = hv_xasprintf("%s", dir);
	DIR *d = opendir(dir);
	struct dirent *e;

	while (d && (e = readdir(d)))
		unlinkat(dirfd(d), e->d_name, 0);
	if (d)
		closedir(d);
	rmdir(command);
	small_done(&s);
}

static void begin(uint64_t max_bytes)
{
	h = history_new(dir, max_bytes, 1, 7, "test");
	history_state(h, true, 1000, s.index, cluster_digest(s.c), NULL, 0);
}

/* As driver.c does it. */
static void step(Hv__Event *ev, uint64_t lie)
{
	_cleanup_free_ uint8_t *data = NULL;
	struct rl_entry e = {.epoch = {3, 1, 7}, .type = RL_COMMAND};

	action_list_clear(&s.actions);
	small_step(&s, ev);
	e.index = s.index;
	e.len = hv__event__get_packed_size(ev);
	data = hv_xcalloc(1, e.len + 1);
	hv__event__pack(ev, data);
	e.data = data;
	history_entry(h, &e, cluster_digest(s.c) + lie);
}

static void names(uint64_t lie)
{
	Hv__Event ev = HV__EVENT__INIT;
	Hv__NodesConfigured nodes = HV__NODES_CONFIGURED__INIT;
	Hv__ConfiguredNode n = HV__CONFIGURED_NODE__INIT, *list[] = {&n};

	n.id = 1;
	n.name = (char *)"host1";
	n.votes = 1;
	nodes.n_nodes = 1;
	nodes.nodes = list;
	ev.body_case = HV__EVENT__BODY_NODES_CONFIGURED;
	ev.nodes_configured = &nodes;
	step(&ev, lie);
}

static void view(void)
{
	Hv__Event ev = HV__EVENT__INIT;
	Hv__View v = HV__VIEW__INIT;
	Hv__Member m = HV__MEMBER__INIT, *list[] = {&m};

	m.node = 1;
	m.incarnation = SMALL_INCARNATION;
	m.feature = 1;
	v.n_members = 1;
	v.members = list;
	ev.body_case = HV__EVENT__BODY_VIEW;
	ev.view = &v;
	step(&ev, 0);
}

static void command(Hv__Command *c)
{
	static uint64_t seq;
	Hv__Event ev = HV__EVENT__INIT;

	c->request = ++seq;
	c->actor = (char *)"root@host1";
	ev.proposer = 1;
	ev.seq = seq;
	ev.body_case = HV__EVENT__BODY_COMMAND;
	ev.command = c;
	step(&ev, 0);
}

static void fence_add(void)
{
	Hv__Command c = HV__COMMAND__INIT;
	Hv__FenceAdd f = HV__FENCE_ADD__INIT;
	Hv__KeyValue kv = HV__KEY_VALUE__INIT, *list[] = {&kv};

	kv.key = (char *)"password";
	kv.value = (char *)SECRET;
	f.node = (char *)"host1";
	f.device = (char *)"ipmi";
	f.agent = (char *)"fence_ipmilan";
	f.level = 1;
	f.n_secrets = 1;
	f.secrets = list;
	c.body_case = HV__COMMAND__BODY_FENCE_ADD;
	c.fence_add = &f;
	command(&c);
}

static void vm_add(void)
{
	Hv__Command c = HV__COMMAND__INIT;
	Hv__VmAdd v = HV__VM_ADD__INIT;

	v.name = (char *)"web1";
	v.uuid = (char *)"11111111-2222-4333-8444-555555555555";
	v.xml = (char *)"<domain><graphics type='vnc' passwd='" VNC "' port='-1'/></domain>";
	v.mem_mib = 64;
	v.vcpus = 1;
	c.body_case = HV__COMMAND__BODY_VM_ADD;
	c.vm_add = &v;
	command(&c);
}

static void some_history(void)
{
	begin(64U << 20);
	names(0);
	view();
	fence_add();
	vm_add();
}

static struct run *replay(const char *more)
{
	static const struct server nobody = {0};
	_cleanup_free_ char *line = hv_xasprintf("hvcluster replay %s%s", dir, more);

	return cli_run(&nobody, line);
}

Test(history, a_replay_decides_the_same_and_says_so, .init = setup, .fini = teardown)
{
	struct run *r;

	some_history();
	history_free(h);
	r = replay("");
	cr_assert_eq(r->status, 0, "%s", r->err);
	must_have(r->out, "clusterd started");
	must_have(r->out, "fence_add, asked for by root@host1");
	must_have(r->out, "vm web1");
	must_have(r->out, "equal to the recorded one, as after each of 4 entries");
	r = replay(" --until 2");
	must_lack(r->out, "web1");
	must_have(r->out, "after entry 2");
	r = replay(" --json");
	must_have(r->out, "\"equal\":true");
}

Test(history, a_state_that_came_out_otherwise_is_told, .init = setup, .fini = teardown)
{
	struct run *r;

	begin(64U << 20);
	names(0);
	names(1);
	view();
	history_free(h);
	r = replay("");
	cr_assert_neq(r->status, 0);
	must_have(r->out, "DIFFERS from the recorded one since entry 2");
}

Test(history, what_a_restart_applies_once_more_is_shown_once, .init = setup, .fini = teardown)
{
	struct run *r;
	const char *first;

	some_history();
	history_free(h);
	small_done(&s);
	s = (struct small){.c = cluster_new()};
	action_list_init(&s.actions);
	some_history();
	history_free(h);
	r = replay("");
	cr_assert_eq(r->status, 0, "%s", r->err);
	first = strstr(r->out, "vm_add");
	cr_assert(first);
	cr_assert_not(strstr(first + 1, "vm_add"), "%s", r->out);
	must_have(r->out, "each of 8 entries");
}

Test(history, the_oldest_files_go, .init = setup, .fini = teardown)
{
	struct run *r;

	begin(8192);
	for (int i = 0; i < 2000; i++) {
		size_t len = 0;
		_cleanup_free_ uint8_t *state = NULL;

		names(0);
		state = brain_encode(s.c, &len);
		history_goes_on(h, 1000, s.index, cluster_digest(s.c), state, len);
	}
	history_free(h);
	r = replay("");
	cr_assert_eq(r->status, 0, "%s", r->err);
	must_have(r->out, "history goes on");
	must_have(r->out, "after entry 2000");
}

static bool all_bytes(const char *path, uint8_t **ret, size_t *ret_len)
{
	FILE *f = fopen(path, "r");

	if (!f)
		return false;
	*ret = hv_xcalloc(1, 1 << 20);
	*ret_len = fread(*ret, 1, 1 << 20, f);
	fclose(f);
	return true;
}

Test(history, a_copy_for_others_holds_no_secret, .init = setup, .fini = teardown)
{
	_cleanup_free_ char *copy = hv_xasprintf("%s/copy", dir), *why = NULL, *name = NULL;
	_cleanup_free_ uint8_t *state = NULL, *data = NULL;
	struct secrets secrets = {0};
	uint64_t entries = 0;
	size_t len = 0;
	struct stat st;
	struct run *r;

	some_history();
	state = brain_encode(s.c, &len);
	/* Both ways that they are in it: as commands, and in a state. */
	history_state(h, false, 1000, s.index, cluster_digest(s.c), state, len);
	history_free(h);
	cr_assert_eq(history_export(dir, copy, &secrets, &entries, &why), HV_OK, "%s", why);
	cr_assert_eq(entries, 4);
	cr_assert_eq(secrets.count, 2);
	cr_assert(secrets_in(&secrets, state, len), "it is looked for where it is");
	cr_assert_eq(stat(copy, &st), 0);
	cr_assert_eq(st.st_mode & 0777, 0600);
	cr_assert(all_bytes(copy, &data, &len));
	cr_assert_null(secrets_in(&secrets, data, len));
	secrets_done(&secrets);
	name = hv_xasprintf("%s", dir);
	snprintf(dir, sizeof(dir), "%s", copy);
	r = replay("");
	snprintf(dir, sizeof(dir), "%s", name);
	cr_assert_eq(r->status, 0, "%s", r->err);
	must_have(r->out, "vm web1");
	must_have(r->out, "secrets were removed");
}

static void command_without_xml(void)
{
	Hv__Command c = HV__COMMAND__INIT;
	Hv__VmAdd v = HV__VM_ADD__INIT;

	v.name = (char *)"web2";
	c.body_case = HV__COMMAND__BODY_VM_ADD;
	c.vm_add = &v;
	command(&c);
}

/* Found by tests/fuzz: the empty text of a message is nobody's to write to. */
Test(history, a_copy_of_what_lacks_its_secrets_is_made_too, .init = setup, .fini = teardown)
{
	_cleanup_free_ char *copy = hv_xasprintf("%s/copy", dir), *why = NULL;
	struct secrets secrets = {0};
	uint64_t entries = 0;

	some_history();
	command_without_xml();
	history_free(h);
	cr_assert_eq(history_export(dir, copy, &secrets, &entries, &why), HV_OK, "%s", why);
	cr_assert_eq(entries, 5);
	secrets_done(&secrets);
}

Test(history, what_is_no_history_is_refused, .init = setup, .fini = teardown)
{
	_cleanup_free_ char *path = hv_xasprintf("%s/x.history", dir);
	struct run *r = replay("");
	FILE *f;

	cr_assert_neq(r->status, 0);
	must_have(r->err, "no history");
	f = fopen(path, "w");
	fputs("this is something else altogether", f);
	fclose(f);
	r = replay("");
	cr_assert_neq(r->status, 0);
	must_have(r->err, "is no history of clusterd");
}
