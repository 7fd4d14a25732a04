/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * faults.h - one kind of fault each: it happens now, and it ends by itself after a while. All that
 * is drawn comes from `r`, whatever the state of the rack is.
 */
#ifndef HV_TESTS_SIM_FAULTS_H
#define HV_TESTS_SIM_FAULTS_H

#include "tests/sim/sim.h"

void fault_kill(struct sim *s, struct prng *r);
void fault_pause(struct sim *s, struct prng *r);
void fault_power(struct sim *s, struct prng *r);
void fault_reboot(struct sim *s, struct prng *r);
void fault_blackout(struct sim *s, struct prng *r);
void fault_hang(struct sim *s, struct prng *r);
void fault_partition(struct sim *s, struct prng *r);
void fault_parted_for(struct sim *s, struct prng *r, uint64_t for_us); /* into two */
void fault_duel(struct sim *s, struct prng *r); /* two hosts lose each other, for long enough */
void fault_hop(struct sim *s, struct prng *r);
void fault_one_way(struct sim *s, struct prng *r);
void fault_ghost(struct sim *s, struct prng *r);
void fault_try_again(struct sim *s, struct prng *r);
void fault_corosync(struct sim *s, struct prng *r);
void fault_disk_slow(struct sim *s, struct prng *r);
void fault_disk_stuck(struct sim *s, struct prng *r);
void fault_disk_fail(struct sim *s, struct prng *r);
void fault_disk_full(struct sim *s, struct prng *r);
void fault_damage(struct sim *s, struct prng *r);
void fault_corrupt(struct sim *s, struct prng *r);
void fault_clock_rate(struct sim *s, struct prng *r);
void fault_wall_clock(struct sim *s, struct prng *r);
void fault_nodes(struct sim *s, struct prng *r); /* nodes.c */

/* From here on: it fails, or hangs; or it is well, and what gave up is restarted. */
void fault_log_disk(struct sim *s, struct host *h, bool bad, bool hangs);

/* Every node is a member of an epoch of all. */
bool faults_all_active(const struct sim *s);

/* Healed: something is wrong with one host, for good; and then not any more. */
void fault_for_good(struct sim *s, hv_node_id id, struct prng *r);
void fault_for_good_over(struct sim *s);

/* The end of all of them. */
void faults_undo(struct sim *s);

#endif
