/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the administrator sets of a VM: a table of keys, how each is read, shown and stored. */
#include "resource/vm_attribute.h"

#include "resource/vm_machine.h"

#include <stdio.h>

#define UNLIMITED "unlimited"

struct attribute {
	struct vm_attribute_info info;
	bool is_switch; /* on, off; else a number */
	int64_t min, max;
	bool unlimited; /* also that word, for VM_RELOCATE_UNLIMITED */
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

#define SWITCH(name, meaning)                                                                      \
	{                                                                                          \
		{#name, meaning}, true, 0, 1, false, get_##name, set_##name                        \
	}
#define NUMBER(name, least, most, word, meaning)                                                   \
	{                                                                                          \
		{#name, meaning}, false, least, most, word, get_##name, set_##name                 \
	}

static const struct attribute table[] = {
    SWITCH(failback,
	   "goes back to a node that its rules prefer, when that is there again: on, off"),
    SWITCH(live_migration, "is moved live (on), or shut down and started elsewhere (off): on, off"),
    SWITCH(managed, "the cluster acts on it (on), or only watches it (off): on, off"),
    NUMBER(max_relocate, 0, HV_MAX_NODES, true,
	   "other nodes that its start is tried on before it is given up: 0 to 32, or unlimited"),
    NUMBER(priority, -1000000, 1000000, false, "higher is recovered first: -1000000 to 1000000"),
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
	if (a->is_switch)
		return hv_xstrdup(value ? "on" : "off");
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

	if (a->is_switch) {
		*ret = strcmp(s, "on") == 0;
		return *ret || strcmp(s, "off") == 0;
	}
	if (a->unlimited && strcmp(s, UNLIMITED) == 0) {
		*ret = VM_RELOCATE_UNLIMITED;
		return true;
	}
	if (!parse_number(s, &v) || v < a->min || v > a->max)
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
