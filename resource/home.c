/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "resource/home.h"

#include "resource/moves.h"
#include "resource/placement.h"
#include "resource/rule.h"
#include "resource/vm_machine.h"

bool home_calls(const struct cluster *c, const struct vm *vm)
{
	const struct node *home = cluster_node(c, vm->home);

	return home && vm->node != vm->home && node_reachable(home) && node_takes_vms(home);
}

static bool is_up(const struct vm *vm)
{
	return vm->state == VM_RUNNING || vm->state == VM_PAUSED;
}

static bool is_free(struct cluster *c, const struct vm *vm)
{
	return moves_free(c, vm) &&
	       node_get(c, vm->node)->migrations_running < c->tuning.migrate_parallel;
}

static void go_home(struct cluster *c, struct vm *vm)
{
	struct why why = WHY(RETURNS, .subject = node_name(c, vm->home));

	if (vm->migrate_attempts >= c->tuning.drain_tries) {
		vm_set_home(c, vm, 0);
		return;
	}
	if (placement_fit(c, vm, node_get(c, vm->home), vm->live_migration) == FIT_OK)
		vm_move_to(c, vm, vm->home, 0, why);
}

/* More of those that follow it could not be with it there: its start would be placed here again. */
static bool is_lonelier(const struct cluster *c, const struct vm *vm)
{
	return vm->node && placement_lonely(c, vm, vm->home) > placement_lonely(c, vm, vm->node);
}

static void look_at(struct cluster *c, struct vm *vm)
{
	const struct node *home = node_get(c, vm->home);
	bool worse = home && (rules_node_worse(c, vm, vm->home, vm->node) || is_lonelier(c, vm));
	bool arrived = vm->node == vm->home && is_up(vm) && node_takes_vms(home);

	if (!home || arrived || (worse && is_up(vm)) || !c->tuning.maintenance_return)
		vm_set_home(c, vm, 0);
	else if (home_calls(c, vm) && is_free(c, vm))
		go_home(c, vm);
}

void home_settle(struct cluster *c)
{
	size_t count = c->away.count;
	_cleanup_free_ struct vm **vms = NULL;

	if (!count)
		return;
	vms = hv_xmemdup(c->away.items, count * sizeof(*vms));
	for (size_t i = 0; i < count; i++)
		look_at(c, vms[i]);
}
