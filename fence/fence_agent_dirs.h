/* SPDX-License-Identifier: GPL-2.0-or-later */
/* fence_agent_dirs.h - where agents are looked for; a variable for the tests' own agents only. */
#ifndef HV_FENCE_FENCE_AGENT_DIRS_H
#define HV_FENCE_FENCE_AGENT_DIRS_H

/* Ends with NULL. */
extern const char *const *fence_agent_dirs;

#endif
