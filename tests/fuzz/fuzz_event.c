/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Any bytes as entries of the log: the brain skips what is malformed and keeps its invariants with
 * all that is well-formed, however foolish.
 *
 * The input is a row of frames, each a length (two bytes, little endian) and an Event. They are
 * applied to a cluster of two nodes with VMs; at the end its invariants must hold. It must also
 * survive its encoding: that costs as much as all the rest, so one input in 16 is asked for it;
 * which ones, their bytes decide.
 */
#include "tests/fuzz/arena.h"
#include "tests/fuzz/fuzz.h"
#include "tests/unit/small_cluster.h"

static struct small prepared;

static void begin(void)
{
	prepared = small_online();
	small_vm_add(&prepared, "web", "00000000-0000-4000-8000-000000000001", true);
	small_vm_add(&prepared, "db", "00000000-0000-4000-8000-000000000002", false);
	arena_keep();
}

static void apply(struct small *s, const uint8_t *data, size_t len)
{
	Hv__Event *ev = hv__event__unpack(NULL, len, data);

	if (!ev)
		return;
	brain_step(s->c, ++s->index, ev, &s->actions);
	action_list_clear(&s->actions);
	hv__event__free_unpacked(ev, NULL);
}

static void encode_and_back(const struct cluster *c)
{
	_cleanup_free_ uint8_t *bytes = NULL;
	const char *why = NULL;
	struct cluster *copy;
	size_t len;

	bytes = brain_encode(c, &len);
	copy = brain_decode(bytes, len, &why); /* runs brain_check(), which knows the digest */
	hv_assert(copy && cluster_digest(copy) == cluster_digest(c));
	cluster_free(copy);
}

/* Of an input in 16, all that was allocated is freed again; else it is only forgotten. */
static void end(struct small *s, bool freed)
{
	if (freed) {
		small_done(s);
		hv_assert(arena_live() == 0);
	}
	if (arena_reset())
		return;
	if (!freed)
		small_done(s);
	prepared = (struct small){0};
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	bool chosen = fuzz_hash(data, size) % 16 == 0;
	struct small s;

	arena_enter();
	if (!prepared.c)
		begin();
	s = prepared;
	while (size >= 2) {
		size_t len = (size_t)data[0] | (size_t)data[1] << 8;

		if (len > size - 2)
			len = size - 2;
		apply(&s, data + 2, len);
		data += 2 + len;
		size -= 2 + len;
	}
	hv_assert(!brain_check_quick(s.c));
	if (chosen)
		encode_and_back(s.c);
	end(&s, chosen);
	return 0;
}
