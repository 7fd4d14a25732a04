/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * reason.h - why something is as it is, as data; `explain` prints it as a sentence.
 *
 * PURE. A reason names its subject (a node, a VM, a device) and carries the executor's own text, if
 * any. Codes are added, never renumbered.
 */
#ifndef HV_RESOURCE_REASON_H
#define HV_RESOURCE_REASON_H

#include <stdbool.h>
#include <stdint.h>

/* X(number, name, sentence): %s subject, %t text, %n number */
#define REASON_LIST(X)                                                                             \
	X(0, NONE, "")                                                                             \
	X(1, ADMIN, "asked for by %s")                                                             \
	X(2, NODE_LOST, "node %s was lost")                                                        \
	X(3, WAIT_FENCE, "waits for proof that node %s is off")                                    \
	X(4, NO_FENCE_DEVICE,                                                                      \
	  "node %s is lost and has no fence device: check that it is off, then run 'hvcluster "    \
	  "fence confirm %s'")                                                                     \
	X(5, FENCE_FAILED, "fencing node %s failed (%t); tried again")                             \
	X(6, NO_NODE_FITS, "no node can hold it: %t")                                              \
	X(7, START_FAILED, "its start on %s failed: %t")                                           \
	X(8, GUEST_STOPPED, "the guest shut itself down on %s")                                    \
	X(9, CRASHED, "its QEMU process ended on %s: %t")                                          \
	X(10, GONE, "node %s reports that it does not run it")                                     \
	X(11, MIGRATION_FAILED, "its migration to %s failed: %t")                                  \
	X(12, DRAIN, "node %s is being drained")                                                   \
	X(13, STALE_COPY, "a copy that does not belong on %s is destroyed")                        \
	X(14, UNKNOWN, "node %s cannot tell whether it runs")                                      \
	X(15, RECOVERED, "recovered from %s")                                                      \
	X(16, PAUSED_OUTSIDE, "paused on %s, not by the cluster: %t")                              \
	X(17, ADOPTED, "found running on %s and taken over")                                       \
	X(18, STOP_FAILED, "it could not be stopped on %s: %t")                                    \
	X(19, VIEW, "membership changed")                                                          \
	X(20, REPORTED, "%s reported what it runs")                                                \
	X(21, FENCED, "node %s was fenced: %t")                                                    \
	X(22, CONFIRMED, "the administrator confirmed that node %s is off")                        \
	X(23, MANAGER_DOWN, "clusterd on %s does not answer")                                      \
	X(24, MANAGER_GRACE_OVER, "clusterd on %s did not come back in time")                      \
	X(25, HYPERVISOR_DOWN, "the hypervisor layer of %s does not answer: %t")                   \
	X(26, BARRIER, "too few members to act before node %s is proven off")                      \
	X(27, BACKOFF, "tried again after a pause of %n ms: %t")                                   \
	X(28, CANCELLED, "cancelled by %s")                                                        \
	X(29, NODE_RETURNED, "node %s came back")                                                  \
	X(30, NOTHING_DEPENDS, "nothing depends on node %s: it is not fenced")                     \
	X(31, DRAINED, "node %s is drained")                                                       \
	X(32, HELD, "held: %t")                                                                    \
	X(33, BRAKE, "the brake holds: %t")                                                        \
	X(34, QUEUED, "waits for its turn: %t")                                                    \
	X(35, PLACED, "placed on %s: %t")                                                          \
	X(36, RULE, "rule %s: %t")                                                                 \
	X(37, PREFERRED, "its rules prefer node %s")                                               \
	X(38, PREEMPTED, "makes room for VM %s, which has a higher priority")                      \
	X(39, BALANCE, "moved for balance: %t")                                                    \
	X(40, FROZEN, "node %s went down as announced and is expected back: it waits")             \
	X(41, NODE_STOPPING, "node %s is about to go down (%t)")                                   \
	X(42, RETURNS, "returns to node %s, which it left for its maintenance")                    \
	X(43, DISARMED, "the cluster is disarmed by %s")                                           \
	X(44, UNMANAGED, "not managed by the cluster")                                             \
	X(45, LOCKED, "locked: %t")                                                                \
	X(46, GIVEN_UP, "its start failed as often as it may: %t")                                 \
	X(47, FENCE_ASKED, "fencing of node %s was asked for by %t")                               \
	X(48, JOIN_TIMEOUT, "node %s joined and did not report what it runs")                      \
	X(49, STOP_FAILED_FENCE, "VM %s could not be stopped there: %t")                           \
	X(50, OFFLINE_MOVE, "not to be migrated live: stopped on %s, to be started elsewhere")     \
	X(51, NEEDS, "needs VM %s, which does not run")                                            \
	X(52, WENT_DOWN, "node %s went down as announced")                                         \
	X(53, FROZEN_OVER, "node %s went down as announced and did not come back in time")         \
	X(54, ARMED_AGAIN, "every node that can has told what it runs")                            \
	X(55, FENCE_DELAYED, "node %s is fenced after a delay of %n ms: %t")                       \
	X(56, QUARANTINED, "node %s was fenced %n times within an hour")                           \
	X(57, QUARANTINE_OVER, "the time of its quarantine is over")                               \
	X(58, NOT_SEEN_OFF,                                                                        \
	  "node %s was fenced, but not seen off, which its fence level or fence_proof demands: "   \
	  "check that it is off, then run 'hvcluster fence confirm %s'")                           \
	X(59, BRAKE_OFF, "fencing of node %s goes on")                                             \
	X(60, UNFENCE, "node %s is to be unfenced by its device %t")                               \
	X(61, UNFENCE_FAILED, "unfencing node %s failed (%t); tried again")                        \
	X(62, FENCE_TEST_FAILED, "node %s cannot use it: %t")                                      \
	X(63, FENCE_TEST_OK, "node %s can use it")                                                 \
	X(64, FOLLOWERS, "those that follow it can be with it there")                              \
	X(65, WATCHDOG_SAID, "%s said so")                                                         \
	X(66, TIME_NO_PROOF,                                                                       \
	  "node %s is lost; it has a watchdog, but with two_node both go on without each other: "  \
	  "time proves nothing. Add a fence device or a quorum device, or check that it is off "   \
	  "and run 'hvcluster fence confirm %s'")                                                  \
	X(67, STORAGE_BAD, "storage %s cannot be used: %t")                                        \
	X(68, STORAGE_GOOD, "storage %s can be used again")                                        \
	X(69, STORAGE_LEFT, "leaves a node where storage %s cannot be used")                       \
	X(70, STORAGE_FENCE, "VM %s cannot leave it, and its storage cannot be used there")        \
	X(71, LOG_LOST,                                                                            \
	  "the disk of node %s does not take the cluster's log: full, failing or hanging")         \
	X(72, LOG_KEPT, "the disk of node %s takes the cluster's log again")                       \
	X(100, GUEST_LOST, "its guest agent has not answered for %n s, and it did no I/O: %t")     \
	X(101, GUEST_PANICKED, "its guest panicked on %s: %t")                                     \
	X(102, GUEST_WATCHDOG, "its watchdog fired on %s: %t")                                     \
	X(103, GUEST_WAS_RESET, "reset on %s; %t")                                                 \
	X(104, GUEST_NOT_RESET, "it was not reset on %s: %t")                                      \
	X(105, GUEST_NO_SPACE, "QEMU paused it on %s, there is no space for a disk of it: %t")     \
	X(106, GUEST_IO_ERROR, "QEMU paused it on %s because of an I/O error: %t")                 \
	X(107, GUEST_STORAGE_BACK, "its storage can be used again on %s")                          \
	X(108, GUEST_HELD, "not reset any more: %n resets within %t")                              \
	X(109, GUEST_SILENT, "its guest agent on %s has not answered for %n s")                    \
	X(110, GUEST_ANSWERS, "its guest agent on %s answers again")                               \
	X(111, GUEST_OWN_RESET, "its own devices reset it on %s: %t")                              \
	X(112, CRASHES, "it ended %n times in a row on %s")                                        \
	X(113, CRASHES_STAYS, "it ended %n times in a row on %s, and stays there: %t")

enum reason_code {
#define X(num, name, sentence) REASON_##name = num,
	REASON_LIST(X)
#undef X
};

struct reason {
	enum reason_code code;
	char *subject; /* may be NULL */
	char *text;    /* may be NULL */
	uint64_t number;
	uint64_t since_us;
};

/* Owned copy of the strings; NULL allowed. */
void reason_set(struct reason *r, enum reason_code code, const char *subject, const char *text,
		uint64_t number, uint64_t since_us);
void reason_clear(struct reason *r);
/* The sentence; the caller frees. "" for NONE. */
char *reason_sentence(const struct reason *r);
const char *reason_code_name(enum reason_code code);
bool reason_known(uint32_t code);

#endif
