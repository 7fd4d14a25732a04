/* SPDX-License-Identifier: GPL-2.0-or-later */
/* hvcluster pki: the cluster's CA, and the certificates of its hosts (pki/pki.h). No daemon needed.
 */
#include "cli/cli.h"
#include "cli/format.h"
#include "pki/pki.h"

#include <inttypes.h>
#include <jansson.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

static const char *pki_dir(void)
{
	const char *dir = getenv("HVCLUSTER_PKI_DIR");

	return dir && *dir ? dir : PKI_DIR;
}

/* A node is called as its host is. */
static const char *this_host(char name[HV_NAME_MAX + 1])
{
	if (gethostname(name, HV_NAME_MAX) != 0)
		name[0] = '\0';
	name[HV_NAME_MAX] = '\0';
	name[strcspn(name, ".")] = '\0';
	return name;
}

static void done(struct cli *cli, const char *fmt, ...) _printf_(2, 3);
static void done(struct cli *cli, const char *fmt, ...)
{
	va_list ap;

	if (cli->options.json) {
		fputs("{}\n", cli->out.file);
		return;
	}
	va_start(ap, fmt);
	vfprintf(cli->out.file, fmt, ap);
	va_end(ap);
	fputc('\n', cli->out.file);
}

enum hv_rc cmd_pki_init(struct cli *cli)
{
	const char *name = cli->args[0] ? cli->args[0] : "cluster";
	_cleanup_free_ char *why = NULL;
	enum hv_rc rc = cli_check_name(cli, "cluster", name);

	if (rc != HV_OK)
		return rc;
	rc = pki_make_ca(pki_dir(), name, PKI_CA_DAYS, pki_now_s(), &why);
	if (rc != HV_OK)
		return cli_fail(cli, rc, rc == HV_EXISTS ? "hvcluster pki issue HOST" : NULL, "%s",
				why);
	done(cli,
	     "made %s/ca-cert.pem and ca-key.pem; next: 'hvcluster pki issue HOST' for each host",
	     pki_dir());
	return HV_OK;
}

/* "a,b" -> names[]; false: too many, or one that cannot be a host's name or address. */
static bool split(char *text, const char *names[PKI_NAMES_MAX], size_t *ret_n)
{
	char *name;

	*ret_n = 0;
	while (text && (name = strsep(&text, ","))) {
		size_t len = strspn(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
					  "0123456789.-:");

		if (!len || name[len] || *ret_n == PKI_NAMES_MAX)
			return false;
		names[(*ret_n)++] = name;
	}
	return true;
}

enum hv_rc cmd_pki_issue(struct cli *cli)
{
	_cleanup_free_ char *list = cli->args[1] ? hv_xstrdup(cli->args[1]) : NULL, *why = NULL;
	const char *names[PKI_NAMES_MAX];
	size_t n = 0;
	enum hv_rc rc = cli_check_name(cli, "host", cli->args[0]);

	if (rc != HV_OK)
		return rc;
	if (!split(list, names, &n))
		return cli_fail(cli, HV_BAD_INPUT, "hvcluster help pki issue",
				"'%s' is not a list of host names and addresses (at most %u)",
				cli->args[1], PKI_NAMES_MAX);
	rc = pki_issue(pki_dir(), cli->args[0], names, n, PKI_HOST_DAYS, pki_now_s(), &why);
	if (rc != HV_OK)
		return cli_fail(cli, rc, "hvcluster pki init, once, on the host that keeps the CA",
				"%s", why);
	done(cli,
	     "made %s/%s; next: copy that folder to %s, and there 'hvcluster pki install FOLDER'",
	     pki_dir(), cli->args[0], cli->args[0]);
	return HV_OK;
}

enum hv_rc cmd_pki_install(struct cli *cli)
{
	char host[HV_NAME_MAX + 1];
	_cleanup_free_ char *own = hv_xasprintf("%s/%s", pki_dir(), this_host(host));
	const char *from = cli->args[0] ? cli->args[0] : own;
	_cleanup_free_ char *hint = NULL, *why = NULL;
	enum hv_rc rc = pki_install(from, "", host, pki_now_s(), &why);

	hint = hv_xasprintf("hvcluster pki issue %s, where the CA is", host);
	if (rc != HV_OK)
		return cli_fail(cli, rc, hint, "%s", why);
	done(cli,
	     "installed for libvirt and QEMU of %s; a libvirtd that runs takes it by "
	     "'virt-admin server-update-tls libvirtd'",
	     host);
	return HV_OK;
}

/* ---- show */

static void show_json(json_t *list, const struct pki_use *use, const struct pki_facts *facts,
		      const char *why)
{
	json_array_append_new(list, json_pack("{s:s, s:s, s:s, s:I, s:b, s:s}", "use", use->name,
					      "file", use->cert, "subject", facts->subject,
					      "expires", (json_int_t)facts->expires_s, "good",
					      why == NULL, "fault", why ? why : ""));
}

static void show_row(struct table *t, const struct pki_use *use, const struct pki_facts *facts,
		     const char *why, uint64_t now_s)
{
	bool soon = !why && facts->expires_s < now_s + PKI_EXPIRES_SOON_S;
	time_t expires = (time_t)facts->expires_s;
	char day[16] = "";
	struct tm tm;

	if (expires && gmtime_r(&expires, &tm))
		strftime(day, sizeof(day), "%F", &tm);
	table_cell(t, PLAIN, "%s", use->name);
	table_cell(t, PLAIN, "%s", use->cert);
	table_cell(t, PLAIN, "%s", facts->subject);
	table_cell(t, soon ? YELLOW : PLAIN, "%s", day);
	table_cell(t,
		   why	  ? RED
		   : soon ? YELLOW
			  : GREEN,
		   "%s",
		   why	  ? why
		   : soon ? "expires soon"
			  : "good");
}

enum hv_rc cmd_pki_show(struct cli *cli)
{
	char host[HV_NAME_MAX + 1];
	_cleanup_free_ char *fault = NULL;
	uint64_t now_s = pki_now_s();
	json_t *list = json_array();
	struct table t;

	this_host(host);
	table_init(&t, 0, "USE|FILE|NAME|EXPIRES|VERDICT");
	for (size_t i = 0; pki_use_at(i); i++) {
		const struct pki_use *use = pki_use_at(i);
		struct pki_facts facts = {0};
		_cleanup_free_ char *why = NULL;

		pki_look(use->ca, use->cert, use->key, use->server ? host : NULL, now_s, &facts,
			 &why);
		show_json(list, use, &facts, why);
		show_row(&t, use, &facts, why, now_s);
	}
	if (cli->options.json)
		json_dumpf(list, cli->out.file, JSON_INDENT(2));
	else
		table_print(&t, &cli->out);
	if (cli->options.json)
		fputc('\n', cli->out.file);
	json_decref(list);
	table_done(&t);
	fault = pki_fault("", host, now_s);
	if (!fault)
		return HV_OK;
	return cli_fail(cli, HV_REFUSED, NULL, "this host can neither send nor take migrations: %s",
			fault);
}
