/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * ids.h - id types and every maximum, each with its reason.
 *
 * A limit that is reached is an answer (HV_LIMIT, HV_TOO_LARGE), never a crash and never silent.
 */
#ifndef HV_PROTO_IDS_H
#define HV_PROTO_IDS_H

#include <stdint.h>

/* corosync node ids: 1..2^32-1, 0 means "none" everywhere. */
typedef uint32_t hv_node_id;
/* An operation's id is the log index of the entry that created it, times 4096, plus a running
 * number in the step. */
typedef uint64_t hv_op_id;

#define HV_MAX_NODES 32	       /* corosync carries 2 to 32 members well */
#define HV_MAX_VMS 20000       /* twice the size that we promise to place */
#define HV_MAX_OPS 24000       /* one per VM and some for nodes */
#define HV_MAX_ENDED_OPS 256   /* ended operations kept so that `--wait` finds its result */
#define HV_MAX_FENCE_DEVICES 8 /* per node */
#define HV_MAX_FENCE_LEVELS 8
#define HV_MAX_DEVICE_OPTIONS 32 /* options and secrets of one device, each */
#define HV_MAX_JOURNAL 1024	 /* lines that `hvcluster events` can look back on */
#define HV_MAX_FAILOVERS 16	 /* failovers that `report failover` can show */
#define HV_MAX_FAILOVER_VMS 1000 /* VMs listed in one of them; the rest is counted */
#define HV_MAX_SETTINGS 64
#define HV_MAX_RULES 1024
#define HV_MAX_CPUS 65536   /* of a host or a VM */
#define HV_MAX_RULE_VMS 256 /* in one rule */
#define HV_MAX_EVICTIONS 64 /* VMs that give way to one on one node */

#define HV_MAX_STORAGE 64    /* folders and devices that hosts look at */
#define HV_MAX_VM_STORAGE 16 /* of one VM; disks beyond are not looked at */
#define HV_PATH_MAX 255	     /* of such a folder or device */

#define HV_NAME_MAX 63 /* ^[A-Za-z0-9][A-Za-z0-9._-]{0,62}$ : node, VM and device names */
#define HV_UUID_LEN 36
#define HV_TEXT_MAX 512	   /* a cause in a result or reason */
#define HV_OPTION_MAX 1024 /* one fence option's value */
#define HV_XML_MAX 65536   /* domain XML; virt-manager's are 5 to 15 KiB */

#define HV_EVENT_MAX 131072	  /* one packed Event: XML + room */
#define HV_CPG_MESSAGE_MAX 917504 /* corosync's own limit is 1 MiB - 1; chunks stay below */
#define HV_SYNC_CHUNK 262144	  /* snapshot/suffix bytes per chunk: keeps the ring responsive */
#define HV_SNAPSHOT_MAX (1U << 30)
#define HV_IPC_MAX 131072 /* one IPC frame; datagram sockets allow about 200 KiB by default */
#define HV_HV_FRAME_MAX                                                                            \
	(8U << 20) /* one frame between clusterd and hypervisord (inventory of 10,000 domains) */

/* Name rule of the lists above. Pure. */
_Bool hv_name_valid(const char *s);
/* Lower-case 8-4-4-4-12. */
_Bool hv_uuid_valid(const char *s);
/* What another program said, for a field that holds one sentence: control characters become spaces,
 * and of several spaces one is left. In place. */
void hv_text_flatten(char *s);

#endif
