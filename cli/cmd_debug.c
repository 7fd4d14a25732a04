/* SPDX-License-Identifier: GPL-2.0-or-later */
/* hvcluster debug bundle: what a bug report needs, in one file, without secrets. */
#include "config.h"

#include "cli/bundle.h"
#include "cli/cli.h"
#include "cli/format.h"

#include <inttypes.h>
#include <jansson.h>
#include <string.h>
#include <unistd.h>

static const struct {
	const char *name;
	const char *argv[6];
} questions[] = {
    {"status.json", {"status", "--json"}},
    {"nodes.json", {"node", "list", "--json"}},
    {"vms.json", {"vm", "list", "--json"}},
    {"fence.json", {"fence", "list", "--json"}},
    {"rules.json", {"rule", "list", "--json"}},
    {"operations.json", {"op", "list", "--json"}},
    {"settings.json", {"settings", "--json"}},
    {"events.json", {"events", "--json", "-n", "1000"}},
    {"failover.json", {"report", "failover", "--json"}},
};

static const struct {
	const char *name;
	const char *argv[12];
} programs[] = {
    {"uname.txt", {"uname", "-a"}},
    {"corosync-version.txt", {"corosync", "-v"}},
    {"corosync-quorum.txt", {"corosync-quorumtool", "-s"}},
    {"corosync-links.txt", {"corosync-cfgtool", "-s"}},
    {"cmap.txt", {"corosync-cmapctl"}},
    {"libvirt-version.txt", {"virsh", "-r", "version"}},
    {"qemu-version.txt", {"qemu-system-x86_64", "--version"}},
    {"journal.txt",
     {"journalctl", "--no-pager", "-o", "short-precise", "-n", "20000", "-u", "clusterd", "-u",
      "corosync"}},
};

static void ask_clusterd(struct bundle *b)
{
	char self[4096];
	ssize_t n = readlink("/proc/self/exe", self, sizeof(self) - 1);

	if (n <= 0)
		return;
	self[n] = '\0';
	for (size_t i = 0; i < ARRAY_SIZE(questions); i++) {
		const char *argv[8] = {self};

		for (size_t k = 0; k < ARRAY_SIZE(questions[i].argv); k++)
			argv[k + 1] = questions[i].argv[k];
		bundle_command(b, questions[i].name, argv);
	}
}

/* cmap holds corosync's configuration once more: no keys there either. */
static void without_keys(struct bundle *b, const char *from, const char *to)
{
	_cleanup_free_ char *path = hv_xasprintf("%s/%s", b->dir, from);

	if (access(path, R_OK) != 0)
		return;
	bundle_file(b, to, path, true);
	unlink(path);
}

static void collect(struct bundle *b)
{
	const char *state_dir = cli_state_dir();
	_cleanup_free_ char *history = hv_xasprintf("%s/history", state_dir);
	_cleanup_free_ char *blackbox = hv_xasprintf("%s/clusterd.blackbox", state_dir);

	bundle_text(b, "version.txt", "hvcluster " PACKAGE_VERSION "\n");
	ask_clusterd(b);
	for (size_t i = 0; i < ARRAY_SIZE(programs); i++)
		bundle_command(b, programs[i].name, programs[i].argv);
	without_keys(b, "cmap.txt", "corosync-cmap.txt");
	bundle_file(b, "corosync.conf", "/etc/corosync/corosync.conf", true);
	bundle_file(b, "os-release", "/etc/os-release", false);
	bundle_folder(b, "log-", "/var/log/hvcluster");
	if (access("/var/log/corosync/corosync.log", R_OK) == 0)
		bundle_file(b, "corosync.log", "/var/log/corosync/corosync.log", false);
	if (access(blackbox, R_OK) == 0)
		bundle_file(b, "clusterd.blackbox", blackbox, false);
	else
		bundle_note(b, "clusterd.blackbox: none was written (kill -USR1 writes one)");
	bundle_history(b, history);
}

static void read_me(struct bundle *b)
{
	_cleanup_free_ char *text = hv_xasprintf(
	    "What a bug report about hvcluster needs, collected by 'hvcluster debug bundle'.\n\n"
	    "replay.history: 'hvcluster replay replay.history' shows what was decided, and why.\n"
	    "Secrets of fence devices and passwords in domain XML were taken out of it, so that "
	    "its\n"
	    "digests cannot be compared. %zu values were then looked for in every file here;\n"
	    "what was found is named below, and has stars over it.\n%s\n"
	    "Missing:\n%s",
	    b->secrets.count,
	    b->history ? ""
		       : "The history could not be read: no secrets were known, and none were "
			 "looked for.\n",
	    *b->notes ? b->notes : "nothing\n");

	bundle_text(b, "README", text);
}

/* ---- what it holds */

struct listing {
	struct cli *cli;
	json_t *files;
	size_t count;
};

static void list_one(void *user, const char *name, uint64_t bytes)
{
	struct listing *l = user;

	l->count++;
	if (l->files)
		json_array_append_new(
		    l->files, json_pack("{s:s,s:I}", "name", name, "bytes", (json_int_t)bytes));
	else
		out_printf(&l->cli->out, PLAIN, "  %10" PRIu64 "  %s\n", bytes, name);
}

static void show(struct cli *cli, const struct bundle *b, const char *path, size_t found)
{
	struct listing l = {.cli = cli, .files = cli->options.json ? json_array() : NULL};
	const struct out *o = &cli->out;

	if (!l.files)
		out_printf(o, BOLD, "%s\n", path);
	bundle_list(b, list_one, &l);
	if (l.files) {
		json_t *all =
		    json_pack("{s:s,s:o,s:I,s:I,s:b,s:s}", "file", path, "files", l.files,
			      "secrets_known", (json_int_t)b->secrets.count, "files_with_secrets",
			      (json_int_t)found, "history", b->history, "missing", b->notes);

		json_dumpf(all, o->file, JSON_INDENT(2));
		fputc('\n', o->file);
		json_decref(all);
		return;
	}
	if (*b->notes)
		out_printf(o, DIM, "missing:\n");
	for (char *line = b->notes, *end; (end = strchr(line, '\n')); line = end + 1) {
		_cleanup_free_ char *text = hv_xstrndup(line, (size_t)(end - line));

		out_printf(o, DIM, "  %s\n", text);
	}
	out_printf(o, PLAIN, "%zu files; %zu secrets were looked for in each, found in %zu\n",
		   l.count, b->secrets.count, found);
}

static char *preset_path(const struct bundle *b)
{
	return hv_xasprintf("%s.tar.%s", b->name,
			    access("/usr/bin/zstd", X_OK) == 0 ? "zst" : "gz");
}

enum hv_rc cmd_debug_bundle(struct cli *cli)
{
	_cleanup_free_ char *why = NULL, *path = NULL;
	struct bundle b;
	size_t found;
	enum hv_rc rc;

	if (geteuid() != 0)
		return cli_fail(cli, HV_NOT_PERMITTED, "sudo hvcluster debug bundle",
				"only root can read clusterd's state and logs");
	rc = bundle_open(&b, &why);
	if (rc == HV_OK) {
		path = cli->n_args ? hv_xstrdup(cli->args[0]) : preset_path(&b);
		collect(&b);
		found = bundle_clean(&b);
		read_me(&b);
		rc = bundle_pack(&b, path, &why);
		if (rc == HV_OK)
			show(cli, &b, path, found);
		if (rc == HV_OK && !b.history)
			cli_note(cli,
				 "the history could not be read, so no secret was known and none "
				 "was looked for: read the files before you give them away");
	}
	bundle_close(&b);
	return rc == HV_OK ? rc : cli_fail(cli, rc, "hvcluster help debug bundle", "%s", why);
}
