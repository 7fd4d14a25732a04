/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * mailbox.h - how other threads speak to the main loop: they post a function and its argument, the
 * loop calls it, in the order of posting. All state that is not behind a lock belongs to the loop.
 */
#ifndef HV_HYPERVISOR_MAILBOX_H
#define HV_HYPERVISOR_MAILBOX_H

#include "proto/base.h"

#include <qb/qbloop.h>

struct mailbox;
typedef void (*mailbox_fn)(void *data);

/* NULL: no descriptor could be had (errno). */
struct mailbox *mailbox_new(qb_loop_t *loop);
/* No thread may post any more. What was not yet called is dropped. NULL is fine. */
void mailbox_free(struct mailbox *m);
/* From any thread. */
void mailbox_post(struct mailbox *m, mailbox_fn fn, void *data);

#endif
