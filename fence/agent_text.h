/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * agent_text.h - private to fence_agent: what goes into an agent and what comes out, as text.
 *
 * In: names and options are checked here and only here; options become lines for stdin. Out: what
 * an agent printed becomes one line for people, without secrets, control characters and broken
 * UTF-8. No process, no clock.
 */
#ifndef HV_FENCE_AGENT_TEXT_H
#define HV_FENCE_AGENT_TEXT_H

#include "fence/fence_agent.h"

/* ^fence_[a-z0-9_]+$, at most 63 characters. */
bool agent_name_valid(const char *name);

/* The call in one block that is wiped when it is freed. */
struct fence_call *agent_call_dup(const struct fence_call *call);
void agent_call_free(struct fence_call *call);

/* HV_OK, or HV_BAD_INPUT or HV_TOO_LARGE and *ret_text (malloc'ed). */
enum hv_rc agent_call_check(const struct fence_call *call, char **ret_text);
/*
 * "action=...\nkey=value\n..."; the caller wipes and frees. `ipmitool`: the program of
 * fence/ipmitool_quiet.c, NULL: fence_ipmilan is given its password like any other agent.
 */
char *agent_call_stdin(const struct fence_call *call, const char *ipmitool);

/*
 * Overwrites each occurrence of a secret of `call` in `buf` by asterisks and closes the gap;
 * returns the new length. Agents also print secrets quoted for a shell or for Python: the longer
 * runs of letters and digits in a secret with other characters are blanked too. `cut`: the output
 * goes on, so that the end may be the beginning of a secret; it is dropped.
 */
size_t agent_blank(const struct fence_call *call, char *buf, size_t len, bool cut);

/* The last lines that say something, as one line of at most HV_TEXT_MAX / 2; "" if there is none.
 */
char *agent_summary(const char *buf, size_t len);

#endif
