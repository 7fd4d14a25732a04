/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Any bytes as what hypervisord tells clusterd: whatever a host seems to run, what intake proposes
 * is an event that every node takes, never a crash.
 *
 * The input's first byte chooses the state that intake looks at (its node is online, or has yet to
 * report); then a row of frames, each a length (two bytes, little endian) and an HvMessage.
 */
#include "clusterd/intake.h"

#include "tests/fuzz/arena.h"
#include "tests/fuzz/fuzz.h"
#include "tests/unit/small_cluster.h"

static unsigned proposed;

static uint64_t propose(void *user _unused_, const Hv__Event *ev)
{
	Hv__Event stamped = *ev;
	const char *why = "";

	stamped.proposer = 1;
	stamped.incarnation = SMALL_INCARNATION;
	stamped.at_us = 1;
	hv_assert(event_valid(&stamped, &why));
	return ++proposed;
}

static bool pending(void *user _unused_, uint64_t mark)
{
	return mark == proposed && mark % 2;
}

static void take(struct intake *in, const Hv__HvMessage *msg, uint64_t now_us)
{
	if (msg->body_case == HV__HV_MESSAGE__BODY_DOMAIN)
		intake_domain(in, msg->domain);
	else if (msg->body_case == HV__HV_MESSAGE__BODY_INVENTORY)
		intake_inventory(in, msg->inventory);
	else if (msg->body_case == HV__HV_MESSAGE__BODY_HEALTH)
		intake_health(in, msg->health, now_us);
	else if (msg->body_case == HV__HV_MESSAGE__BODY_RESULT)
		intake_observed(in, "00000000-0000-4000-8000-000000000001", msg->result->observed);
}

static struct small world(bool online)
{
	struct small s = online ? small_online() : small_new();

	if (online) {
		small_vm_add(&s, "web", "00000000-0000-4000-8000-000000000001", true);
		small_vm_runs(&s, "web");
		small_vm_add(&s, "db", "00000000-0000-4000-8000-000000000002", false);
	}
	return s;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const struct intake_ops ops = {propose, pending};
	static struct small worlds[2]; /* intake only reads them */
	uint64_t now_us = HV_US_PER_S;
	struct intake *in;
	const struct cluster *c;

	if (!worlds[0].c)
		for (unsigned i = 0; i < 2; i++)
			worlds[i] = world(i);
	if (size == 0)
		return 0;
	c = worlds[*data % 2].c;
	arena_enter();
	in = intake_new("boot", &ops, NULL);
	intake_set_self(in, 1, SMALL_INCARNATION);
	proposed = 0;
	for (data++, size--; size >= 2;) {
		size_t len = (size_t)data[0] | (size_t)data[1] << 8;
		Hv__HvMessage *msg;

		if (len > size - 2)
			len = size - 2;
		msg = hv__hv_message__unpack(NULL, len, data + 2);
		if (msg) {
			take(in, msg, now_us);
			hv__hv_message__free_unpacked(msg, NULL);
			intake_state_changed(in, now_us, true);
			intake_reconcile(in, c, now_us += 3 * HV_US_PER_S);
		}
		data += 2 + len;
		size -= 2 + len;
	}
	intake_free(in);
	hv_assert(arena_live() == 0);
	arena_reset();
	return 0;
}
