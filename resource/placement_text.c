/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Why a node takes a VM or does not, in words. */
#include "resource/placement.h"
#include "resource/storage.h"
#include "resource/rule.h"

#include <stdio.h>

static const char *fit_cause(enum fit fit)
{
	switch (fit) {
	case FIT_OK:
		return "fits";
	case FIT_BUSY:
		return "busy";
	case FIT_AVOIDED:
		return "its start failed there";
	case FIT_HERE:
		return "where it is";
	case FIT_OFFLINE:
		return "not online";
	case FIT_DRAINED:
		return "drained";
	case FIT_QUARANTINED:
		return "in quarantine";
	case FIT_NO_LOG:
		return "its disk does not take the log";
	case FIT_UNFENCED:
		return "not unfenced yet";
	case FIT_HYPERVISOR:
		return "hypervisor layer down";
	case FIT_STORAGE:
		return "its storage cannot be used there";
	case FIT_MEMORY:
		return "not enough memory";
	case FIT_CPU:
		return "not enough processors";
	case FIT_RULE:
		return "a rule";
	case FIT_NEEDS:
	case FIT_TURN:
		break;
	}
	return "";
}

/* How it fits each node, in the nodes' order. */
struct fits {
	enum fit fit[HV_MAX_NODES];
	bool any[FIT_NODE_LAST + 1];
};

static void fits_of(const struct cluster *c, const struct vm *vm, bool migrate, struct fits *ret)
{
	*ret = (struct fits){0};
	for (size_t i = 0; i < c->n_nodes; i++) {
		ret->fit[i] = placement_fit(c, vm, c->nodes[i], migrate);
		ret->any[ret->fit[i]] = true;
	}
}

/* Text that grows and is cut off at its end. */
struct text {
	char *buf;
	size_t len;
};

static void put(struct text *t, const char *s)
{
	size_t n = strlen(s);

	if (n > HV_TEXT_MAX - t->len)
		n = HV_TEXT_MAX - t->len;
	memcpy(t->buf + t->len, s, n);
	t->len += n;
	t->buf[t->len] = '\0';
}

/* "; CAUSE: host1, host2": the nodes that fit like this, and that this rule forbids, if one is
 * given. */
static void put_nodes(struct text *t, const struct cluster *c, const struct vm *vm, bool migrate,
		      const struct fits *fits, enum fit fit, const struct rule *rule,
		      const char *cause)
{
	bool first = true;

	for (size_t i = 0; i < c->n_nodes; i++) {
		if (fits->fit[i] != fit ||
		    (rule && placement_rule(c, vm, c->nodes[i], migrate) != rule))
			continue;
		if (first && t->len)
			put(t, "; ");
		put(t, first ? cause : ", ");
		if (first)
			put(t, ": ");
		put(t, c->nodes[i]->name);
		first = false;
	}
}

/* Each rule that keeps it from some node, with those nodes. */
static void put_rules(struct text *t, const struct cluster *c, const struct vm *vm, bool migrate,
		      const struct fits *fits)
{
	char cause[HV_NAME_MAX + 8];

	for (size_t i = 0; i < c->n_rules; i++) {
		snprintf(cause, sizeof(cause), "rule %s", c->rules[i]->name);
		put_nodes(t, c, vm, migrate, fits, FIT_RULE, c->rules[i], cause);
	}
}

static void cause_of(const struct vm *vm, enum fit fit, char *buf, size_t len)
{
	if (fit == FIT_MEMORY)
		snprintf(buf, len, "%s for %llu MiB", fit_cause(fit),
			 (unsigned long long)vm->mem_mib);
	else if (fit == FIT_CPU)
		snprintf(buf, len, "%s for %u vCPUs", fit_cause(fit), vm->vcpus);
	else
		snprintf(buf, len, "%s", fit_cause(fit));
}

char *placement_why_none(const struct cluster *c, const struct vm *vm, bool migrate)
{
	struct text t = {.buf = hv_xcalloc(1, HV_TEXT_MAX + 1)};
	struct fits fits;
	char cause[96];

	fits_of(c, vm, migrate, &fits);
	if (fits.any[FIT_RULE])
		put_rules(&t, c, vm, migrate, &fits);
	for (enum fit fit = FIT_BUSY; fit <= FIT_NODE_LAST; fit++) {
		if (fit == FIT_RULE || !fits.any[fit])
			continue;
		cause_of(vm, fit, cause, sizeof(cause));
		put_nodes(&t, c, vm, migrate, &fits, fit, NULL, cause);
	}
	if (c->n_nodes == 0)
		put(&t, "there is no node");
	return t.buf;
}

static void describe_rule(const struct cluster *c, const struct vm *vm, const struct node *n,
			  char *buf, size_t len)
{
	const struct rule *r = placement_rule(c, vm, n, vm->node != 0);

	if (!r) /* it would be allowed as a start, or only as a move */
		r = placement_rule(c, vm, n, vm->node == 0);
	snprintf(buf, len, "rule %s (%s) forbids it", r ? r->name : "?",
		 r ? rule_kind_name(r->kind) : "?");
}

void placement_describe(const struct cluster *c, const struct vm *vm, const struct node *n,
			enum fit fit, char *buf, size_t len)
{
	unsigned long long mem_free = placement_free_mib(n);
	const struct storage_fault *fault;

	switch (fit) {
	case FIT_OK:
	case FIT_BUSY:
		snprintf(buf, len, "%llu of %llu MiB free, %u vCPUs on %u CPUs, %u VMs%s", mem_free,
			 (unsigned long long)n->mem_mib, n->vcpus_used, n->cpus, n->vm_count,
			 fit == FIT_BUSY ? "; busy with others now" : "");
		return;
	case FIT_AVOIDED:
		snprintf(buf, len, "its start failed there; tried again after the others");
		return;
	case FIT_HERE:
		snprintf(buf, len, "it is on this node");
		return;
	case FIT_OFFLINE:
		snprintf(buf, len, "the node is %s", node_state_name(n->state));
		return;
	case FIT_DRAINED:
		snprintf(buf, len, "the node is %s",
			 n->leaving != NODE_STAYS    ? "about to go down"
			 : n->admin == NODE_DRAINING ? "being drained"
						     : "in maintenance");
		return;
	case FIT_QUARANTINED:
		snprintf(buf, len,
			 "the node is in quarantine: fenced too often; 'hvcluster node release %s'",
			 n->name);
		return;
	case FIT_NO_LOG:
		snprintf(buf, len,
			 "its disk does not take the cluster's log: see 'hvcluster status'");
		return;
	case FIT_UNFENCED:
		snprintf(buf, len, "the node is not unfenced yet: its fence device must say so");
		return;
	case FIT_HYPERVISOR:
		snprintf(buf, len, "its hypervisor layer does not answer: %.80s",
			 n->health_text ? n->health_text : "no cause given");
		return;
	case FIT_STORAGE:
		fault = storage_fault_of_group(vm, n);
		snprintf(buf, len, "storage %.120s cannot be used there: %.120s",
			 fault ? fault->path : "?", fault ? fault->text : "");
		return;
	case FIT_MEMORY:
		snprintf(buf, len, "not enough memory: needs %llu MiB, %llu of %llu MiB free",
			 (unsigned long long)vm->mem_mib, mem_free, (unsigned long long)n->mem_mib);
		return;
	case FIT_CPU:
		snprintf(buf, len,
			 "not enough processors: needs %u vCPUs, %u on %u CPUs, of which each may "
			 "carry %u",
			 vm->vcpus, n->vcpus_used, n->cpus, c->tuning.vcpus_per_cpu);
		return;
	case FIT_RULE:
		describe_rule(c, vm, n, buf, len);
		return;
	case FIT_NEEDS:
	case FIT_TURN:
		break;
	}
	snprintf(buf, len, "waits for another VM");
}

size_t brain_explain_placement(const struct cluster *c, const struct vm *vm,
			       struct placement_line *ret_lines, size_t max)
{
	bool migrate = vm->node != 0;
	hv_node_id chosen = 0;
	size_t count = 0;

	if (placement_pick(c, vm, migrate, &chosen) != FIT_OK)
		chosen = 0;
	for (size_t i = 0; i < c->n_nodes && count < max; i++) {
		const struct node *n = c->nodes[i];
		enum fit fit = placement_fit(c, vm, n, migrate);
		struct placement_line *l = &ret_lines[count++];

		*l = (struct placement_line){.node = n->id,
					     .fits = fit == FIT_OK || fit == FIT_BUSY,
					     .chosen = n->id == chosen,
					     .score = placement_score(c, vm, n)};
		placement_describe(c, vm, n, fit, l->why, sizeof(l->why));
	}
	return count;
}
