/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Any bytes as what a client of the control socket sends, frame and request: each is answered once
 * or waits, never a crash, and an answer fits into its frame. Commands are checked to the point
 * where they would be proposed.
 */
#include "clusterd/control.h"
#include "proto/wire.h"

#include "tests/fuzz/fuzz.h"
#include "tests/unit/small_cluster.h"

#define CLIENT 7

static struct small world;
static struct rl_status status = {
    .phase = RL_ACTIVE, .coordinator = 1, .members = {1, 2}, .n_members = 2};
static struct progress no_progress;
static unsigned answers;

static bool view(void *user _unused_, struct view *ret, enum hv_rc *ret_rc _unused_,
		 const char **ret_why _unused_)
{
	*ret = (struct view){.c = world.c,
			     .status = &status,
			     .progress = &no_progress,
			     .self = 1,
			     .current = true,
			     .now_us = world.at_us,
			     .cluster_name = "fuzz"};
	return true;
}

static uint64_t propose(void *user _unused_, const Hv__Event *ev, enum rl_entry_type type _unused_,
			hv_node_id fenced _unused_)
{
	hv_assert(ev->body_case == HV__EVENT__BODY_COMMAND);
	return 0;
}

static enum hv_rc force(void *user _unused_, const struct view *v,
			const Hv__QuorumForceRequest *req _unused_, char **ret_text _unused_,
			const char **ret_hint _unused_)
{
	hv_assert(v->current);
	return HV_REFUSED;
}

static void reply(void *user _unused_, uint64_t client, const uint8_t *payload, size_t len)
{
	Hv__ControlResponse *r = hv__control_response__unpack(NULL, len, payload);

	hv_assert(client == CLIENT && r && len <= HV_IPC_MAX);
	hv__control_response__free_unpacked(r, NULL);
	answers++;
}

static void begin(void)
{
	world = small_online();
	small_vm_add(&world, "web", "00000000-0000-4000-8000-000000000001", true);
	small_vm_add(&world, "db", "00000000-0000-4000-8000-000000000002", false);
}

static void request(qb_loop_t *loop, const uint8_t *payload, size_t len)
{
	static const struct control_ops ops = {
	    .view = view, .propose = propose, .force = force, .reply = reply};
	struct control *ctl = control_new(loop, &ops, NULL);

	answers = 0;
	control_request(ctl, CLIENT, payload, len);
	hv_assert(answers + control_waiting(ctl) == 1);
	control_gone(ctl, CLIENT);
	hv_assert(control_waiting(ctl) == 0);
	control_free(ctl);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static qb_loop_t *loop;
	const uint8_t *payload;
	size_t len;

	if (!loop) {
		loop = qb_loop_create();
		begin();
	}
	if (wire_frame_open(data, size, &payload, &len))
		request(loop, payload, len);
	request(loop, data, size);
	return 0;
}
