/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Any bytes as a snapshot of the state: refused with a reason, or a state that holds its
 * invariants, can be shown, explained and written again, and takes the next tick.
 */
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

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	_cleanup_free_ uint8_t *again = NULL;
	const char *why = NULL;
	struct cluster *c = brain_decode(data, size, &why), *copy;
	size_t len;

	if (!c) {
		hv_assert(why && *why);
		return 0;
	}
	show(c);
	again = brain_encode(c, &len);
	copy = brain_decode(again, len, &why);
	hv_assert(copy && cluster_digest(copy) == cluster_digest(c));
	cluster_free(copy);
	cluster_free(c);
	return 0;
}
