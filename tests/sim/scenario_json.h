/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * scenario_json.h - private to the reader of scenario files.
 *
 * The first thing that is wrong is kept, with its place; after it every function answers false.
 * A member that is null is taken as if it were not there.
 */
#ifndef HV_TESTS_SIM_SCENARIO_JSON_H
#define HV_TESTS_SIM_SCENARIO_JSON_H

#include "tests/sim/scenario.h"

#include <jansson.h>

struct reader {
	struct scenario *sc;
	char *why;
};
bool bad(struct reader *r, const char *fmt, ...) _printf_(2, 3);

/* NULL: absent or null. */
json_t *member(json_t *o, const char *key);
/* `o` is an object with these members only; words that begin with "note" or "comment" are let be.
 */
bool only(struct reader *r, json_t *o, const char *what, const char *const *keys);
/* The value stays as it was where the member is absent. */
bool read_bool(struct reader *r, json_t *o, const char *key, bool *ret);
bool read_yes(struct reader *r, json_t *o, const char *key, enum sc_yes *ret);
bool read_u64(struct reader *r, json_t *o, const char *key, uint64_t max, uint64_t *ret);
bool read_i64(struct reader *r, json_t *o, const char *key, int64_t min, int64_t max, int64_t *ret);
bool read_ms(struct reader *r, json_t *v, const char *what, uint64_t *ret);
bool read_text(struct reader *r, json_t *o, const char *key, char **ret);
/* One of a table of words; -1 and false: not one of them. */
bool word_of(struct reader *r, json_t *v, const char *what, const char *const *words, size_t n,
	     int *ret);
bool read_word(struct reader *r, json_t *o, const char *key, const char *const *words, size_t n,
	       int *ret);

int node_named(const struct scenario *sc, const char *name); /* -1 none */
int vm_named(const struct scenario *sc, const char *name);
bool node_of(struct reader *r, json_t *v, const char *what, int *ret);
bool vm_of(struct reader *r, json_t *v, const char *what, int *ret);
/* A name, or an array of names. */
bool nodes_of(struct reader *r, json_t *v, const char *what, uint64_t *ret);
bool vms_of_list(struct reader *r, json_t *v, const char *what, uint64_t *ret);

bool read_nodes(struct reader *r, json_t *list);
bool read_vms(struct reader *r, json_t *list);
bool read_vm(struct reader *r, json_t *o, bool late);
/* "want": running, stopped; or left to itself. */
bool read_guest(struct reader *r, json_t *o, struct sc_guest *g); /* scenario_guest.c */
bool read_want(struct reader *r, json_t *o, bool *ret_wanted, bool *ret_unmanaged);
bool read_rules(struct reader *r, json_t *list);
bool read_events(struct reader *r, json_t *list);
/* scenario_steps.c; `v` may be NULL */
bool read_order(struct reader *r, json_t *list, struct sc_step *ret, size_t *ret_n);
bool read_attempt_orders(struct reader *r, json_t *v, struct sc_check *c);
bool read_attempts(struct reader *r, json_t *v, struct sc_attempts **ret, size_t *n);
bool read_expect(struct reader *r, json_t *o);

#endif
