/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A watchdog is opened, fed and closed when it is right; who is away, and for how long. */
#include "clusterd/absence.h"
#include "clusterd/feeder.h"
#include "tests/unit/small_cluster.h"

#include <criterion/criterion.h>

#define S HV_US_PER_S
#define MS HV_US_PER_MS

static struct small s;
static struct feeder *f;
static bool open_works = true, close_works = true, in_flight;
static unsigned opens, feeds, closes;
static uint64_t record = 1;
static Hv__NodeWatchdog said;
static unsigned says;

static bool dev_open(void *user, uint32_t *ret_ms)
{
	*ret_ms = 5000;
	opens++;
	return open_works;
}

static void dev_feed(void *user)
{
	feeds++;
}

static bool dev_close(void *user)
{
	closes++;
	return close_works;
}

static void dev_record(void *user, uint64_t heartbeat_us)
{
	record = heartbeat_us;
}

static uint64_t propose(void *user, const Hv__Event *ev)
{
	said = *ev->node_watchdog;
	says++;
	in_flight = true;
	return says;
}

static bool pending(void *user, uint64_t mark)
{
	return in_flight;
}

static void make(uint32_t watchdog_ms)
{
	static const struct feeder_ops ops = {.open = dev_open,
					      .feed = dev_feed,
					      .close = dev_close,
					      .record = dev_record,
					      .propose = propose,
					      .pending = pending};
	struct feeder_config cfg = {.timing = {watchdog_ms, 2000, 0}, .token_us = S, .left_us = S};

	if (!s.c)
		s = small_online();
	f = feeder_new(&cfg, &ops, NULL);
	feeder_set_self(f, 1, SMALL_INCARNATION);
}

static void done(void)
{
	feeder_free(f);
	small_done(&s);
}

static uint64_t look(uint64_t now_ms, uint64_t heartbeat_ms, bool current)
{
	struct feeder_now now = {
	    .now_us = now_ms * MS, .current = current, .heartbeat_back_us = heartbeat_ms * MS};

	return feeder_look(f, s.c, &now);
}

/* What it proposed is committed. */
static void commit(void)
{
	Hv__Event ev = HV__EVENT__INIT;

	ev.body_case = HV__EVENT__BODY_NODE_WATCHDOG;
	ev.node_watchdog = &said;
	small_step(&s, &ev);
	in_flight = false;
}

static void arm(bool disarm)
{
	Hv__Command cmd = HV__COMMAND__INIT;
	Hv__Arm a = HV__ARM__INIT;

	a.disarm = disarm;
	cmd.body_case = HV__COMMAND__BODY_ARM;
	cmd.arm = &a;
	small_command(&s, &cmd);
}

/* Open, fed, and known to the cluster; at 1000.5 s. */
static void at_work(void)
{
	make(5000);
	look(999500, 999400, true);
	look(1000000, 999900, true);
	commit();
	look(1000500, 1000400, true);
}

Test(feeder, opens_with_a_lease_and_says_so, .fini = done)
{
	make(5000);
	look(1000000, 0, false);
	look(1000200, 0, true);
	cr_assert_eq(opens, 0, "no heartbeat has come back yet");
	look(1000250, 1000220, true);
	cr_assert_eq(opens, 0, "it was the first one");
	cr_assert_gt(look(1000400, 1000300, true), 1000400 * MS);
	cr_assert_eq(opens, 1);
	cr_assert(says == 1 && said.watchdog_ms == 5000 && said.lease_ms == 2000 && said.node == 1);
	look(1000600, 1000300, true);
	cr_assert_eq(says, 1, "it is on its way");
	commit();
	cr_assert_eq(cluster_node(s.c, 1)->watch.watchdog_ms, 5000);
	look(1000800, 1000700, true);
	cr_assert_eq(says, 1, "it is known");
	cr_assert_eq(record, 1000700 * MS);
}

Test(feeder, feeds_four_times_a_timeout_while_the_lease_lasts, .fini = done)
{
	at_work();
	feeds = 0;
	for (uint64_t ms = 1001000; ms <= 1006000; ms += 250)
		look(ms, ms - 100, true);
	cr_assert_eq(feeds, 4, "every 1.25 s of 5");
	feeds = 0;
	for (uint64_t ms = 1006250; ms <= 1020000; ms += 250)
		look(ms, 1005900, true);
	cr_assert_eq(feeds, 2, "2 s more, from when the last heartbeat was sent");
	cr_assert_not_null(feeder_trouble(f));
}

Test(feeder, does_not_feed_what_is_not_current, .fini = done)
{
	at_work();
	feeds = 0;
	for (uint64_t ms = 1001000; ms <= 1010000; ms += 250)
		look(ms, ms - 100, false);
	cr_assert_eq(feeds, 0);
}

Test(feeder, a_new_process_opens_by_the_record_of_the_one_before, .fini = done)
{
	make(5000);
	feeder_resume(f, 998500 * MS, 1000000 * MS);
	cr_assert_eq(opens, 1);
	cr_assert(feeder_is_open(f));
}

Test(feeder, a_record_of_too_long_ago_opens_nothing, .fini = done)
{
	make(5000);
	feeder_resume(f, 998000 * MS, 1000000 * MS);
	feeder_resume(f, 0, 1000000 * MS);
	feeder_resume(f, 1000001 * MS, 1000000 * MS);
	cr_assert_eq(opens, 0);
}

Test(feeder, closes_when_disarmed_and_opens_when_armed, .fini = done)
{
	at_work();
	arm(true);
	look(1000750, 1000700, true);
	cr_assert_eq(closes, 1);
	cr_assert_not(feeder_is_open(f));
	cr_assert_eq(record, 0);
	arm(false);
	look(1001000, 1000900, true);
	cr_assert_eq(opens, 2);
	cr_assert_eq(said.generation, cluster_watchdog_generation(s.c));
	commit();
	cr_assert_eq(cluster_node(s.c, 1)->watch.watchdog_ms, 5000);
}

Test(feeder, who_is_cut_off_does_not_close_it, .fini = done)
{
	at_work();
	arm(true);
	look(1000750, 1000700, false);
	cr_assert_eq(closes, 0);
}

Test(feeder, what_does_not_close_is_fed_while_it_is_not_in_force, .fini = done)
{
	at_work();
	close_works = false;
	arm(true);
	look(1000750, 1000700, true);
	cr_assert(closes && feeder_is_open(f));
	cr_assert_not_null(feeder_trouble(f));
	feeds = 0;
	for (uint64_t ms = 1001000; ms <= 1021000; ms += 250)
		look(ms, 1000700, false);
	cr_assert_geq(feeds, 15);
}

Test(feeder, retires_when_the_cluster_has_forgotten_it, .fini = done)
{
	at_work();
	feeder_retire(f, true);
	look(1000750, 1000700, true);
	cr_assert(says == 2 && said.watchdog_ms == 0);
	cr_assert_eq(closes, 0, "not yet");
	commit();
	look(1001000, 1000900, true);
	cr_assert_eq(closes, 1);
	look(1001250, 1001200, true);
	cr_assert_eq(opens, 1, "and stays closed");
}

Test(feeder, a_device_that_does_not_open_is_tried_again, .fini = done)
{
	make(5000);
	open_works = false;
	look(999600, 999500, true);
	look(1000000, 999900, true);
	look(1000250, 1000200, true);
	cr_assert_eq(opens, 1);
	cr_assert_eq(says, 0, "nobody counts on it");
	cr_assert_not_null(feeder_trouble(f));
	open_works = true;
	for (uint64_t ms = 1000500; ms <= 1006000; ms += 250)
		look(ms, ms - 100, true);
	cr_assert_eq(opens, 2);
	cr_assert_eq(says, 1);
}

/* ---- absence */

static void lose_2(void)
{
	Hv__Event ev = HV__EVENT__INIT;
	Hv__View view = HV__VIEW__INIT;
	Hv__Member m = HV__MEMBER__INIT, *members[] = {&m};
	uint32_t lost[] = {2};

	m.node = 1;
	m.incarnation = SMALL_INCARNATION;
	m.feature = 1;
	view.members = members;
	view.n_members = 1;
	view.lost = lost;
	view.n_lost = 1;
	ev.body_case = HV__EVENT__BODY_VIEW;
	ev.view = &view;
	small_step(&s, &ev);
}

Test(absence, is_counted_from_the_view_by_our_own_clock)
{
	_cleanup_small_ struct small mine = small_online();
	struct operation op = {.victim = 2, .wait_us = 13 * S};
	struct absence a = {0};

	s = mine;
	absence_look(&a, s.c, 100 * S);
	cr_assert_eq(absence_proof_us(&a, s.c, &op), 0, "it is here");
	lose_2();
	absence_look(&a, s.c, 200 * S);
	absence_look(&a, s.c, 205 * S);
	cr_assert_eq(absence_proof_us(&a, s.c, &op), 213 * S);
	absence_forget(&a);
	cr_assert_eq(absence_proof_us(&a, s.c, &op), 0);
	absence_look(&a, s.c, 210 * S);
	cr_assert_eq(absence_proof_us(&a, s.c, &op), 223 * S, "as far as we know");
	small_view(&s);
	absence_look(&a, s.c, 220 * S);
	cr_assert_eq(absence_proof_us(&a, s.c, &op), 0, "back");
	lose_2();
	absence_look(&a, s.c, 230 * S);
	cr_assert_eq(absence_proof_us(&a, s.c, &op), 243 * S, "anew");
	mine = s;
}
