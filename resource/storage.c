/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "resource/storage.h"

#include "proto/mutant.h"
#include "resource/fencing.h"
#include "resource/guest_health.h"
#include "resource/journal.h"
#include "resource/moves.h"
#include "resource/node_machine.h"
#include "resource/placement.h"
#include "resource/rule.h"
#include "resource/vm_machine.h"

/* ---- lists */

static bool printable(const char *text)
{
	for (; *text; text++)
		if ((unsigned char)*text < ' ' || *text == 0x7f)
			return false;
	return true;
}

static bool path_valid(const char *path)
{
	return path[0] == '/' && strlen(path) <= HV_PATH_MAX && printable(path);
}

bool storage_paths_valid(char *const *paths, size_t count)
{
	if (count > HV_MAX_VM_STORAGE)
		return false;
	for (size_t i = 0; i < count; i++)
		if (!path_valid(paths[i]) || (i && strcmp(paths[i - 1], paths[i]) >= 0))
			return false;
	return true;
}

bool storage_list_valid(Hv__StorageSeen *const *list, size_t count)
{
	if (count > HV_MAX_STORAGE)
		return false;
	for (size_t i = 0; i < count; i++)
		if (!path_valid(list[i]->path) || strlen(list[i]->text) >= HV_TEXT_MAX ||
		    !printable(list[i]->text) ||
		    (i && strcmp(list[i - 1]->path, list[i]->path) >= 0))
			return false;
	return true;
}

void storage_needs(struct vm *vm, char *const *paths, size_t count)
{
	vm->storage = count ? hv_xcalloc(count, sizeof(char *)) : NULL;
	vm->n_storage = count;
	for (size_t i = 0; i < count; i++)
		vm->storage[i] = hv_xstrdup(paths[i]);
}

void storage_forget(struct node *n)
{
	for (size_t i = 0; i < n->n_bad_storage; i++) {
		free(n->bad_storage[i].path);
		free(n->bad_storage[i].text);
	}
	free(n->bad_storage);
	n->bad_storage = NULL;
	n->n_bad_storage = 0;
}

void storage_set(struct node *n, Hv__StorageSeen *const *list, size_t count)
{
	storage_forget(n);
	n->bad_storage = count ? hv_xcalloc(count, sizeof(*n->bad_storage)) : NULL;
	n->n_bad_storage = count;
	for (size_t i = 0; i < count; i++)
		n->bad_storage[i] =
		    (struct storage_fault){hv_xstrdup(list[i]->path), hv_xstrdup(list[i]->text),
					   list[i]->hangs, list[i]->lasts};
}

/* ---- what is bad for whom */

static const struct storage_fault *find(const struct node *n, const char *path)
{
	for (size_t i = 0; i < n->n_bad_storage; i++)
		if (strcmp(n->bad_storage[i].path, path) == 0)
			return &n->bad_storage[i];
	return NULL;
}

const struct storage_fault *storage_fault_of(const struct vm *vm, const struct node *n)
{
	const struct storage_fault *found = NULL;

	for (size_t i = 0; n->n_bad_storage && i < vm->n_storage && !found; i++)
		found = find(n, vm->storage[i]);
	return found;
}

const struct storage_fault *storage_fault_of_group(const struct vm *vm, const struct node *n)
{
	const struct storage_fault *found = storage_fault_of(vm, n);

	for (size_t i = 0; !found && vm->group && i < vm->group->n_vms; i++)
		if (placement_counts(vm->group->vms[i]))
			found = storage_fault_of(vm->group->vms[i], n);
	return found;
}

/* ---- a node tells */

static void tell_new(struct cluster *c, const struct node *n, Hv__StorageSeen *const *list,
		     size_t count)
{
	for (size_t i = 0; i < count; i++)
		if (!find(n, list[i]->path) || find(n, list[i]->path)->hangs != list[i]->hangs)
			journal_why(
			    c, SEV_ERROR, "node", n->name, "storage good", "storage bad",
			    WHY(STORAGE_BAD, .subject = list[i]->path, .text = list[i]->text));
}

static bool listed(const char *path, Hv__StorageSeen *const *list, size_t count)
{
	for (size_t i = 0; i < count; i++)
		if (strcmp(list[i]->path, path) == 0)
			return true;
	return false;
}

/* Guests that waited for it are not judged by their silence while they did. */
static void guests_had_trouble(struct cluster *c, const struct node *n,
			       Hv__StorageSeen *const *list, size_t count)
{
	for (size_t i = 0; n->n_bad_storage && i < n->owned.count; i++) {
		struct vm *vm = n->owned.items[i];
		bool had = storage_fault_of(vm, n), has = false;

		for (size_t k = 0; had && k < vm->n_storage; k++)
			has |= listed(vm->storage[k], list, count);
		if (had && !has)
			guest_storage_works(c, vm);
	}
}

void storage_seen(struct cluster *c, struct node *n, Hv__StorageSeen *const *list, size_t count)
{
	tell_new(c, n, list, count);
	for (size_t i = 0; i < n->n_bad_storage; i++)
		if (!listed(n->bad_storage[i].path, list, count))
			journal_why(c, SEV_NOTICE, "node", n->name, "storage bad", "storage good",
				    WHY(STORAGE_GOOD, .subject = n->bad_storage[i].path));
	guests_had_trouble(c, n, list, count);
	storage_set(n, list, count);
}

/* ---- leaving */

static bool hangs(const struct vm *vm, const struct node *n, bool for_long)
{
	for (size_t i = 0; i < vm->n_storage; i++) {
		const struct storage_fault *f = find(n, vm->storage[i]);

		if (f && f->hangs && (!for_long || f->lasts))
			return true;
	}
	return false;
}

static bool cannot_leave(const struct cluster *c, const struct node *n, const struct vm *vm)
{
	if (hangs(vm, n, false))
		return hangs(vm, n, true);
	return vm->retry_us && vm->migrate_attempts >= c->tuning.drain_tries;
}

/* Nothing else is proof that it has ended there. */
static bool fence_for(struct cluster *c, struct node *n, const struct vm *vm)
{
	hv_node_id target;

	if ((placement_pick(c, vm, true, &target) != FIT_OK && !MUTANT(fenced_for_nothing)) ||
	    !node_want_fence(c, n, WHY(STORAGE_FENCE, .subject = vm->name)))
		return false;
	/* Nodes had their turn in this step: its own fence begins, and another's that it ran. */
	for (size_t i = 0; i < c->n_nodes; i++)
		fencing_settle(c, c->nodes[i]);
	return true;
}

static void leave(struct cluster *c, const struct node *n, struct vm *vm)
{
	const struct storage_fault *fault = storage_fault_of(vm, n);

	if (fault && !hangs(vm, n, false) && vm->state == VM_RUNNING)
		moves_leave(c, vm, WHY(STORAGE_LEFT, .subject = fault->path));
}

static void fence_one(struct cluster *c, struct node *n)
{
	size_t count = n->by_rank.count;
	_cleanup_free_ struct vm **vms = hv_xmemdup(n->by_rank.items, count * sizeof(*vms));

	for (size_t i = 0; i < count; i++)
		if (cannot_leave(c, n, vms[i]) && vms[i]->managed &&
		    (!vms[i]->lock || MUTANT(fenced_for_a_locked_one)) &&
		    storage_fault_of(vms[i], n) && fence_for(c, n, vms[i]))
			return;
}

static void leave_one(struct cluster *c, struct node *n)
{
	size_t count = n->by_rank.count;
	_cleanup_free_ struct vm **vms = hv_xmemdup(n->by_rank.items, count * sizeof(*vms));

	for (size_t i = 0; i < count; i++)
		leave(c, n, vms[i]);
}

/* A drain moves what is on its node by itself. */
static bool concerned(const struct node *n)
{
	return n->n_bad_storage && (node_takes_vms(n) || n->log_lost_us);
}

void storage_fence(struct cluster *c)
{
	for (size_t i = 0; i < c->n_nodes && c->tuning.storage_loss == STORAGE_FENCE_NODE; i++)
		if (concerned(c->nodes[i]))
			fence_one(c, c->nodes[i]);
}

void storage_settle(struct cluster *c)
{
	for (size_t i = 0; i < c->n_nodes && c->tuning.storage_loss != STORAGE_STAY; i++)
		if (concerned(c->nodes[i]))
			leave_one(c, c->nodes[i]);
}
