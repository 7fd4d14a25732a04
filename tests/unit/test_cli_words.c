/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The command line: what is understood, and what is refused with which words. No daemon is asked.
 */
#include "cli/commands.h"
#include "tests/unit/cli_harness.h"

#include <criterion/criterion.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

TestSuite(cli_words, .timeout = 30);

/* A request would be a mistake: these must fail before one is sent. */
static enum server_act never(const Hv__ControlRequest *request, unsigned n,
			     Hv__ControlResponse *ret)
{
	return SERVER_GARBLE;
}

static void refused(const char *line, int status, const char *cause, const char *next)
{
	static const struct server server = {.answer = never};
	struct run *r = cli_run(&server, line);

	cr_assert_eq(r->status, status, "%s: exit status %d, not %d\n%s", line, r->status, status,
		     r->err);
	cr_assert_eq(r->requests, 0, "%s: clusterd was asked", line);
	must_have(r->err, "hvcluster: ");
	must_have(r->err, cause);
	must_have(r->err, "\n  try: ");
	must_have(r->err, next);
	cr_assert_str_empty(r->out);
}

Test(cli_words, an_unknown_command_says_which_was_probably_meant)
{
	refused("hvcluster statu", 2, "there is no command 'statu'", "try: hvcluster status");
	refused("hvcluster vm strat web1", 2, "there is no command 'vm strat'",
		"try: hvcluster vm start");
	refused("hvcluster frobnicate", 2, "there is no command 'frobnicate'",
		"try: hvcluster help");
	refused("hvcluster vm frobnicate", 2, "there is no command 'vm frobnicate'",
		"try: hvcluster help vm");
	refused("hvcluster nodes list", 2, "there is no command 'nodes'",
		"try: hvcluster node list");
}

Test(cli_words, missing_and_superfluous_words_are_named)
{
	refused("hvcluster vm start", 2, "'vm start' needs VM", "hvcluster help vm start");
	refused("hvcluster node reboot", 2, "'node reboot' needs NODE",
		"hvcluster help node reboot");
	refused("hvcluster disarm now", 2, "'disarm' does not take 'now'", "hvcluster help disarm");
	refused("hvcluster fence node host1", 2, "host1 is switched off at once",
		"hvcluster fence node host1 --yes");
	refused("hvcluster fence add host1", 2, "which node is it of",
		"hvcluster fence add NODE DEVICE --agent AGENT");
	refused("hvcluster status now", 2, "'status' does not take 'now'", "hvcluster help status");
	refused("hvcluster set a b c", 2, "'set' does not take 'c'", "hvcluster help set");
	refused("hvcluster vm set web1", 2, "'vm set' needs VM KEY=VALUE...",
		"hvcluster help vm set");
	refused("hvcluster vm lock web1", 2, "'vm lock' needs VM REASON", "hvcluster help vm lock");
}

Test(cli_words, an_attribute_is_a_key_and_a_value)
{
	refused("hvcluster vm set web1 failback", 7, "'vm set' takes KEY=VALUE, not 'failback'",
		"hvcluster help vm set");
	refused("hvcluster vm set web1 priority=1 =2", 7, "not '=2'", "hvcluster help vm set");
	refused("hvcluster vm set ../web1 priority=1", 7, "is not the name of a VM", "letters");
}

Test(cli_words, options_that_a_command_does_not_have_are_refused)
{
	refused("hvcluster vm list --wait", 2, "there is no option '--wait' here",
		"hvcluster help vm list");
	refused("hvcluster status -x", 2, "there is no option '-x' here", "hvcluster help status");
	refused("hvcluster vm start web1 --on", 2, "'--on' needs a value",
		"hvcluster help vm start");
	refused("hvcluster node drain host1 --wait=now", 2, "'--wait=now' takes no value",
		"hvcluster help node drain");
	refused("hvcluster --frob status", 2, "there is no option '--frob'", "hvcluster help");
	refused("hvcluster status --color blue", 2, "there is no --color 'blue'", "--color auto");
	refused("hvcluster node drain host1 --timeout 5", 2, "--timeout says how long to --wait",
		"hvcluster help node drain");
	refused("hvcluster vm stop web1 --force --timeout 5", 2, "--force does not wait",
		"hvcluster help vm stop");
}

Test(cli_words, numbers_must_be_whole_and_in_their_range)
{
	refused("hvcluster node drain host1 --wait --timeout 0", 7,
		"--timeout takes a whole number from 1", "help node drain");
	refused("hvcluster node drain host1 --wait --timeout ten", 7, "not 'ten'",
		"help node drain");
	refused("hvcluster node drain host1 --wait --timeout 5s", 7, "not '5s'", "help node drain");
	refused("hvcluster node drain host1 --timeout 99999999999999999999", 7, "--timeout",
		"help node drain");
	refused("hvcluster fence add h d --agent fence_x --level 9", 7,
		"--level takes a whole number from 1 to 8", "help");
	refused("hvcluster events -n -1", 7, "--lines takes a whole number", "help events");
	refused("hvcluster report failover last", 7, "'last' is not the number of a failover",
		"report failover");
	refused("hvcluster op show x", 7, "'x' is not the number of an operation", "op list");
}

Test(cli_words, names_that_cannot_be_are_not_asked_for)
{
	refused("hvcluster vm start a/b", 7, "'a/b' is not the name of a VM", "letters");
	refused("hvcluster node drain -- -host", 7, "'-host' is not the name of a node", "letters");
	refused("hvcluster vm start web1 --on ho:st", 7, "'ho:st' is not the name of a node",
		"letters");
	refused("hvcluster fence remove host1 i@pmi", 7,
		"'i@pmi' is not the name of a fence device", "letters");
	refused("hvcluster vm add /dev/null --name a=b", 7, "'a=b' is not the name of a VM",
		"letters");
}

/* ---------------------------------------------------------------- files */

static char path[64];

static const char *file(const char *text, size_t len)
{
	int fd;

	strcpy(path, "/tmp/hv-cli-XXXXXX");
	fd = mkstemp(path);
	cr_assert(fd >= 0);
	cr_assert_eq(write(fd, text, len), (ssize_t)len);
	close(fd);
	return path;
}

static void refused_file(const char *format, const char *with, int status, const char *cause,
			 const char *next)
{
	char line[256];

	snprintf(line, sizeof(line), "hvcluster %s%s", format, with);
	refused(line, status, cause, next);
}

Test(cli_words, an_xml_file_must_be_a_readable_file_of_bounded_size)
{
	char *large = calloc(1, HV_XML_MAX + 1);

	memset(large, ' ', HV_XML_MAX + 1);
	refused("hvcluster vm add /nowhere/web1.xml", 1,
		"/nowhere/web1.xml cannot be opened: No such file", "help vm add");
	refused("hvcluster vm add /tmp", 7, "/tmp is a directory, not a file", "help vm add");
	refused("hvcluster vm add /dev/zero", 7, "/dev/zero is a device", "help vm add");
	refused("hvcluster vm add -", 7, "empty", "help vm add");
	refused_file("vm add ", file("", 0), 7, "is empty: it has no domain XML", "help vm add");
	unlink(path);
	refused_file("vm add ", file("<domain/>\0\0", 11), 7, "zero bytes", "help vm add");
	unlink(path);
	refused_file("vm add ", file(large, HV_XML_MAX + 1), 7, "is larger than 65536 bytes",
		     "help vm add");
	unlink(path);
	free(large);
}

Test(cli_words, a_secret_is_one_line_and_never_on_the_command_line)
{
	refused("hvcluster fence add h d --agent fence_x -o password=hunter2", 7,
		"can be seen by every user", "--secret-file");
	refused("hvcluster fence add h d --agent fence_x -o snmp_priv_passwd=x", 7,
		"can be seen by every user", "--secret-file");
	refused("hvcluster fence add h d --agent fence_x --secret-file password", 7,
		"takes KEY=FILE", "--secret-file");
	refused("hvcluster fence add h d --agent fence_x --secret-file password=/nowhere", 1,
		"cannot be opened", "--secret-stdin");
	refused("hvcluster fence add h d --agent fence_x --secret-stdin password", 7, "empty",
		"--secret-file");
	refused("hvcluster fence add h d --agent fence_x --secret-stdin a --secret-stdin b", 2,
		"one secret only", "--secret-file");
	refused_file("fence add h d --agent fence_x --secret-file password=", file("one\ntwo\n", 8),
		     7, "more than one line", "try:");
	unlink(path);
}

Test(cli_words, a_fence_device_needs_an_agent_and_options_a_key)
{
	refused("hvcluster fence add host1 ipmi", 2, "--agent is missing", "fence_");
	refused("hvcluster fence add h d --agent fence_x -o ip", 7, "-o takes KEY=VALUE, not 'ip'",
		"-o ip=");
	refused("hvcluster fence add h d --agent fence_x -o =1", 7, "-o takes KEY=VALUE", "-o ip=");
	refused("hvcluster fence confirm host1", 2, "no terminal to ask on",
		"hvcluster fence confirm host1 --yes");
}

/* ---------------------------------------------------------------- help */

static struct run *told(const char *line, int status)
{
	static const struct server nobody = {};
	struct run *r = cli_run(&nobody, line);

	cr_assert_eq(r->status, status, "%s: %d\n%s%s", line, r->status, r->out, r->err);
	return r;
}

Test(cli_words, help_knows_every_command)
{
	struct run *r = told("hvcluster help", 0);

	for (size_t i = 0; i < command_count(); i++) {
		_cleanup_free_ char *title = command_title(command_at(i));

		must_have(r->out, title);
		must_have(r->out, command_at(i)->summary);
	}
}

Test(cli_words, help_of_a_command_names_its_options)
{
	struct run *r = told("hvcluster help vm stop", 0);

	must_have(r->out, "usage: hvcluster vm stop VM");
	must_have(r->out, "--timeout S");
	must_have(r->out, "--force");
	must_lack(r->out, "--on");
	must_have(told("hvcluster vm stop --help", 0)->out, "usage: hvcluster vm stop VM");
	must_have(told("hvcluster vm --help", 0)->out, "vm explain VM");
}

Test(cli_words, without_a_command_there_is_help_and_a_failure)
{
	must_have(told("hvcluster", 2)->err, "usage: hvcluster");
	must_have(told("hvcluster vm", 2)->err, "vm explain VM");
	must_have(told("hvcluster --version", 0)->out, "hvcluster ");
}

Test(cli_words, options_may_stand_anywhere_and_be_shortened)
{
	struct options o = {};
	char *argv[] = {(char *)"add",	     (char *)"-o",   (char *)"a=1",   (char *)"host1",
			(char *)"--agent=x", (char *)"ipmi", (char *)"-ob=2", (char *)"--lev",
			(char *)"3",	     (char *)"--",   (char *)"-z",    NULL};
	const char *args[12];
	char *why = NULL;
	size_t n;

	cr_assert_eq(options_parse(&o, OPTION(OPTION) | OPTION(AGENT) | OPTION(LEVEL), false, 11,
				   argv, args, &n, &why),
		     HV_OK);
	cr_assert_eq(n, 3);
	cr_assert_str_eq(args[0], "host1");
	cr_assert_str_eq(args[2], "-z");
	cr_assert_eq(o.option.count, 2);
	cr_assert_str_eq(o.option.items[1], "b=2");
	cr_assert_str_eq(o.agent, "x");
	cr_assert_eq(o.level, 3);
}

Test(cli_words, whole_numbers_only)
{
	int64_t n;

	cr_assert(options_number("-5", -10, 10, &n) && n == -5);
	cr_assert(!options_number("", 0, 10, &n));
	cr_assert(!options_number(" 5", 0, 10, &n));
	cr_assert(!options_number("+5", 0, 10, &n));
	cr_assert(!options_number("0x5", 0, 10, &n));
	cr_assert(!options_number("11", 0, 10, &n));
	cr_assert(!options_number("9223372036854775808", 0, INT64_MAX, &n));
}
