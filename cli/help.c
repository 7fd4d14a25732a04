/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "cli/commands.h"

#include <string.h>

/* Most options are rare: the synopsis of the lists shows the words only, that of one command all.
 */
static void put_line(const struct out *o, const struct command *c)
{
	_cleanup_free_ char *title = command_title(c);
	int room = 28 - (int)strlen(title) - (*c->words ? 1 : 0) - (int)strlen(c->words);

	fprintf(o->file, "  ");
	out_text(o, BOLD, title);
	fprintf(o->file, "%s%s%*s %s\n", *c->words ? " " : "", c->words, room > 0 ? room : 0, "",
		c->summary);
}

void help_program(const struct out *o)
{
	const char *group = "";

	fprintf(o->file, "usage: hvcluster [--json] [--color WHEN] COMMAND ...\n\n"
			 "Highly available virtual machines: a host dies, its VMs run elsewhere; a "
			 "host is drained and no\n"
			 "guest notices.\n");
	for (size_t i = 0; i < command_count(); i++) {
		const struct command *c = command_at(i);

		if (i == 0 || strcmp(c->group, group) != 0)
			fprintf(o->file, "\n");
		group = c->group;
		put_line(o, c);
	}
	fprintf(o->file, "\n'hvcluster help COMMAND' explains a command; 'hvcluster vm', "
			 "'hvcluster node' and so on list a group.\n"
			 "All that shows something takes --json; what takes time takes --wait. See "
			 "hvcluster(8).\n");
}

void help_group(const struct out *o, const char *group)
{
	fprintf(o->file, "usage: hvcluster %s COMMAND ...\n\n", group);
	for (size_t i = 0; i < command_count(); i++) {
		if (strcmp(command_at(i)->group, group) == 0)
			put_line(o, command_at(i));
	}
	fprintf(o->file, "\n'hvcluster help %s COMMAND' explains one.\n", group);
}

char *help_synopsis(const struct command *command)
{
	_cleanup_free_ char *title = command_title(command);

	return hv_xasprintf("hvcluster %s%s%s%s", title, *command->words ? " " : "", command->words,
			    command->options ? " [OPTION]..." : "");
}

void help_command(const struct out *o, const struct command *command)
{
	_cleanup_free_ char *synopsis = help_synopsis(command);

	fprintf(o->file, "usage: %s\n\n%s\n", synopsis, command->summary);
	if (command->details)
		fprintf(o->file, "\n%s\n", command->details);
	if (command->options) {
		fprintf(o->file, "\n");
		options_describe(command->options, o);
	}
}
