/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * mutant.h - seeded bugs, which prove that the simulator can find real ones.
 *
 * Each rule that keeps VMs single and commands alive has a place where it can be broken:
 *
 *     if (!MUTANT(no_barrier) && m->minority)
 *
 * MUTANT(x) is the constant 0, so that no object that ships has a trace of it. Only the simulator
 * that `make mutants` builds (tests/sim/hvsim-mutants, -DHV_MUTANT_AT_RUN_TIME) asks for it while
 * it runs: it has one of them (--mutant x), and looks for the first seed that fails
 * (doc/simulation.md). A mutant that survives means that the simulator lacks a fault or a check,
 * or that the rule is not needed.
 *
 * This is the list of all: name, how it is hunted, what is wrong. A name that is not in the list
 * does not compile. HUNT (tests/sim/mutants): log, the log alone under a trivial state machine;
 * storm2 to storm5, the same with so many hosts, faults all the time and short timeouts; witness3
 * and witness6, the same with a quorum device whose vote moves; vms, the brain with hypervisors and
 * administrators; pair, the same with two hosts; duel, two hosts that lose each other; witness, two
 * hosts and such a device.
 */
#ifndef HV_PROTO_MUTANT_H
#define HV_PROTO_MUTANT_H

#define HV_MUTANTS(X)                                                                              \
	/* the log: promises and epochs */                                                         \
	X(promise_not_durable, storm3, "a promise is given that a crash forgets")                  \
	X(open_before_promises, storm3, "an epoch opens with the first promise, not with enough")  \
	X(stale_epoch_accepted, storm3,                                                            \
	  "an activate is followed whose number is not above all that were promised or seen")      \
	X(view_not_first, storm2, "an epoch takes entries before its view")                        \
	X(point_not_checked, storm5,                                                               \
	  "an activate is followed that speaks of another log than one has")                       \
	X(lost_store_counts, storm3, "the promise counts of a node that lost its memory")          \
	X(old_disk_leads_alone, storm2,                                                            \
	  "a node that was not caught up since its start may lead alone")                          \
	X(old_disks_lead_together, witness3,                                                       \
	  "a majority that was just started may lead where a device may have let the others act")  \
	X(caught_up_for_ever, witness3, "caught up once, although others may have gone on since")  \
	X(stale_quorum_counts, storm3,                                                             \
	  "votequorum's answer for an earlier ring counts in this one")                            \
	X(booted_clock_rules, vms,                                                                 \
	  "a view has the time of the node that activates, although others know a later one")      \
	X(no_unheard, witness3, "an activate is followed although votequorum has said no since")   \
	X(donor_by_length, storm3, "the donor is whose log is longest, of whatever epoch")         \
	X(live_first, storm4,                                                                      \
	  "the donor is who was active last, before the latest effective epoch")                   \
	X(live_before_more, witness6,                                                              \
	  "the donor is who was active last, before who has more of the same epoch")               \
	/* the log: entries */                                                                     \
	X(ack_before_durable, storm3, "an entry is acked before it is on the disk")                \
	X(old_writes_acked, storm3,                                                                \
	  "what was made durable of the replaced log is acked as the new one's")                   \
	X(earlier_epochs_count, storm3,                                                            \
	  "earlier epochs' entries are committed before the view is")                              \
	X(quorum_without_majority, storm3,                                                         \
	  "votes that are a quorum, but no majority of the members, commit")                       \
	X(majority_without_quorum, storm4, "a majority of the members commits without the quorum") \
	X(proposals_not_repeated, storm3,                                                          \
	  "what was proposed in an earlier epoch is not sent again")                               \
	X(undone_not_repeated, storm2,                                                             \
	  "what was applied behind a barrier, and undone, is not proposed again")                  \
	X(barrier_passed, storm2, "a minority epoch takes commands before the lost are fenced")    \
	X(no_barrier, storm2, "a minority epoch has no barrier")                                   \
	X(proof_outlives_epoch, storm2,                                                            \
	  "that a node was off in an earlier epoch lifts the barrier of a later one")              \
	X(barrier_lifted_early, storm2, "a fence of an earlier epoch lifts this one's barrier")    \
	X(compaction_behind_barrier, storm2, "what may have to be undone is compacted")            \
	/* one-way loss */                                                                         \
	X(lonely_stays, log, "a host that disturbs the others leaves its corosync up")             \
	X(lonely_never_returns, log, "a corosync that was taken down is never started again")      \
	X(leaves_with_quorum, log, "a host with quorum takes its corosync down, too")              \
	/* the log: catching up, silence */                                                        \
	X(replace_not_atomic, storm3, "the log is emptied first and filled in a second write")     \
	X(suffix_of_another_log, storm3,                                                           \
	  "a suffix is put on a log that lacks the entry before it")                               \
	X(held_entries_lost, storm3, "what was appended while a laggard caught up is forgotten")   \
	X(no_rewind, storm3, "what was applied of a discarded lineage is not undone")              \
	X(discarded_state_compared, witness3,                                                      \
	  "a state that is about to be undone is compared with the others'")                       \
	X(two_epochs_at_work, storm2,                                                              \
	  "who has gone on to a later epoch is heard, and not followed")                           \
	X(learner_without_majority, log,                                                           \
	  "who has no disk stays a member though the others are no majority without it")           \
	X(silent_never_left_out, log, "a member that says nothing is waited for, for ever")        \
	X(stuck_disk_never_left_out, log, "a member that acks nothing is waited for, for ever")    \
	/* the brain: proof */                                                                     \
	X(takeover_without_proof, vms, "VMs of a lost node start before it is fenced")             \
	X(fence_assumed_at_timeout, vms, "a fence that failed or ran out of time counts as proof") \
	X(paused_copy_resumed, vms, "the copy of a migration whose source is lost is resumed")     \
	X(unknown_taken_for_absent, vms, "a VM of which nothing is known counts as stopped")       \
	X(failed_start_is_absence, vms, "a start of which nothing is known is tried elsewhere")    \
	X(no_inventory_is_empty, vms, "a node that cannot tell what it runs counts as empty")      \
	X(rejoined_at_once, vms, "a node that rejoins takes VMs before it has reported")           \
	X(word_of_earlier_loss, vms,                                                               \
	  "an administrator confirms a loss, and a later one is taken for it")                     \
	X(lost_executor_waited_for, vms, "a fence whose executor is lost is not begun by another") \
	X(announced_is_off, vms,                                                                   \
	  "a node that said that it goes down counts as off, whatever it still had")               \
	X(leap_is_waiting, vms,                                                                    \
	  "the time in which there was no quorum counts as waited for, view and rule")             \
	X(no_time_to_report, vms,                                                                  \
	  "who joins is fenced for what it could not report without quorum")                       \
	X(disarmed_fences, vms, "a disarmed cluster fences")                                       \
	X(fenced_for_a_locked_one, vms,                                                            \
	  "a host is fenced for its bad storage, for a VM that is locked")                         \
	X(fenced_for_nothing, vms, "a host is fenced for its bad storage, and no other has room")  \
	/* the brain: VMs and operations */                                                        \
	X(bad_storage_ignored, vms, "a VM is placed where a storage that it needs has failed")     \
	X(logless_takes_vms, vms, "a VM is put where the disk does not take the log")              \
	X(logless_never_left, vms, "VMs stay where the disk does not take the log, for ever")      \
	X(stale_copy_stays, vms, "a copy that a rejoining node brings along is left running")      \
	X(start_beside_stale_copy, vms, "a VM starts while an old copy of it is being destroyed")  \
	X(arrival_assumed, vms,                                                                    \
	  "a migration that failed, and whose source is gone, counts as arrived")                  \
	X(ownership_epoch_stays, vms, "a VM gets a new owner without a new epoch")                 \
	X(old_result_accepted, vms,                                                                \
	  "the result of an earlier attempt, or of what has ended, counts")                        \
	X(copy_never_retried, vms, "an old copy that could not be destroyed is forgotten")         \
	X(event_twice, vms, "an event that the log delivers twice is applied twice")               \
	X(stop_forgotten, vms, "a VM that was to stop when its node was lost is started again")    \
	X(blocked_for_ever, vms, "a blocked VM is not looked at when there may be room")           \
	X(failed_for_ever, vms, "a failed VM is not tried again")                                  \
	X(frozen_for_ever, vms, "a node that was to come back is waited for, for ever")            \
	X(barrier_not_noticed, vms, "what waited behind the barrier is not looked at after it")    \
	X(timers_lost, vms, "a snapshot forgets when VMs are to be tried again")                   \
	X(own_resets_use_up_limit, vms,                                                            \
	  "what a guest's own watchdog resets counts against its reset_limit")                     \
	X(own_resets_told_again, vms, "a reset by a guest's own watchdog is an event twice")       \
	X(own_resets_not_told, vms, "resets by a guest's own watchdog are not told")               \
	X(crash_never_relocates, vms, "a VM that crashes again and again stays where it is")       \
	X(first_crash_relocates, vms, "a VM is started elsewhere the first time it crashes")       \
	X(crash_moves_not_limited, vms,                                                            \
	  "a VM that crashes is taken to other nodes more often than it may be")                   \
	X(crashes_follow, vms, "crashes on a VM's former node count on the next one")              \
	X(any_end_is_a_crash, vms, "a guest that shuts itself down counts as one that crashed")    \
	X(digest_misses_change, vms, "a change is made that the digest does not cover")            \
	X(memory_leaks, vms, "memory of VMs that have left a node stays taken")                    \
	/* the brain: where VMs may be */                                                          \
	X(hard_rule_ignored, vms, "a VM goes where its rules forbid it")                           \
	X(arrivals_forgotten, vms, "VMs that must be apart come to one node at the same time")     \
	X(memory_overcommitted, vms, "a node gets VMs for which it has no memory")                 \
	X(copies_hold_no_memory, vms, "memory of a copy that is being destroyed is given away")    \
	X(drained_takes_vms, vms, "a node that is drained gets VMs")                               \
	X(starts_not_limited, vms, "all VMs start at once")                                        \
	X(lock_ignored, vms, "a locked VM is moved")                                               \
	X(needs_ignored, vms, "a VM is started before the one that it needs runs")                 \
	X(leader_elsewhere, vms, "a VM is started where the one that it follows is not")           \
	X(equal_gives_way, vms, "a VM makes room for one of the same priority")                    \
	/* the brain: guests */                                                                    \
	X(guest_io_ignored, vms, "a guest whose agent is silent is reset though it does I/O")      \
	X(silence_without_answer, vms, "a guest is reset whose agent has never answered")          \
	X(guest_uptime_ignored, vms, "a guest is reset that has just been started or moved")       \
	X(guest_storage_ignored, vms, "a guest is reset that waits for its storage")               \
	X(resets_not_limited, vms, "a guest is reset again and again")                             \
	X(guest_never_reset, vms, "a guest that hangs is left alone for ever")                     \
	X(guest_facts_outlive, vms, "what was said of a guest is believed when it is elsewhere")   \
	X(resumed_into_bad_storage, vms,                                                           \
	  "a guest is resumed before its storage has been seen to work")                           \
	/* the fence plan */                                                                       \
	X(one_device_enough, vms, "one device of a level proves, where all must be off")           \
	X(same_level_for_ever, vms,                                                                \
	  "the first level is tried again and again, the next one never")                          \
	X(same_executor_for_ever, vms, "a fence that failed is tried again by the same node")      \
	X(brake_ignored, vms, "more than half of the nodes are fenced within the window")          \
	X(quarantine_ignored, vms, "a node that was fenced too often gets VMs")                    \
	X(delay_ignored, vms, "a fence device is used before its delay is over")                   \
	X(both_shoot_at_once, duel, "in a duel of two nodes neither waits for the other")          \
	X(booting_host_fenced, duel,                                                               \
	  "one of two that boots is fenced while only its corosync is there")                      \
	X(unfencing_skipped, vms, "a node gets VMs before its devices were told `on`")             \
	X(level_demands_nothing, vms, "a level that demands to see is proof when it has waited")   \
	X(waiting_is_seeing, vms, "a device that only waits proves, where seeing is demanded")     \
	X(tests_all_at_once, vms, "a self-test of a fence device does not wait for the last one")  \
	X(tested_by_one_only, vms, "every self-test is run by the same node")                      \
	/* watchdogs */                                                                            \
	X(fed_without_lease, vms, "a watchdog is fed by whoever lives, a member or not")           \
	X(lease_by_receipt, vms,                                                                   \
	  "a lease counts from when one's heartbeat was read, not from when it was sent")          \
	X(stale_ring_counts, vms,                                                                  \
	  "a heartbeat that a ring brought back which the others had left counts whole")           \
	X(deadline_without_second_t, vms,                                                          \
	  "a host whose clusterd was stopped before it fed is not waited for")                     \
	X(counted_while_the_other_had_quorum, witness,                                             \
	  "time proves a host off that had quorum, and fed its watchdog, in between")              \
	X(closed_watchdog_counts, vms, "time proves off whoever was disarmed, and feeds no more")  \
	X(both_go_on_counts, pair, "of two nodes that both go on, time proves one off")            \
	X(old_generation_counts, vms,                                                              \
	  "what was said of a watchdog before it was closed counts after")                         \
	X(guard_sleeps, vms, "a host without quorum never resets itself")                          \
	X(calm_is_loss, vms, "a long calm counts as time without quorum")                          \
	X(crash_loop_feeds, vms, "each new process feeds the watchdog, whatever it knows")         \
	/* clusterd */                                                                             \
	X(proposal_numbers_stay, vms, "two proposals have the same number")                        \
	X(guests_never_told, vms, "what a host sees of its guests it keeps to itself")             \
	X(told_for_ever, vms, "what was told once and got lost is not told again")                 \
	X(inventory_not_resent, vms, "a node whose inventory comes late never tells it")           \
	X(absence_during_start, vms, "a domain that is just being started is reported as absent")  \
	X(tick_not_proposed, vms, "no one tells the brain that time has passed")

enum hv_mutant {
	MUTANT_none,
#define HV_MUTANT_ENUM(name, hunt, what) MUTANT_##name,
	HV_MUTANTS(HV_MUTANT_ENUM)
#undef HV_MUTANT_ENUM
};

#ifdef HV_MUTANT_AT_RUN_TIME
extern enum hv_mutant hv_mutant; /* tests/sim/mutant.c */
#define MUTANT(name) (hv_mutant == MUTANT_##name)
#else
#define MUTANT(name) (MUTANT_none == MUTANT_##name)
#endif

#endif
