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
#include "tests/fuzz/fuzz.h"
#include "tests/unit/small_cluster.h"

/* FNV-1a */
static uint64_t hash(const uint8_t *data, size_t size)
{
	uint64_t h = 14695981039346656037ULL;

	for (size_t i = 0; i < size; i++)
		h = (h ^ data[i]) * 1099511628211ULL;
	return h ^ h >> 32;
}

static void begin(struct small *s)
{
	*s = small_online();
	small_vm_add(s, "web", "00000000-0000-4000-8000-000000000001", true);
	small_vm_add(s, "db", "00000000-0000-4000-8000-000000000002", false);
}

/* The cluster is only made for an input that holds an event. */
static void apply(struct small *s, const uint8_t *data, size_t len)
{
	Hv__Event *ev = hv__event__unpack(NULL, len, data);

	if (!ev)
		return;
	if (!s->c)
		begin(s);
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
	copy = brain_decode(bytes, len, &why);
	hv_assert(copy && cluster_digest(copy) == cluster_digest(c));
	cluster_free(copy);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct small s = {0};
	bool encoded = hash(data, size) % 16 == 0;

	while (size >= 2) {
		size_t len = (size_t)data[0] | (size_t)data[1] << 8;

		if (len > size - 2)
			len = size - 2;
		apply(&s, data + 2, len);
		data += 2 + len;
		size -= 2 + len;
	}
	if (!s.c)
		return 0;
	hv_assert(!brain_check(s.c));
	if (encoded)
		encode_and_back(s.c);
	small_done(&s);
	return 0;
}
