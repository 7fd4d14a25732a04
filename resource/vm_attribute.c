/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the administrator sets of a VM: a table of keys, how each is read, shown and stored. */
#include "resource/vm_attribute.h"

#include "resource/guest_health.h"
#include "resource/vm_machine.h"

#include <stdio.h>

#define UNLIMITED "unlimited"

struct attribute {
	struct vm_attribute_info info;
	const char *words[2]; /* for 0 and 1; NULL: a number */
	int64_t min, max;
	int64_t least_but_0; /* 0, or at least so much; 0: any */
	bool unlimited;	     /* also that word, for VM_RELOCATE_UNLIMITED */
	int64_t (*get)(const struct vm *vm);
	void (*set)(struct cluster *c, struct vm *vm, int64_t value);
};

/* A member of struct vm that nothing else depends on. */
#define PLAIN(member, type)                                                                        \
	static int64_t get_##member(const struct vm *vm)                                           \
	{                                                                                          \
		return vm->member;                                                                 \
	}                                                                                          \
	static void set_##member(struct cluster *c, struct vm *vm, int64_t value)                  \
	{                                                                                          \
		(void)c;                                                                           \
		vm->member = (type)value;                                                          \
	}

PLAIN(failback, bool)
PLAIN(live_migration, bool)
PLAIN(stop_timeout_s, uint32_t)

/* Another limit is another chance for what was given up. */
#define LIMIT(member)                                                                              \
	static int64_t get_##member(const struct vm *vm)                                           \
	{                                                                                          \
		return vm->member;                                                                 \
	}                                                                                          \
	static void set_##member(struct cluster *c, struct vm *vm, int64_t value)                  \
	{                                                                                          \
		vm->member = (uint32_t)value;                                                      \
		if (vm->given_up)                                                                  \
			vm_forget_failures(c, vm);                                                 \
	}

LIMIT(max_relocate)
LIMIT(start_retries)
PLAIN(restart_limit, uint32_t)

static int64_t get_managed(const struct vm *vm)
{
	return vm->managed;
}

static void set_managed(struct cluster *c, struct vm *vm, int64_t value)
{
	vm_set_managed(c, vm, value);
}

static int64_t get_priority(const struct vm *vm)
{
	return vm->priority;
}

static void set_priority(struct cluster *c, struct vm *vm, int64_t value)
{
	vm_set_priority(c, vm, (int32_t)value);
}

/* Of its guest's health. */
#define GUEST(key, member, type)                                                                   \
	static int64_t get_##key(const struct vm *vm)                                              \
	{                                                                                          \
		return vm->guest.member;                                                           \
	}                                                                                          \
	static void set_##key(struct cluster *c, struct vm *vm, int64_t value)                     \
	{                                                                                          \
		vm->guest.member = (type)value;                                                    \
		vm->guest.held = false;                                                            \
		guest_index(c, vm);                                                                \
	}

GUEST(heartbeat_s, heartbeat_s, uint32_t)
GUEST(heartbeat_idle_s, heartbeat_idle_s, uint32_t)
GUEST(heartbeat_uptime_s, heartbeat_uptime_s, uint32_t)
GUEST(reset_limit, reset_limit, uint32_t)
GUEST(reset_window_s, reset_window_s, uint32_t)
GUEST(guest_panic, panic_reset, bool)
GUEST(guest_watchdog, watchdog_reset, bool)
GUEST(io_error, io_resume, bool)

#define WORDS(name, no, yes, meaning)                                                              \
	{                                                                                          \
		{#name, meaning}, {no, yes}, 0, 1, 0, false, get_##name, set_##name                \
	}
#define SWITCH(name, meaning) WORDS(name, "off", "on", meaning)
#define NUMBER(name, least, most, word, meaning)                                                   \
	{                                                                                          \
		{#name, meaning}, {NULL}, least, most, 0, word, get_##name, set_##name             \
	}
#define SECONDS(name, least, most, but_0, meaning)                                                 \
	{                                                                                          \
		{#name, meaning}, {NULL}, least, most, but_0, false, get_##name, set_##name        \
	}

static const struct attribute table[] = {
    SWITCH(failback,
	   "goes back to a node that its rules prefer, when that is there again: on, off"),
    WORDS(guest_panic, "report", "reset",
	  "a guest that panics (pvpanic, on_crash preserve) is shown, or reset: report, reset"),
    WORDS(guest_watchdog, "report", "reset",
	  "a guest whose watchdog fires (action pause or none) is shown, or reset: report, reset"),
    SECONDS(heartbeat_idle_s, 10, 86400, 0,
	    "and that did no disk or network I/O for so many seconds: 10 to 86400"),
    SECONDS(
	heartbeat_s, 0, 86400, 10,
	"is reset when its guest agent has not answered for so many seconds, 0: never: 0, or 10 to "
	"86400"),
    SECONDS(heartbeat_uptime_s, 0, 86400, 0,
	    "and that has run for so many seconds where it is: 0 to 86400"),
    WORDS(io_error, "wait", "resume",
	  "paused by an I/O error, it waits for somebody, or goes on when its storage works: wait, "
	  "resume"),
    SWITCH(live_migration, "is moved live (on), or shut down and started elsewhere (off): on, off"),
    SWITCH(managed, "the cluster acts on it (on), or only watches it (off): on, off"),
    NUMBER(max_relocate, 0, HV_MAX_NODES, true,
	   "other nodes that its start is tried on before it is given up: 0 to 32, or unlimited"),
    NUMBER(priority, -1000000, 1000000, false, "higher is recovered first: -1000000 to 1000000"),
    NUMBER(reset_limit, 1, GUEST_RESETS_MAX, false,
	   "resets of its guest within reset_window_s, then it is left as it is: 1 to 10"),
    NUMBER(
	restart_limit, 0, 100, false,
	"restarts on a node after it crashed soon after its start, before another is tried: 0 to "
	"100"),
    SECONDS(reset_window_s, 60, 86400, 0, "see reset_limit: 60 to 86400"),
    NUMBER(start_retries, 0, 100, false,
	   "further tries to start it on a node, after the first: 0 to 100"),
    NUMBER(stop_timeout_s, 0, 86400, false,
	   "how long the guest may take to shut down, 0: as the setting says: 0 to 86400"),
};

size_t vm_attribute_count(void)
{
	return ARRAY_SIZE(table);
}

const struct vm_attribute_info *vm_attribute_at(size_t i)
{
	return i < ARRAY_SIZE(table) ? &table[i].info : NULL;
}

char *vm_attribute_text(const struct vm *vm, size_t i)
{
	const struct attribute *a = &table[i];
	int64_t value;

	hv_assert(i < ARRAY_SIZE(table));
	value = a->get(vm);
	if (a->words[0])
		return hv_xstrdup(a->words[value != 0]);
	if (a->unlimited && value == VM_RELOCATE_UNLIMITED)
		return hv_xstrdup(UNLIMITED);
	return hv_xasprintf("%lld", (long long)value);
}

static bool parse_number(const char *s, int64_t *ret)
{
	bool negative = *s == '-';
	int64_t v = 0;

	s += negative;
	if (!*s || strlen(s) > 9)
		return false;
	for (; *s; s++) {
		if (*s < '0' || *s > '9')
			return false;
		v = v * 10 + (*s - '0');
	}
	*ret = negative ? -v : v;
	return true;
}

static bool parse(const struct attribute *a, const char *s, int64_t *ret)
{
	int64_t v = 0;

	if (a->words[0]) {
		*ret = strcmp(s, a->words[1]) == 0;
		return *ret || strcmp(s, a->words[0]) == 0;
	}
	if (a->unlimited && strcmp(s, UNLIMITED) == 0) {
		*ret = VM_RELOCATE_UNLIMITED;
		return true;
	}
	if (!parse_number(s, &v) || v < a->min || v > a->max ||
	    (v && a->least_but_0 && v < a->least_but_0))
		return false;
	*ret = v;
	return true;
}

static const struct attribute *find(const char *key)
{
	for (size_t i = 0; i < ARRAY_SIZE(table); i++)
		if (strcmp(table[i].info.key, key) == 0)
			return &table[i];
	return NULL;
}

enum hv_rc vm_attribute_check(const char *key, const char *value, const char **ret_help)
{
	const struct attribute *a = find(key);
	int64_t v;

	if (!a)
		return HV_NOT_FOUND;
	*ret_help = a->info.help;
	return parse(a, value, &v) ? HV_OK : HV_BAD_INPUT;
}

bool vm_attribute_set(struct cluster *c, struct vm *vm, const char *key, const char *value)
{
	const struct attribute *a = find(key);
	int64_t v = 0;

	hv_assert(a && parse(a, value, &v));
	if (a->get(vm) == v)
		return false;
	a->set(c, vm, v);
	vm_touch(c, vm);
	vm_dirty(c, vm);
	return true;
}
