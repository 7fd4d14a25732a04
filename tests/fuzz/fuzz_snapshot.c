/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Any bytes as a snapshot of the state: refused with a reason, or a state that holds its
 * invariants, can be shown, explained and written again, and takes the next tick.
 */
#include "tests/fuzz/arena.h"
#include "tests/fuzz/fuzz.h"

#include "resource/brain.h"

#include <string.h>

static void lines_done(char **lines, size_t count)
{
	for (size_t i = 0; i < count; i++)
		free(lines[i]);
	free(lines);
}

static void show(const struct cluster *c)
{
	_cleanup_free_ char *dump = brain_dump(c);
	size_t count;

	for (size_t i = 0; i < cluster_vm_count(c) && i < 4; i++) {
		struct placement_line lines[HV_MAX_NODES];
		const struct vm *vm = cluster_vm_at(c, i);
		char **why = brain_explain_vm(c, vm, &count);

		lines_done(why, count);
		brain_explain_placement(c, vm, lines, HV_MAX_NODES);
	}
	for (size_t i = 0; i < cluster_node_count(c); i++) {
		char **held = brain_drain_held_by(c, cluster_node_at(c, i), &count);

		lines_done(held, count);
	}
	hv_assert(dump && *dump);
}

static void encode_and_back(const struct cluster *c)
{
	_cleanup_free_ uint8_t *bytes = NULL;
	const char *why = NULL;
	struct cluster *copy;
	size_t len;

	bytes = brain_encode(c, &len);
	copy = brain_decode(bytes, len, &why);
	hv_assert(copy && cluster_digest(copy) == cluster_digest(c));
	cluster_free(copy);
}

static void tick(struct cluster *c)
{
	Hv__Event ev = HV__EVENT__INIT;
	Hv__Tick body = HV__TICK__INIT;
	struct action_list actions;

	if (cluster_index(c) == UINT64_MAX)
		return;
	action_list_init(&actions);
	ev.proposer = 1;
	ev.at_us = brain_next_deadline_us(c);
	ev.body_case = HV__EVENT__BODY_TICK;
	ev.tick = &body;
	brain_step(c, cluster_index(c) + 1, &ev, &actions);
	action_list_done(&actions);
	hv_assert(!brain_check(c));
}

/*
 * Next to none of the bytes that are tried has the digest of what it says, so they are first read
 * as one from which secrets were taken, whose digest is not looked at. Whether it came out as
 * written must be all the difference.
 */
static void one(const uint8_t *data, size_t size)
{
	const char *why = NULL;
	struct cluster *c = brain_decode_stripped(data, size, &why), *strict;

	if (!c) {
		hv_assert(why && *why);
		return;
	}
	strict = brain_decode(data, size, &why);
	hv_assert(strict ? cluster_digest(strict) == cluster_digest(c) : why && *why);
	cluster_free(strict);
	show(c);
	encode_and_back(c);
	tick(c);
	cluster_free(c);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	arena_enter();
	one(data, size);
	hv_assert(arena_live() == 0);
	arena_reset();
	return 0;
}
