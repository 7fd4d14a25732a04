/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "tests/sim/sim.h"

#include <stdarg.h>
#include <string.h>

struct sim_event {
	uint64_t at_us,
	    order; /* events of one moment happen in the order in which they were made */
	sim_fn fn;
	struct host *h;
	uint64_t arg;
};

static bool before(const struct sim_event *a, const struct sim_event *b)
{
	return a->at_us != b->at_us ? a->at_us < b->at_us : a->order < b->order;
}

void sim_at(struct sim *s, uint64_t delay_us, sim_fn fn, struct host *h, uint64_t arg)
{
	struct sim_event ev = {s->now_us + delay_us, s->order++, fn, h, arg};
	size_t i = s->n_heap++;

	if (s->n_heap > s->cap_heap) {
		s->cap_heap = s->cap_heap ? s->cap_heap * 2 : 256;
		s->heap = hv_xrealloc(s->heap, s->cap_heap, sizeof(*s->heap));
	}
	while (i > 0 && before(&ev, &s->heap[(i - 1) / 2])) {
		s->heap[i] = s->heap[(i - 1) / 2];
		i = (i - 1) / 2;
	}
	s->heap[i] = ev;
}

static struct sim_event heap_pop(struct sim *s)
{
	struct sim_event top = s->heap[0], last = s->heap[--s->n_heap];
	size_t i = 0;

	for (;;) {
		size_t child = 2 * i + 1;

		if (child >= s->n_heap)
			break;
		if (child + 1 < s->n_heap && before(&s->heap[child + 1], &s->heap[child]))
			child++;
		if (!before(&s->heap[child], &last))
			break;
		s->heap[i] = s->heap[child];
		i = child;
	}
	s->heap[i] = last;
	return top;
}

void sim_run_until(struct sim *s, uint64_t at_us)
{
	while (!s->failed && s->n_heap && s->heap[0].at_us <= at_us) {
		struct sim_event ev = heap_pop(s);

		s->now_us = ev.at_us;
		s->result->events++;
		ev.fn(s, ev.h, ev.arg);
	}
	if (!s->failed)
		s->now_us = at_us;
}

void sim_fail(struct sim *s, const char *fmt, ...)
{
	va_list ap;

	if (s->failed)
		return;
	s->failed = true;
	va_start(ap, fmt);
	vsnprintf(s->result->failure, sizeof(s->result->failure), fmt, ap);
	va_end(ap);
	sim_trace(s, "FAILED: %s", s->result->failure);
}

uint64_t sim_pick(const struct sim *s, struct prng *r, uint64_t lo, uint64_t hi, uint64_t storm_lo,
		  uint64_t storm_hi)
{
	/* The storm is over: what lasts longer than its timeouts would never come to rest. */
	if (s->storm && s->healing)
		storm_hi = storm_lo + (storm_hi - storm_lo) / 10;
	return s->storm ? prng_range(r, storm_lo, storm_hi) : prng_range(r, lo, hi);
}

uint64_t sim_range(struct sim *s, uint64_t lo, uint64_t hi, uint64_t storm_lo, uint64_t storm_hi)
{
	return sim_pick(s, sim_stream(s, STREAM_WORLD), lo, hi, storm_lo, storm_hi);
}

struct host *sim_host(struct sim *s, hv_node_id id)
{
	return id >= 1 && id <= SIM_HOSTS && s->hosts[id - 1].sim ? &s->hosts[id - 1] : NULL;
}

bool sim_minority_possible(const struct sim *s)
{
	return s->two_node || s->device || s->no_votes || s->forced;
}

bool sim_is_gone(const struct sim *s, hv_node_id id)
{
	return s->gone == id || node_set_has(&s->destroyed, id);
}

size_t sim_gone(const struct sim *s)
{
	return s->destroyed.n + (s->gone != 0);
}

/* ---- clocks of a host */

static uint64_t mono_at(const struct host_clock *c, uint64_t sim_us)
{
	int64_t passed = (int64_t)(sim_us - c->sim_us);

	if (!c->rate_ppm)
		return c->mono_us + (uint64_t)passed;
	return c->mono_us + (uint64_t)(passed + passed * c->rate_ppm / 1000000);
}

uint64_t host_mono_us(const struct sim *s, const struct host *h)
{
	return mono_at(&h->clock, s->now_us);
}

uint64_t host_wall_ms(const struct sim *s, const struct host *h)
{
	return (uint64_t)(SIM_WALL_MS + (int64_t)(host_mono_us(s, h) / 1000) + h->clock.wall_ms);
}

uint64_t host_when_us(const struct sim *s, const struct host *h, uint64_t mono_us)
{
	const struct host_clock *c = &h->clock;
	uint64_t at;

	if (mono_us <= host_mono_us(s, h))
		return s->now_us;
	if (!c->rate_ppm)
		return c->sim_us + (mono_us - c->mono_us);
	at = c->sim_us + (mono_us - c->mono_us) * 1000000 / (uint64_t)(1000000 + c->rate_ppm);
	while (mono_at(c, at) < mono_us)
		at++;
	return at;
}

void host_clock_rate(struct sim *s, struct host *h, int rate_ppm)
{
	h->clock.mono_us = host_mono_us(s, h);
	h->clock.sim_us = s->now_us;
	h->clock.rate_ppm = rate_ppm;
}
