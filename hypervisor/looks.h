/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * looks.h - looks at one VM and inventories of all, from the main loop: sent through the pool,
 * given up when they hang, compared with what was last said, and only what is new is told.
 *
 * One inventory at a time; what is wanted meanwhile is one more after it. An inventory is told in
 * full when that was asked for (and then also when it failed), else only what it changes. While a
 * VM is uncertain because something is just going on, there is another inventory every
 * LOOKS_SETTLE_MS.
 */
#ifndef HV_HYPERVISOR_LOOKS_H
#define HV_HYPERVISOR_LOOKS_H

#include "hypervisor/conn.h"
#include "hypervisor/facts.h"
#include "hypervisor/inventory.h"
#include "hypervisor/pool.h"

#define LOOK_TIMEOUT_MS 5000
#define LOOKS_SETTLE_MS 2000

struct looks_hooks {
	/* A VM's state is news. */
	void (*news)(const struct fact *f, void *user);
	/* An inventory that was asked for; incomplete: nothing is known, its text says why. */
	void (*inventory)(const struct inventory *inv, void *user);
	/* Something that a person should know. */
	void (*odd)(const char *text, void *user);
	void *user;
};

struct looks;
/* Borrows all. Nothing may be asked for before looks_use(). */
struct looks *looks_new(qb_loop_t *loop, struct pool *pool, struct facts *facts,
			const struct looks_hooks *hooks);
void looks_use(struct looks *ls, struct conn *conn);
void looks_at(struct looks *ls, const char *uuid, const char *name);
void looks_inventory(struct looks *ls, bool full);

#endif
