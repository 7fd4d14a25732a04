/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Operations by id, and the cluster's settings. */
#include "cli/cli.h"

#include <inttypes.h>

static enum hv_rc read_id(struct cli *cli, uint64_t *ret)
{
	int64_t id;

	if (!options_number(cli->args[0], 1, INT64_MAX, &id))
		return cli_fail(cli, HV_BAD_INPUT, "hvcluster op list",
				"'%s' is not the number of an operation", cli->args[0]);
	*ret = (uint64_t)id;
	return HV_OK;
}

static enum hv_rc show_op(struct cli *cli, uint64_t id)
{
	_cleanup_response_ Hv__ControlResponse *response = NULL;
	Hv__ControlRequest request = HV__CONTROL_REQUEST__INIT;
	Hv__OpRequest op = HV__OP_REQUEST__INIT;
	enum hv_rc rc;

	op.id = id;
	request.body_case = HV__CONTROL_REQUEST__BODY_OP;
	request.op = &op;
	rc = cli_ask(cli, &request, HV__CONTROL_RESPONSE__BODY_OP, &response);
	if (rc != HV_OK)
		return rc;
	if (cli->options.json) {
		json_show(cli, response, json_of(&response->op->base), false);
		return HV_OK;
	}
	show_stale(cli, response);
	show_ops(cli, &response->op, 1, 0);
	for (size_t i = 1; i < response->op->n_held_by; i++)
		out_printf(&cli->out, PLAIN, "  held by %s\n", response->op->held_by[i]);
	return HV_OK;
}

enum hv_rc cmd_op_show(struct cli *cli)
{
	_cleanup_response_ Hv__ControlResponse *response = NULL;
	_cleanup_free_ char *subject = NULL;
	uint64_t id = 0;
	enum hv_rc rc = read_id(cli, &id);

	if (rc != HV_OK)
		return rc;
	if (!cli->options.wait)
		return show_op(cli, id);
	subject = hv_xasprintf("operation %" PRIu64, id);
	rc = cli_wait_op(cli, id,
			 &(struct request_words){subject, "done", "hvcluster status", NULL, NULL},
			 &response);
	if (rc == HV_OK && cli->options.json)
		json_show(cli, response, json_of(&response->op->base), false);
	return rc;
}

enum hv_rc cmd_op_cancel(struct cli *cli)
{
	_cleanup_free_ char *subject = NULL, *look = NULL;
	Hv__Command command = HV__COMMAND__INIT;
	Hv__OpCancel cancel = HV__OP_CANCEL__INIT;
	uint64_t id = 0;
	enum hv_rc rc = read_id(cli, &id);

	if (rc != HV_OK)
		return rc;
	subject = hv_xasprintf("operation %" PRIu64, id);
	look = hv_xasprintf("hvcluster op show %" PRIu64, id);
	cancel.op = id;
	command.body_case = HV__COMMAND__BODY_OP_CANCEL;
	command.op_cancel = &cancel;
	return cli_command(cli, &command,
			   &(struct request_words){subject, "cancelled", look, NULL, NULL});
}

enum hv_rc cmd_set(struct cli *cli)
{
	_cleanup_free_ char *subject = hv_xasprintf("setting %s", cli->args[0]);
	_cleanup_free_ char *done = hv_xasprintf("set to %s", cli->args[1]);
	Hv__Command command = HV__COMMAND__INIT;
	Hv__SettingSet set = HV__SETTING_SET__INIT;

	set.key = (char *)cli->args[0];
	set.value = (char *)cli->args[1];
	command.body_case = HV__COMMAND__BODY_SETTING_SET;
	command.setting_set = &set;
	return cli_command(
	    cli, &command,
	    &(struct request_words){subject, done, "hvcluster settings", NULL, NULL});
}

enum hv_rc cmd_settings(struct cli *cli)
{
	_cleanup_response_ Hv__ControlResponse *response = NULL;
	_cleanup_(table_done) struct table t = {0};
	Hv__ControlRequest request = HV__CONTROL_REQUEST__INIT;
	Hv__SettingsRequest settings = HV__SETTINGS_REQUEST__INIT;
	enum hv_rc rc;

	table_init(&t, 0, "SETTING|>VALUE|>PRESET|MEANING");
	request.body_case = HV__CONTROL_REQUEST__BODY_SETTINGS;
	request.settings = &settings;
	rc = cli_ask(cli, &request, HV__CONTROL_RESPONSE__BODY_SETTINGS, &response);
	if (rc != HV_OK)
		return rc;
	if (cli->options.json) {
		json_show(cli, response, json_of(&response->settings->base), false);
		return HV_OK;
	}
	show_stale(cli, response);
	for (size_t i = 0; i < response->settings->n_settings; i++) {
		const Hv__SettingInfo *s = response->settings->settings[i];

		table_cell(&t, PLAIN, "%s", s->key);
		table_cell(&t, BOLD, "%s", s->value);
		table_cell(&t, DIM, "%s", s->preset);
		table_cell(&t, PLAIN, "%s", s->help);
	}
	table_print(&t, &cli->out);
	return HV_OK;
}
