/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Delta debugging over the injections of a seed: those that are not needed for the failure are
 * dropped, first in large pieces, then one by one (Zeller's ddmin). Each try is a run of its own in
 * a process of its own. What follows the failure is dropped too.
 */
#include "tests/sim/runner.h"

#include <string.h>

struct shrinking {
	uint64_t seed;
	struct sim_options sim;
	char class[64]; /* of the failure: its words up to the first colon */
	uint32_t *kept;
	size_t n;
	struct sim_drop *drop;
	unsigned tries;
};

static void class_of(const char *failure, char *ret, size_t size)
{
	size_t n = strcspn(failure, ":");

	/* Where an assertion stands tells it from others. */
	if (strncmp(failure, "assertion", 9) == 0)
		n += 1 + strcspn(failure + n + 1, ":");
	snprintf(ret, size, "%.*s", (int)n, failure);
}

/* Everything is dropped but `kept`; as ranges. */
static size_t drop_others(const uint32_t *kept, size_t n, struct sim_drop *ret)
{
	uint32_t from = 1;
	size_t n_drop = 0;

	for (size_t i = 0; i < n; i++) {
		if (kept[i] > from)
			ret[n_drop++] = (struct sim_drop){from, kept[i] - 1};
		from = kept[i] + 1;
	}
	ret[n_drop++] = (struct sim_drop){from, UINT32_MAX};
	return n_drop;
}

static bool still_fails(struct shrinking *k, const uint32_t *kept, size_t n, struct sim_result *ret)
{
	char class[64];

	k->sim.n_drop = drop_others(kept, n, k->drop);
	k->sim.drop = k->drop;
	k->tries++;
	if (run_apart(k->seed, &k->sim, ret, true))
		return false;
	class_of(ret->failure, class, sizeof(class));
	return strcmp(class, k->class) == 0;
}

/* Tries without kept[from..to). true: they were not needed and are gone. */
static bool try_without(struct shrinking *k, size_t from, size_t to)
{
	_cleanup_free_ uint32_t *rest = hv_xcalloc(k->n + 1, sizeof(*rest));
	struct sim_result res;
	size_t n = 0;

	for (size_t i = 0; i < k->n; i++)
		if (i < from || i >= to)
			rest[n++] = k->kept[i];
	if (!still_fails(k, rest, n, &res))
		return false;
	/* It may fail earlier now. */
	while (n && rest[n - 1] > res.injections)
		n--;
	memcpy(k->kept, rest, n * sizeof(*rest));
	k->n = n;
	return true;
}

static void reduce(struct shrinking *k)
{
	for (size_t size = (k->n + 1) / 2; size; size = size > 1 ? (size + 1) / 2 : 0) {
		bool any = false;

		for (size_t from = 0; from < k->n;) {
			size_t to = from + size < k->n ? from + size : k->n;

			if (try_without(k, from, to))
				any = true;
			else
				from = to;
		}
		fprintf(stderr, "pieces of %zu: %zu left after %u tries\n", size, k->n, k->tries);
		if (any && size == 1)
			size =
			    2; /* once more one by one: with others gone, more may be superfluous */
	}
}

static void report(struct shrinking *k, const char *failure, const char *flags)
{
	size_t n = drop_others(k->kept, k->n, k->drop);

	printf("seed %llu: %s\n", (unsigned long long)k->seed, failure);
	printf("%zu injections are needed:", k->n);
	for (size_t i = 0; i < k->n; i++)
		printf(" %u", k->kept[i]);
	printf("\nhvsim trace %s%llu --drop ", flags, (unsigned long long)k->seed);
	for (size_t i = 0; i < n; i++) {
		printf("%s%u", i ? "," : "", k->drop[i].first);
		if (k->drop[i].last == UINT32_MAX)
			printf("..");
		else if (k->drop[i].last != k->drop[i].first)
			printf("..%u", k->drop[i].last);
	}
	printf("\n");
}

int shrink(uint64_t seed, const struct sim_options *o, const char *flags)
{
	struct shrinking k = {.seed = seed, .sim = *o};
	struct sim_result res;

	if (run_apart(seed, o, &res, true)) {
		printf("seed %llu does not fail\n", (unsigned long long)seed);
		return 2;
	}
	if (!res.injections)
		res.injections = 4096; /* it died and could not say */
	class_of(res.failure, k.class, sizeof(k.class));
	k.n = res.injections;
	k.kept = hv_xcalloc(k.n + 1, sizeof(*k.kept));
	k.drop = hv_xcalloc(k.n + 1, sizeof(*k.drop));
	for (size_t i = 0; i < k.n; i++)
		k.kept[i] = (uint32_t)i + 1;
	reduce(&k);
	still_fails(&k, k.kept, k.n, &res);
	report(&k, res.failure, flags);
	free(k.kept);
	free(k.drop);
	return 1;
}
