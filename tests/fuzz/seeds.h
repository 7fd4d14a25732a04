/* SPDX-License-Identifier: GPL-2.0-or-later */
/* seeds.h - what write_seeds is made of: each function writes the seeds of some fuzzers. */
#ifndef HV_TESTS_SEEDS_H
#define HV_TESTS_SEEDS_H

#include "proto/log.pb-c.h"

#include <stddef.h>
#include <stdint.h>

/* DIR/folder/name */
void seed_save(const char *folder, const char *name, const void *data, size_t len);

void seeds_of_log(void);   /* peer, boot */
void seeds_of_brain(void); /* event, snapshot, history */
void seeds_of_ipc(void);   /* control, hv_message */

#endif
