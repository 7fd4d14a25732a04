/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Words for the enums of cluster.h. Numbers out of range give "?". */
#include "resource/node_machine.h"
#include "resource/vm_machine.h"

static const char *const node_states[] = {
#define X(name, text, meaning) text,
    NODE_STATE_LIST(X)
#undef X
};
static const char *const node_meanings[] = {
#define X(name, text, meaning) meaning,
    NODE_STATE_LIST(X)
#undef X
};
static const char *const vm_states[] = {
#define X(name, text, meaning) text,
    VM_STATE_LIST(X)
#undef X
};
static const char *const vm_meanings[] = {
#define X(name, text, meaning) meaning,
    VM_STATE_LIST(X)
#undef X
};
static const char *const op_kinds[] = {
#define X(name, text) text,
    OP_KIND_LIST(X)
#undef X
};
static const char *const admins[] = {"active", "draining", "maintenance"};
static const char *const intents[] = {"stopped", "started"};
static const char *const op_states[] = {"running", "done", "failed"};
static const char *const severities[] = {"info", "notice", "warning", "error"};
static const char *const requests[] = {"",	  "start", "stop",   "remove",
				       "migrate", "pause", "resume", "reset"};

static const char *const leavings[] = {"stays", "shuts-down", "reboots"};
static const char *const arms[] = {"armed", "disarmed", "disarmed-ignore", "arming"};
static const char *const rule_kinds[] = {"",	  "nodes",  "ban",  "together",
					 "apart", "follow", "after"};

#define WORD(words, i) ((size_t)(i) < ARRAY_SIZE(words) ? (words)[i] : "?")

const char *node_state_name(enum node_state s)
{
	return WORD(node_states, s);
}

const char *node_state_meaning(enum node_state s)
{
	return WORD(node_meanings, s);
}

const char *node_admin_name(enum node_admin a)
{
	return WORD(admins, a);
}

const char *vm_state_name(enum vm_state s)
{
	return WORD(vm_states, s);
}

const char *vm_state_meaning(enum vm_state s)
{
	return WORD(vm_meanings, s);
}

const char *vm_intent_name(enum vm_intent i)
{
	return WORD(intents, i);
}

const char *node_leaving_name(enum node_leaving l)
{
	return WORD(leavings, l);
}

const char *arm_state_name(enum arm_state a)
{
	return WORD(arms, a);
}

const char *rule_kind_name(Hv__RuleKind k)
{
	return WORD(rule_kinds, k);
}

const char *op_kind_name(enum op_kind k)
{
	return WORD(op_kinds, k);
}

const char *op_state_name(enum op_state s)
{
	return WORD(op_states, s);
}

const char *severity_name(enum severity s)
{
	return WORD(severities, s);
}

const char *vm_request_name(enum vm_request r)
{
	return WORD(requests, r);
}
