/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "cli/cli.h"
#include "cli/file.h"
#include "cli/format.h"

#include <jansson.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

/* ---------------------------------------------------------------- fence add */

/* The message's lists: copies of what was given, so that the secrets can be overwritten. */
struct device {
	Hv__FenceAdd add;
	char *map_text;
	Hv__KeyValue maps[HV_MAX_NODES], *map[HV_MAX_NODES];
	Hv__KeyValue *options[HV_MAX_DEVICE_OPTIONS];
	Hv__KeyValue *secrets[HV_MAX_DEVICE_OPTIONS];
};

static void pair_free(Hv__KeyValue *pair)
{
	free(pair->key);
	secret_free(pair->value);
	free(pair);
}

static void device_done(struct device *d)
{
	for (size_t i = 0; i < d->add.n_options; i++)
		pair_free(d->options[i]);
	for (size_t i = 0; i < d->add.n_secrets; i++)
		pair_free(d->secrets[i]);
	free(d->map_text);
}

/* Takes `value` over. */
static void add_pair(Hv__KeyValue **list, size_t *n, const char *key, size_t key_len, char *value)
{
	Hv__KeyValue *pair = hv_xcalloc(1, sizeof(*pair));

	hv__key_value__init(pair);
	pair->key = hv_xstrndup(key, key_len);
	pair->value = value;
	list[(*n)++] = pair;
}

/* Long options of fence agents are written with '-' on the command line and '_' on standard input.
 */
static bool is_key(const char *key, size_t len)
{
	if (len == 0 || len > HV_NAME_MAX)
		return false;
	for (size_t i = 0; i < len; i++) {
		char c = key[i];

		if (!((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
		      c == '_' || c == '-'))
			return false;
	}
	return true;
}

/* What fence agents call their secrets: password, passwd, snmp_priv_passwd, api_token ...
 * "password_script" is a path. */
static bool names_secret(const char *given)
{
	static const char *const marks[] = {"passw",	 "passphrase", "secret", "token",
					    "community", "priv_key",   "hmac"};
	_cleanup_free_ char *key = hv_xstrndup(given, strcspn(given, "="));

	for (size_t i = 0; i < ARRAY_SIZE(marks); i++) {
		if (strstr(key, marks[i]) && !strstr(key, "script"))
			return true;
	}
	return false;
}

static enum hv_rc add_option(struct cli *cli, struct device *d, const char *given)
{
	size_t len = strcspn(given, "=");
	const char *value = given + len + 1;

	if (!given[len] || !is_key(given, len))
		return cli_fail(cli, HV_BAD_INPUT, "-o ip=10.0.9.1",
				"-o takes KEY=VALUE, not '%.80s'", given);
	if (names_secret(given))
		return cli_fail(
		    cli, HV_BAD_INPUT, "--secret-file password=FILE, or --secret-stdin password",
		    "a password on the command line can be seen by every user of this host");
	if (strlen(value) > HV_OPTION_MAX)
		return cli_fail(cli, HV_TOO_LARGE, NULL,
				"the value of '%.*s' is longer than %d bytes", (int)len, given,
				HV_OPTION_MAX);
	if (strpbrk(value, "\r\n"))
		return cli_fail(cli, HV_BAD_INPUT, NULL,
				"the value of '%.*s' has a line's end in it", (int)len, given);
	add_pair(d->options, &d->add.n_options, given, len, hv_xstrdup(value));
	return HV_OK;
}

static enum hv_rc add_secret_file(struct cli *cli, struct device *d, const char *given)
{
	_cleanup_free_ char *warning = NULL, *why = NULL;
	size_t len = strcspn(given, "=");
	char *secret;
	enum hv_rc rc;

	if (!given[len] || !is_key(given, len))
		return cli_fail(cli, HV_BAD_INPUT, "--secret-file password=/root/bmc1",
				"--secret-file takes KEY=FILE, not '%.80s'", given);
	rc = secret_from_file(given + len + 1, &secret, &warning, &why);
	if (rc != HV_OK)
		return cli_fail(cli, rc, "ls -l, or --secret-stdin KEY to type it", "%s", why);
	if (warning)
		cli_note(cli, "%s", warning);
	add_pair(d->secrets, &d->add.n_secrets, given, len, secret);
	return HV_OK;
}

static enum hv_rc add_secret_stdin(struct cli *cli, struct device *d, const char *key)
{
	_cleanup_free_ char *prompt = hv_xasprintf("%s of %s: ", key, cli->args[cli->n_args - 1]),
			    *why = NULL;
	char *secret;
	enum hv_rc rc;

	if (!is_key(key, strlen(key)))
		return cli_fail(cli, HV_BAD_INPUT, "--secret-stdin password",
				"--secret-stdin takes a KEY, not '%.80s'", key);
	rc = secret_from_stream(cli->in, cli->err.file, prompt, &secret, &why);
	if (rc != HV_OK)
		return cli_fail(cli, rc, "--secret-file KEY=FILE", "%s", why);
	add_pair(d->secrets, &d->add.n_secrets, key, strlen(key), secret);
	return HV_OK;
}

static enum hv_rc read_device(struct cli *cli, struct device *d)
{
	const struct options *o = &cli->options;
	enum hv_rc rc = HV_OK;

	if (o->secret_stdin.count > 1 && !isatty(fileno(cli->in)))
		return cli_fail(cli, HV_USAGE, "--secret-file KEY=FILE for the others",
				"standard input holds one secret only");
	if (o->secret_file.count + o->secret_stdin.count > HV_MAX_DEVICE_OPTIONS)
		return cli_fail(cli, HV_TOO_LARGE, NULL, "more than %d secrets",
				HV_MAX_DEVICE_OPTIONS);
	for (size_t i = 0; rc == HV_OK && i < o->option.count; i++)
		rc = add_option(cli, d, o->option.items[i]);
	for (size_t i = 0; rc == HV_OK && i < o->secret_file.count; i++)
		rc = add_secret_file(cli, d, o->secret_file.items[i]);
	for (size_t i = 0; rc == HV_OK && i < o->secret_stdin.count; i++)
		rc = add_secret_stdin(cli, d, o->secret_stdin.items[i]);
	return rc;
}

/* NODE and, if given, DEVICE */
static enum hv_rc check_names(struct cli *cli)
{
	enum hv_rc rc = cli->n_args > 0 ? cli_check_name(cli, "node", cli->args[0]) : HV_OK;

	if (rc == HV_OK && cli->n_args > 1)
		rc = cli_check_name(cli, "fence device", cli->args[1]);
	return rc;
}

static enum hv_rc device_command(struct cli *cli, const char *node, const char *device,
				 Hv__Command *command, const char *done)
{
	_cleanup_free_ char *subject =
	    hv_xasprintf("fence device %s%s%s", device, *node ? " of " : "", node);
	_cleanup_free_ char *look =
	    hv_xasprintf("hvcluster fence list%s%s", *node ? " " : "", node);
	const struct request_words words = {subject, done, look, NULL, NULL};

	return cli_command(cli, command, &words);
}

/* NODE=PLUG,NODE=PLUG */
static enum hv_rc read_map(struct cli *cli, struct device *d)
{
	char *at = NULL;

	d->map_text = hv_xstrdup(cli->options.map);
	d->add.map = d->map;
	for (char *word = strtok_r(d->map_text, ",", &at); word; word = strtok_r(NULL, ",", &at)) {
		char *plug = strchr(word, '=');
		enum hv_rc rc;

		if (!plug || !plug[1])
			return cli_fail(cli, HV_BAD_INPUT, "--map host1=3,host2=4",
					"--map takes NODE=PLUG,NODE=PLUG, not '%.80s'", word);
		if (d->add.n_map == HV_MAX_NODES)
			return cli_fail(cli, HV_TOO_LARGE, NULL, "more than %d nodes in --map",
					HV_MAX_NODES);
		*plug++ = '\0';
		rc = cli_check_name(cli, "node", word);
		if (rc != HV_OK)
			return rc;
		hv__key_value__init(&d->maps[d->add.n_map]);
		d->maps[d->add.n_map].key = word;
		d->maps[d->add.n_map].value = plug;
		d->map[d->add.n_map] = &d->maps[d->add.n_map];
		d->add.n_map++;
	}
	return d->add.n_map
		   ? HV_OK
		   : cli_fail(cli, HV_BAD_INPUT, "--map host1=3,host2=4", "--map names no node");
}

static enum hv_rc read_proof(struct cli *cli, Hv__FenceAdd *add)
{
	const char *proof = cli->options.proof;

	if (!proof)
		proof = strcmp(cli->options.agent, "fence_sbd") == 0 ? "waited" : "seen";
	if (strcmp(proof, "seen") != 0 && strcmp(proof, "waited") != 0)
		return cli_fail(cli, HV_BAD_INPUT, "hvcluster help fence add",
				"--proof is seen or waited, not '%.80s'", proof);
	add->waited = strcmp(proof, "waited") == 0;
	return HV_OK;
}

/* "seen": true; "any", or `preset` when it is not given: false. */
static enum hv_rc read_require(struct cli *cli, const char *preset, protobuf_c_boolean *ret)
{
	const char *require = cli->options.require ? cli->options.require : preset;

	if (!require || (strcmp(require, "seen") != 0 && strcmp(require, "any") != 0))
		return cli_fail(cli, HV_BAD_INPUT, "hvcluster help fence level",
				require ? "--require is seen or any, not '%.80s'"
					: "what shall it demand? --require is missing",
				require);
	*ret = strcmp(require, "seen") == 0;
	return HV_OK;
}

/* What is said of the device itself. */
static enum hv_rc read_attributes(struct cli *cli, struct device *d)
{
	const struct options *o = &cli->options;

	if (cli->n_args == 2 && o->map)
		return cli_fail(cli, HV_USAGE, "hvcluster fence add DEVICE --map NODE=PLUG,...",
				"--map names the nodes: no other is given");
	if (cli->n_args == 1 && !o->map)
		return cli_fail(cli, HV_USAGE, "hvcluster fence add NODE DEVICE --agent AGENT",
				"which node is it of, or, with --map, which nodes?");
	if (!o->agent)
		return cli_fail(cli, HV_USAGE, "ls /usr/sbin/fence_*, and --agent with one of them",
				"which fence agent? --agent is missing");
	d->add.node = (char *)(o->map ? "" : cli->args[0]);
	d->add.device = (char *)cli->args[cli->n_args - 1];
	d->add.agent = (char *)o->agent;
	d->add.level = o->level ? o->level : 1;
	d->add.timeout_s = o->agent_timeout_s;
	d->add.delay_s = o->delay_s;
	d->add.delay_random_s = o->delay_random_s;
	d->add.unfence = o->unfence;
	if (o->map && read_map(cli, d) != HV_OK)
		return HV_BAD_INPUT;
	if (read_require(cli, "any", &d->add.require_seen) != HV_OK)
		return HV_BAD_INPUT;
	return read_proof(cli, &d->add);
}

enum hv_rc cmd_fence_add(struct cli *cli)
{
	_cleanup_(device_done) struct device d = {.add = HV__FENCE_ADD__INIT};
	Hv__Command command = HV__COMMAND__INIT;
	enum hv_rc rc = check_names(cli);

	if (rc == HV_OK)
		rc = read_attributes(cli, &d);
	if (rc != HV_OK)
		return rc;
	prctl(PR_SET_DUMPABLE,
	      0); /* from here on secrets are in memory: none may get into a core file */
	rc = read_device(cli, &d);
	if (rc != HV_OK)
		return rc;
	d.add.options = d.options;
	d.add.secrets = d.secrets;
	command.body_case = HV__COMMAND__BODY_FENCE_ADD;
	command.fence_add = &d.add;
	rc = device_command(cli, d.add.node, d.add.device, &command, "added");
	if (rc == HV_OK && !cli->options.json)
		out_printf(&cli->out, DIM, "  see if it works: hvcluster fence test %s\n",
			   cli->options.map ? "--all" : cli->args[0]);
	return rc;
}

enum hv_rc cmd_fence_level(struct cli *cli)
{
	const char *level = cli->args[1];
	_cleanup_free_ char *subject = hv_xasprintf("fence level %s of %s", level, cli->args[0]);
	_cleanup_free_ char *look = hv_xasprintf("hvcluster fence list %s", cli->args[0]);
	const struct request_words words = {subject, "set", look, NULL, NULL};
	Hv__Command command = HV__COMMAND__INIT;
	Hv__FenceLevel set = HV__FENCE_LEVEL__INIT;
	int64_t number = HV_MAX_FENCE_LEVELS + 1;
	enum hv_rc rc = cli_check_name(cli, "node", cli->args[0]);

	if (rc == HV_OK)
		rc = read_require(cli, NULL, &set.seen);
	if (rc != HV_OK)
		return rc;
	if (strcmp(level, "watchdog") != 0 &&
	    !options_number(level, 1, HV_MAX_FENCE_LEVELS, &number))
		return cli_fail(cli, HV_BAD_INPUT, "hvcluster fence list",
				"a level is 1 to %d, or 'watchdog', not '%.80s'",
				HV_MAX_FENCE_LEVELS, level);
	set.node = (char *)cli->args[0];
	set.level = (uint32_t)number;
	command.body_case = HV__COMMAND__BODY_FENCE_LEVEL;
	command.fence_level = &set;
	return cli_command(cli, &command, &words);
}

enum hv_rc cmd_fence_remove(struct cli *cli)
{
	Hv__Command command = HV__COMMAND__INIT;
	Hv__FenceRemove remove = HV__FENCE_REMOVE__INIT;
	enum hv_rc rc = check_names(cli);

	if (rc != HV_OK)
		return rc;
	remove.node = (char *)cli->args[0];
	remove.device = (char *)cli->args[1];
	command.body_case = HV__COMMAND__BODY_FENCE_REMOVE;
	command.fence_remove = &remove;
	return device_command(cli, cli->args[0], cli->args[1], &command, "removed");
}

/* ---------------------------------------------------------------- fence list */

static enum hv_rc ask_devices(struct cli *cli, Hv__ControlResponse **ret)
{
	Hv__ControlRequest request = HV__CONTROL_REQUEST__INIT;
	Hv__FenceListRequest list = HV__FENCE_LIST_REQUEST__INIT;

	list.node = (char *)(cli->n_args ? cli->args[0] : "");
	request.body_case = HV__CONTROL_REQUEST__BODY_FENCE_LIST;
	request.fence_list = &list;
	return cli_ask(cli, &request, HV__CONTROL_RESPONSE__BODY_FENCE_LIST, ret);
}

enum hv_rc cmd_fence_list(struct cli *cli)
{
	_cleanup_response_ Hv__ControlResponse *response = NULL;
	const Hv__FenceListResponse *r;
	enum hv_rc rc = check_names(cli);

	if (rc == HV_OK)
		rc = ask_devices(cli, &response);
	if (rc != HV_OK)
		return rc;
	r = response->fence_list;
	if (cli->options.json) {
		json_show(cli, response, json_of(&r->base), false);
		return HV_OK;
	}
	show_stale(cli, response);
	show_devices(cli, r->devices, r->n_devices, 0);
	if (!r->n_devices && !r->n_watchdogs)
		out_printf(&cli->out, PLAIN,
			   "No fence devices. Add one: hvcluster help fence add\n");
	for (size_t i = 0; i < r->n_watchdogs; i++)
		out_printf(&cli->out, PLAIN, "%s\n", r->watchdogs[i]);
	for (size_t i = 0; i < r->n_unprotected; i++)
		out_printf(&cli->out, RED,
			   "%s has no fence device: if it is lost, its VMs wait for 'hvcluster "
			   "fence confirm %s'\n",
			   r->unprotected[i], r->unprotected[i]);
	return HV_OK;
}

/* ---------------------------------------------------------------- fence test */

static enum hv_rc test_device(struct cli *cli, const char *node, const char *device)
{
	_cleanup_free_ char *subject = hv_xasprintf("fence device %s of %s", device, node);
	_cleanup_free_ char *look =
	    hv_xasprintf("hvcluster fence list %s, and the agent's options in its man page", node);
	const struct request_words words = {subject, "tested", look, NULL, NULL};
	Hv__Command command = HV__COMMAND__INIT;
	Hv__FenceTest test = HV__FENCE_TEST__INIT;

	test.node = (char *)node;
	test.device = (char *)device;
	command.body_case = HV__COMMAND__BODY_FENCE_TEST;
	command.fence_test = &test;
	return cli_command(cli, &command, &words);
}

/* All are tried, the first failure is the result. */
static enum hv_rc test_devices(struct cli *cli, const Hv__FenceListResponse *r)
{
	enum hv_rc rc, worst = HV_OK;
	size_t good = 0;

	for (size_t i = 0; i < r->n_devices; i++) {
		if (cli->options.all && !cli->options.json)
			out_printf(&cli->out, DIM, "%zu of %zu: ", i + 1, r->n_devices);
		fflush(cli->out.file);
		rc = test_device(cli, r->devices[i]->node, r->devices[i]->device);
		good += rc == HV_OK;
		if (worst == HV_OK)
			worst = rc;
	}
	if (cli->options.all && !cli->options.json)
		out_printf(&cli->out, good == r->n_devices ? GREEN : RED,
			   "%zu of %zu fence devices answer\n", good, r->n_devices);
	for (size_t i = 0; i < r->n_unprotected; i++)
		cli_note(cli, "%s has no fence device", r->unprotected[i]);
	return worst;
}

enum hv_rc cmd_fence_test(struct cli *cli)
{
	_cleanup_response_ Hv__ControlResponse *response = NULL;
	enum hv_rc rc = check_names(cli);

	cli->options.wait = true;
	if (rc != HV_OK)
		return rc;
	if (cli->options.all != (cli->n_args == 0))
		return cli_fail(cli, HV_USAGE, "hvcluster fence test NODE, or --all",
				cli->options.all ? "--all is every node: none is named"
						 : "which node's devices? or --all");
	if (cli->n_args > 1)
		return test_device(cli, cli->args[0], cli->args[1]);
	rc = ask_devices(cli, &response);
	if (rc != HV_OK)
		return rc;
	if (!response->fence_list->n_devices)
		return cli_fail(cli, HV_NOT_FOUND, "hvcluster help fence add",
				cli->n_args ? "node %s has no fence device"
					    : "there is no fence device%s",
				cli->n_args ? cli->args[0] : "");
	return test_devices(cli, response->fence_list);
}

/* ---------------------------------------------------------------- fence confirm */

static enum hv_rc ask_for_name(struct cli *cli, const char *node)
{
	char line[HV_NAME_MAX + 16];

	if (!isatty(fileno(cli->in))) {
		_cleanup_free_ char *hint = hv_xasprintf(
		    "hvcluster fence confirm %s --yes, when you have seen that it is off", node);

		return cli_fail(cli, HV_USAGE, hint, "there is no terminal to ask on");
	}
	out_printf(&cli->err, RED, "You are about to say that %s is switched off.\n", node);
	out_printf(&cli->err, PLAIN,
		   "The cluster then starts its VMs elsewhere, at once. If %s still runs, they run "
		   "twice and destroy\n"
		   "their disks. Look at the machine itself: being silent is not being off.\n"
		   "Type its name to go on: ",
		   node);
	fflush(cli->err.file);
	if (!fgets(line, sizeof(line), cli->in))
		line[0] = '\0';
	line[strcspn(line, "\n")] = '\0';
	if (strcmp(line, node) != 0)
		return cli_fail(cli, HV_CANCELLED, NULL, "that is not its name; nothing was done");
	return HV_OK;
}

enum hv_rc cmd_fence_confirm(struct cli *cli)
{
	_cleanup_free_ char *subject = hv_xasprintf("node %s", cli->args[0]);
	_cleanup_free_ char *look = hv_xasprintf("hvcluster node show %s", cli->args[0]);
	const struct request_words words = {subject, "confirmed to be off", look, NULL, NULL};
	Hv__Command command = HV__COMMAND__INIT;
	Hv__FenceConfirm confirm = HV__FENCE_CONFIRM__INIT;
	enum hv_rc rc = check_names(cli);

	if (rc == HV_OK && !cli->options.yes)
		rc = ask_for_name(cli, cli->args[0]);
	if (rc != HV_OK)
		return rc;
	confirm.node = (char *)cli->args[0];
	command.body_case = HV__COMMAND__BODY_FENCE_CONFIRM;
	command.fence_confirm = &confirm;
	return cli_command(cli, &command, &words);
}
