/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * clusterd.h - the daemon as a whole: makes the parts, connects them, runs the loop, takes them
 * down in reverse order.
 *
 *   hypervisord <-> hv_client -> intake  ---\                     /--> control <-> ipc_server <->
 * hvcluster
 *                       \-----> executor ----+--> driver (log, brain) --> executor, ticker
 *   fence agents <----- executor            corosync, store
 *
 * The control socket opens first, so that `hvcluster status` has an answer while corosync is
 * awaited; hypervisord starts at once, since reading what runs here takes time. The driver opens
 * when corosync answers. Ending clusterd, in whatever way, touches no VM.
 */
#ifndef HV_CLUSTERD_CLUSTERD_H
#define HV_CLUSTERD_CLUSTERD_H

#include "clusterd/options.h"
#include "proto/rc.h"

/* Runs until a signal or an error ends it. What goes wrong was logged. */
enum hv_rc clusterd_run(const struct options *options);

#endif
