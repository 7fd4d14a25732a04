/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * commands.h - the table of commands, and finding one in it.
 */
#ifndef HV_CLI_COMMANDS_H
#define HV_CLI_COMMANDS_H

#include "cli/cli.h"

size_t command_count(void);
const struct command *command_at(size_t i);
/* The command that the first one or two words name, and how many words those are; NULL if there is
 * none. */
const struct command *command_find(const char *const *words, size_t n, size_t *ret_used);
/* "vm add": the command's words. The caller frees. */
char *command_title(const struct command *command);
/* Is there a group of that name ("vm")? */
bool command_is_group(const char *word);
/*
 * What was probably meant by words that name no command: the closest command's title, NULL if
 * nothing is close. The caller frees.
 */
char *command_suggest(const char *const *words, size_t n);

/* Help: of the program, of a group, of a command. */
void help_program(const struct out *o);
void help_group(const struct out *o, const char *group);
void help_command(const struct out *o, const struct command *command);
/* "hvcluster vm start NAME [--on NODE] ...": the caller frees. */
char *help_synopsis(const struct command *command);

#endif
