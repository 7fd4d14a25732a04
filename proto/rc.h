/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * rc.h - the one result type: code, sentence, exit status of the hvcluster program.
 *
 * Numbers travel (OpResult.rc, ControlResponse.rc): they are only ever added.
 * Exit statuses by kind: 0 done, 1 failed, 2 usage, 3 not found, 4 conflict/refused,
 * 5 unavailable (no daemon, no quorum), 6 timed out, 7 bad input, 8 not permitted, 9 capacity.
 */
#ifndef HV_PROTO_RC_H
#define HV_PROTO_RC_H

#define HV_RC_LIST(X)                                                                              \
	X(0, OK, "done", 0)                                                                        \
	X(1, FAILED, "the operation failed", 1)                                                    \
	X(2, USAGE, "the command line is not understood", 2)                                       \
	X(3, NOT_FOUND, "there is no such object", 3)                                              \
	X(4, EXISTS, "an object of that name or id exists already", 4)                             \
	X(5, BUSY, "another operation is in progress on that object", 4)                           \
	X(6, REFUSED, "the request is refused in the present state", 4)                            \
	X(7, NO_DAEMON, "clusterd is not running on this node", 5)                                 \
	X(8, NO_QUORUM, "this node is not part of a quorate cluster", 5)                           \
	X(9, TIMEOUT, "it took too long", 6)                                                       \
	X(10, BAD_INPUT, "the input is malformed", 7)                                              \
	X(11, BAD_XML, "the domain XML is not usable", 7)                                          \
	X(12, TOO_LARGE, "the input is larger than the limit", 7)                                  \
	X(13, NOT_PERMITTED, "only root may do this", 8)                                           \
	X(14, NO_CAPACITY, "no node can hold this VM", 9)                                          \
	X(15, NO_AGENT, "the fence agent is not installed", 7)                                     \
	X(16, AGENT_FAILED, "the fence agent failed", 1)                                           \
	X(17, HYPERVISOR, "the hypervisor layer refused or failed", 1)                             \
	X(18, HYPERVISOR_DOWN, "the hypervisor layer does not answer", 5)                          \
	X(19, CANCELLED, "the operation was cancelled", 1)                                         \
	X(20, NODE_LOST, "the node was lost meanwhile", 1)                                         \
	X(21, IO, "a file could not be read or written", 1)                                        \
	X(22, CORRUPT, "stored data is damaged", 1)                                                \
	X(23, PROTOCOL, "the peer does not follow the protocol", 1)                                \
	X(24, LIMIT, "a limit of the cluster is reached", 4)                                       \
	X(25, COROSYNC_DOWN, "corosync is not running on this node", 5)                            \
	X(26, NOT_CONFIGURED, "this node is not in corosync's nodelist", 5)                        \
	X(27, HELD, "the operation cannot go on until something is done", 4)                       \
	X(28, SUPERSEDED, "a later request took its place", 1)                                     \
	X(29, TRY_AGAIN, "not now, try again", 5)                                                  \
	X(30, INTERNAL, "an internal error", 1)                                                    \
	X(31, UNCERTAIN, "it is not known whether the request was accepted", 5)                    \
	X(32, BAD_CONFIG, "this cannot work as it is configured", 78)

enum hv_rc {
#define X(num, name, text, status) HV_##name = num,
	HV_RC_LIST(X)
#undef X
};

/* "NO_CAPACITY"; for --json and logs. Unknown numbers give "UNKNOWN". */
const char *hv_rc_name(unsigned rc);
/* The sentence of the list. Never NULL. */
const char *hv_rc_text(unsigned rc);
/* Exit status of the program; unknown numbers give 1. */
int hv_rc_exit_status(unsigned rc);

#endif
