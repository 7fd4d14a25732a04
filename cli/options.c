/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "cli/options.h"

#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <string.h>

enum kind { FLAG, TEXT, U32, I32, LIST };

#define FIELD(member) offsetof(struct options, member)

static const struct option_row {
	const char *name;
	char letter;
	enum kind kind;
	size_t field;
	int64_t min, max;
	const char *metavar;
	const char *help;
} rows[N_OPTIONS] = {
    /* clang-format off */
	[OPT_JSON] = {"json", 0, FLAG, FIELD(json), 0, 0, NULL,
		"print one JSON document"},
	[OPT_COLOR] = {"color", 0, TEXT, FIELD(color), 0, 0, "WHEN",
		"auto (the default), always or never"},
	[OPT_HELP] = {"help", 'h', FLAG, FIELD(help), 0, 0, NULL,
		"explain the command"},
	[OPT_WAIT] = {"wait", 'w', FLAG, FIELD(wait), 0, 0, NULL,
		"return when it is done, and show how far it is"},
	[OPT_TIMEOUT] = {"timeout", 0, U32, FIELD(timeout_s), 1, 604800, "S",
		"with --wait: wait no longer than S seconds; the operation goes on"},
	[OPT_NAME] = {"name", 0, TEXT, FIELD(name), 0, 0, "N",
		"call the VM N, whatever the XML says"},
	[OPT_PRIORITY] = {"priority", 0, I32, FIELD(priority), -1000000, 1000000, "N",
		"VMs of higher priority are recovered first (preset 0)"},
	[OPT_STOPPED] = {"stopped", 0, FLAG, FIELD(stopped), 0, 0, NULL,
		"add it, but do not start it"},
	[OPT_STOP_TIMEOUT] = {"stop-timeout", 0, U32, FIELD(stop_timeout_s), 1, 86400, "S",
		"how long the guest may take to shut down before it is switched off"},
	[OPT_ON] = {"on", 0, TEXT, FIELD(on), 0, 0, "NODE",
		"start it there, if it fits"},
	[OPT_TO] = {"to", 0, TEXT, FIELD(to), 0, 0, "NODE",
		"move it there (preset: wherever it fits best)"},
	[OPT_FORCE] = {"force", 'f', FLAG, FIELD(force), 0, 0, NULL,
		"switch it off at once; the guest is not asked"},
	[OPT_STOP_FIRST] = {"stop", 0, FLAG, FIELD(stop_first), 0, 0, NULL,
		"if it runs, shut it down first"},
	[OPT_GRACE] = {"timeout", 0, U32, FIELD(grace_s), 1, 86400, "S",
		"how long the guest may take to shut down before it is switched off"},
	[OPT_XML] = {"xml", 0, FLAG, FIELD(xml), 0, 0, NULL,
		"print the domain XML that the cluster keeps"},
	[OPT_NODE] = {"node", 0, TEXT, FIELD(node), 0, 0, "NODE",
		"only what is on NODE"},
	[OPT_AGENT] = {"agent", 'a', TEXT, FIELD(agent), 0, 0, "AGENT",
		"the fence agent's program, for example fence_ipmilan"},
	[OPT_LEVEL] = {"level", 0, U32, FIELD(level), 1, HV_MAX_FENCE_LEVELS, "N",
		"devices of one level are used together; a higher level when the lower fails (preset 1)"},
	[OPT_AGENT_TIMEOUT] = {"timeout", 0, U32, FIELD(agent_timeout_s), 1, 3600, "S",
		"how long one run of the agent may take"},
	[OPT_OPTION] = {"option", 'o', LIST, FIELD(option), 0, 0, "KEY=VALUE",
		"an option of the agent; may be repeated"},
	[OPT_SECRET_FILE] = {"secret-file", 0, LIST, FIELD(secret_file), 0, 0, "KEY=FILE",
		"an option whose value is the one line in FILE, and is never shown; may be repeated"},
	[OPT_SECRET_STDIN] = {"secret-stdin", 0, LIST, FIELD(secret_stdin), 0, 0, "KEY",
		"the same, read from standard input (asked for on a terminal)"},
	[OPT_YES] = {"yes", 'y', FLAG, FIELD(yes), 0, 0, NULL,
		"do not ask"},
	[OPT_FOLLOW] = {"follow", 'f', FLAG, FIELD(follow), 0, 0, NULL,
		"go on and print what happens"},
	[OPT_LINES] = {"lines", 'n', U32, FIELD(lines), 0, HV_MAX_JOURNAL, "N",
		"the last N lines (preset 50; with --follow 10)"},
	[OPT_SOFT] = {"soft", 0, FLAG, FIELD(soft), 0, 0, NULL,
		"a wish: kept if that is possible, broken if not"},
	[OPT_EXECUTE] = {"execute", 0, FLAG, FIELD(execute), 0, 0, NULL,
		"then power this host off, or reboot it"},
	[OPT_CANCEL] = {"cancel", 0, FLAG, FIELD(cancel), 0, 0, NULL,
		"take the announcement back"},
	[OPT_IGNORE] = {"ignore", 0, FLAG, FIELD(ignore), 0, 0, NULL,
		"VMs are going to be started, stopped and moved by hand"},
	[OPT_VM] = {"vm", 0, TEXT, FIELD(vm), 0, 0, "VM",
		"only what names VM"},
	[OPT_LOCAL] = {"local", 0, FLAG, FIELD(local), 0, 0, NULL,
		"what clusterd keeps on this node"},
	[OPT_UNTIL] = {"until", 0, U32, FIELD(until), 1, UINT32_MAX, "INDEX",
		"stop after entry INDEX"},
	[OPT_MAP] = {"map", 0, TEXT, FIELD(map), 0, 0, "NODE=PLUG,...",
		"one device for several nodes, with the outlet of each"},
	[OPT_DELAY] = {"delay", 0, U32, FIELD(delay_s), 0, 3600, "S",
		"wait so long before it is used (preset 0)"},
	[OPT_DELAY_RANDOM] = {"delay-random", 0, U32, FIELD(delay_random_s), 0, 3600, "S",
		"and up to S seconds more, drawn each time (preset 0)"},
	[OPT_PROOF] = {"proof", 0, TEXT, FIELD(proof), 0, 0, "seen|waited",
		"what its success means: the node was seen off, or time has passed (preset: waited for fence_sbd, else seen)"},
	[OPT_REQUIRE] = {"require", 0, TEXT, FIELD(require), 0, 0, "seen|any",
		"what its level demands: that each of its devices has seen the node off, or what a device can (preset any)"},
	[OPT_UNFENCE] = {"unfence", 0, FLAG, FIELD(unfence), 0, 0, NULL,
		"tell it `on` before a node that has booted or was fenced gets VMs (fence_scsi, a switch's port)"},
	[OPT_ALL] = {"all", 0, FLAG, FIELD(all), 0, 0, NULL,
		"every device of every node"},
	[OPT_OFF] = {"off", 0, TEXT, FIELD(off), 0, 0, "NODE,...",
		"with --yes: the nodes that you have seen to be off"},
    /* clang-format on */
};

bool options_number(const char *text, int64_t min, int64_t max, int64_t *ret)
{
	char *end;
	long long n;

	/* strtoll(3) would skip spaces and take "+5". */
	if (!(*text >= '0' && *text <= '9') && !(*text == '-' && text[1] >= '0' && text[1] <= '9'))
		return false;
	errno = 0;
	n = strtoll(text, &end, 10);
	if (errno || *end || n < min || n > max)
		return false;
	*ret = n;
	return true;
}

static char *number_refused(const struct option_row *row, const char *value)
{
	return hv_xasprintf("--%s takes a whole number from %" PRId64 " to %" PRId64 ", not '%s'",
			    row->name, row->min, row->max, value);
}

static enum hv_rc store(struct options *o, const struct option_row *row, const char *value,
			char **ret_why)
{
	void *field = (char *)o + row->field;
	struct option_list *list = field;
	int64_t n;

	switch (row->kind) {
	case FLAG:
		*(bool *)field = true;
		return HV_OK;
	case TEXT:
		*(const char **)field = value;
		return HV_OK;
	case U32:
	case I32:
		if (!options_number(value, row->min, row->max, &n)) {
			*ret_why = number_refused(row, value);
			return HV_BAD_INPUT;
		}
		if (row->kind == U32)
			*(uint32_t *)field = (uint32_t)n;
		else
			*(int32_t *)field = (int32_t)n;
		return HV_OK;
	case LIST:
		if (list->count == ARRAY_SIZE(list->items)) {
			*ret_why = hv_xasprintf("--%s may be given %zu times at most", row->name,
						list->count);
			return HV_BAD_INPUT;
		}
		list->items[list->count++] = value;
		return HV_OK;
	}
	return HV_INTERNAL;
}

/* getopt(3)'s two tables, made of ours. */
struct getopt_tables {
	struct option longs[N_OPTIONS + 1];
	char letters[3 * N_OPTIONS + 3];
};

static void make_tables(struct getopt_tables *t, option_set allowed, bool stop_at_word)
{
	size_t n = 0, m = 0;

	memset(t, 0, sizeof(*t));
	if (stop_at_word)
		t->letters[m++] = '+';
	t->letters[m++] = ':'; /* tell a missing value from an unknown option, print nothing */
	for (int id = 0; id < N_OPTIONS; id++) {
		const struct option_row *row = &rows[id];

		if (!(allowed & ((option_set)1 << id)))
			continue;
		t->longs[n].name = row->name;
		t->longs[n].has_arg = row->kind == FLAG ? no_argument : required_argument;
		t->longs[n++].val = 256 + id;
		if (!row->letter)
			continue;
		t->letters[m++] = row->letter;
		if (row->kind != FLAG)
			t->letters[m++] = ':';
	}
}

static int id_of(int c, option_set allowed)
{
	if (c >= 256)
		return c - 256;
	for (int id = 0; id < N_OPTIONS; id++) {
		if ((allowed & ((option_set)1 << id)) && rows[id].letter == c)
			return id;
	}
	return -1;
}

enum hv_rc options_parse(struct options *o, option_set allowed, bool stop_at_word, int argc,
			 char **argv, const char **args, size_t *ret_n, char **ret_why)
{
	struct getopt_tables tables;
	size_t n = 0;
	int c;

	make_tables(&tables, allowed, stop_at_word);
	optind = 0; /* glibc: start again, whatever was read before */
	opterr = 0;
	while ((c = getopt_long(argc, argv, tables.letters, tables.longs, NULL)) != -1) {
		const char *word = optind > 0 ? argv[optind - 1] : "";
		int id = id_of(c, allowed);
		enum hv_rc rc;

		if (id < 0) {
			if (c == ':')
				*ret_why = hv_xasprintf("the option '%s' needs a value", word);
			else if (optopt && optopt < 256)
				*ret_why = hv_xasprintf("there is no option '-%c' here", optopt);
			else if (optopt)
				*ret_why = hv_xasprintf("the option '%s' takes no value", word);
			else
				*ret_why = hv_xasprintf(
				    "there is no option '%s' here, or it is short for several",
				    word);
			return HV_USAGE;
		}
		rc = store(o, &rows[id], optarg, ret_why);
		if (rc != HV_OK)
			return rc;
		o->given |= (option_set)1 << id;
	}
	for (int i = optind; i < argc; i++)
		args[n++] = argv[i];
	*ret_n = n;
	return HV_OK;
}

void options_describe(option_set set, const struct out *o)
{
	for (int id = 0; id < N_OPTIONS; id++) {
		const struct option_row *row = &rows[id];
		char letter[8] = "    ", name[64];

		if (!(set & ((option_set)1 << id)))
			continue;
		if (row->letter)
			snprintf(letter, sizeof(letter), "-%c, ", row->letter);
		snprintf(name, sizeof(name), "--%s%s%s", row->name, row->metavar ? " " : "",
			 row->metavar ? row->metavar : "");
		fprintf(o->file, "  %s%-24s ", letter, name);
		fprintf(o->file, "%s\n", row->help);
	}
}
