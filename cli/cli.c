/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "config.h"

#include "cli/commands.h"
#include "cli/format.h"

#include <errno.h>
#include <jansson.h>
#include <stdarg.h>
#include <string.h>
#include <time.h>

#define COMMON (OPTION(JSON) | OPTION(COLOR) | OPTION(HELP))

static uint64_t clock_ms(clockid_t id)
{
	struct timespec t;

	clock_gettime(id, &t);
	return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

uint64_t cli_wall_ms(void)
{
	return clock_ms(CLOCK_REALTIME);
}

uint64_t cli_monotonic_ms(void)
{
	return clock_ms(CLOCK_MONOTONIC);
}

void response_freep(Hv__ControlResponse **response)
{
	if (*response)
		hv__control_response__free_unpacked(*response, NULL);
}

/* ---------------------------------------------------------------- saying what went wrong */

static void error_as_json(struct cli *cli, enum hv_rc rc, const char *text, const char *hint)
{
	json_t *object = json_pack("{s:{s:s,s:i,s:s,s:s}}", "error", "code", hv_rc_name(rc),
				   "status", hv_rc_exit_status(rc), "text", text, "hint", hint);

	hv_assert(object);
	json_dumpf(object, cli->out.file, JSON_COMPACT | JSON_ENSURE_ASCII);
	fputc('\n', cli->out.file);
	json_decref(object);
}

enum hv_rc cli_fail(struct cli *cli, enum hv_rc rc, const char *hint, const char *fmt, ...)
{
	_cleanup_free_ char *raw = NULL, *text = NULL,
			    *clean_hint = format_clean(hint ? hint : "", false);
	va_list ap;

	va_start(ap, fmt);
	raw = hv_xvasprintf(fmt, ap);
	va_end(ap);
	text = format_clean(raw, true);
	fflush(cli->out.file); /* what was shown before comes before */
	out_text(&cli->err, RED, "hvcluster:");
	fprintf(cli->err.file, " %s\n", text);
	if (*clean_hint)
		fprintf(cli->err.file, "  try: %s\n", clean_hint);
	if (cli->options.json)
		error_as_json(cli, rc, text, clean_hint);
	return rc;
}

void cli_note(struct cli *cli, const char *fmt, ...)
{
	_cleanup_free_ char *text = NULL;
	va_list ap;

	va_start(ap, fmt);
	text = hv_xvasprintf(fmt, ap);
	va_end(ap);
	out_text(&cli->err, YELLOW, "note: ");
	out_text(&cli->err, PLAIN, text);
	fputc('\n', cli->err.file);
}

enum hv_rc cli_check_name(struct cli *cli, const char *what, const char *name)
{
	if (hv_name_valid(name))
		return HV_OK;
	return cli_fail(
	    cli, HV_BAD_INPUT,
	    "letters, digits, '.', '_' and '-', the first a letter or digit, 63 at most",
	    "'%.80s' is not the name of a %s", name, what);
}

/* ---------------------------------------------------------------- the command line */

static enum hv_rc set_colours(struct cli *cli)
{
	static const char *const words[] = {"auto", "always", "never"};
	const char *given = cli->options.color;

	for (unsigned i = 0; given && i < ARRAY_SIZE(words); i++) {
		if (strcmp(given, words[i]) != 0)
			continue;
		out_init(&cli->out, cli->out.file, (enum colour_when)i);
		out_init(&cli->err, cli->err.file, (enum colour_when)i);
		return HV_OK;
	}
	return given ? cli_fail(cli, HV_USAGE, "--color auto, --color always or --color never",
				"there is no --color '%s'", given)
		     : HV_OK;
}

static enum hv_rc unknown_command(struct cli *cli, const char *const *words, size_t n)
{
	_cleanup_free_ char *suggestion = NULL, *hint = NULL;

	if (n == 1 && command_is_group(words[0])) {
		help_group(&cli->err, words[0]);
		return HV_USAGE;
	}
	suggestion = command_suggest(words, n);
	hint = suggestion		    ? hv_xasprintf("hvcluster %s", suggestion)
	       : command_is_group(words[0]) ? hv_xasprintf("hvcluster help %s", words[0])
					    : hv_xstrdup("hvcluster help");
	if (n > 1 && command_is_group(words[0]))
		return cli_fail(cli, HV_USAGE, hint, "there is no command '%s %s'", words[0],
				words[1]);
	return cli_fail(cli, HV_USAGE, hint, "there is no command '%s'", words[0]);
}

/* The words after the command's own: how many are right? */
static enum hv_rc check_args(struct cli *cli, const struct command *c)
{
	_cleanup_free_ char *title = command_title(c);
	_cleanup_free_ char *hint = hv_xasprintf("hvcluster help %s", title);

	if (cli->n_args < c->min_args)
		return cli_fail(cli, HV_USAGE, hint, "'%s' needs %s", title, c->words);
	if (cli->n_args > c->max_args)
		return cli_fail(cli, HV_USAGE, hint, "'%s' does not take '%s'", title,
				cli->args[c->max_args]);
	return HV_OK;
}

#ifndef HV_STATE_DIR
#define HV_STATE_DIR "/var/lib/hvcluster"
#endif

const char *cli_state_dir(void)
{
	const char *given = getenv("HVCLUSTER_STATE_DIR");

	return given && *given ? given : HV_STATE_DIR;
}

static enum hv_rc run_command(struct cli *cli, const struct command *c, int argc, char **argv)
{
	const char **words = hv_xcalloc((size_t)argc + 1, sizeof(*words));
	_cleanup_free_ char *why = NULL, *title = command_title(c),
			    *hint = hv_xasprintf("hvcluster help %s", title);
	enum hv_rc rc;

	rc = options_parse(&cli->options, c->options | COMMON, false, argc, argv, words,
			   &cli->n_args, &why);
	for (size_t i = 0; i < cli->n_args && i < CLI_ARGS_MAX; i++)
		cli->args[i] = words[i];
	free(words);
	if (rc != HV_OK)
		return cli_fail(cli, rc, hint, "%s", why);
	rc = set_colours(cli);
	if (rc != HV_OK)
		return rc;
	if (cli->options.help) {
		help_command(&cli->out, c);
		return HV_OK;
	}
	if (cli->options.json && !(c->options & OPTION(JSON)))
		cli->options.json = false;
	if ((cli->options.given & OPTION(TIMEOUT)) && (c->options & OPTION(WAIT)) &&
	    !cli->options.wait)
		return cli_fail(cli, HV_USAGE, hint, "--timeout says how long to --wait");
	cli->command = c;
	rc = check_args(cli, c);
	return rc == HV_OK ? c->run(cli) : rc;
}

static bool asks_version(int argc, char **argv)
{
	return argc == 2 && (strcmp(argv[1], "--version") == 0 || strcmp(argv[1], "-V") == 0);
}

static enum hv_rc run(struct cli *cli, int argc, char **argv)
{
	_cleanup_free_ const char **words = hv_xcalloc((size_t)argc + 1, sizeof(*words));
	_cleanup_free_ char *why = NULL;
	const struct command *c;
	size_t n = 0, used = 0;
	enum hv_rc rc;

	if (asks_version(argc, argv)) {
		fprintf(cli->out.file, "hvcluster %s\n", PACKAGE_VERSION);
		return HV_OK;
	}
	rc = options_parse(&cli->options, COMMON, true, argc, argv, words, &n, &why);
	if (rc != HV_OK)
		return cli_fail(cli, rc, "hvcluster help", "%s", why);
	rc = set_colours(cli);
	if (rc != HV_OK)
		return rc;
	if (n == 0) {
		help_program(cli->options.help ? &cli->out : &cli->err);
		return cli->options.help ? HV_OK : HV_USAGE;
	}
	c = command_find(words, n, &used);
	if (c) /* what getopt takes for the program's name is the command's last word */
		return run_command(cli, c, (int)(n - used) + 1,
				   argv + (argc - (int)(n - used) - 1));
	if (command_is_group(words[0]) &&
	    (cli->options.help ||
	     (n == 2 && (strcmp(words[1], "--help") == 0 || strcmp(words[1], "-h") == 0)))) {
		help_group(&cli->out, words[0]);
		return HV_OK;
	}
	return unknown_command(cli, words, n);
}

enum hv_rc cmd_help(struct cli *cli)
{
	size_t used;
	const struct command *c;

	if (cli->n_args == 0) {
		help_program(&cli->out);
		return HV_OK;
	}
	c = command_find(cli->args, cli->n_args, &used);
	if (c && used == cli->n_args)
		help_command(&cli->out, c);
	else if (cli->n_args == 1 && command_is_group(cli->args[0]))
		help_group(&cli->out, cli->args[0]);
	else
		return unknown_command(cli, cli->args, cli->n_args);
	return HV_OK;
}

int cli_main(int argc, char **argv, const char *service, FILE *in, FILE *out, FILE *err)
{
	struct cli cli = {.service = service, .in = in};
	enum hv_rc rc;

	client_init(&cli.client);
	out_init(&cli.out, out, COLOUR_AUTO);
	out_init(&cli.err, err, COLOUR_AUTO);
	rc = run(&cli, argc, argv);
	client_done(&cli.client);
	if (fflush(out) != 0 || ferror(out))
		rc = cli_fail(&cli, HV_IO, NULL, "the output could not be written: %s",
			      strerror(errno));
	return hv_rc_exit_status(rc);
}
