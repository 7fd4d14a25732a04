/* SPDX-License-Identifier: GPL-2.0-or-later */
/* hvcluster replay: a node's history through the brain, on any machine. */
#include "cli/cli.h"
#include "cli/format.h"
#include "cli/history.h"
#include "resource/brain.h"

#include <inttypes.h>
#include <jansson.h>
#include <string.h>

struct replay {
	struct cli *cli;
	struct cluster *c;
	struct action_list actions;
	uint64_t until, shown; /* highest index whose decisions were printed */
	uint64_t entries, compared, differs_at;
	bool stripped, reached, headed;
	uint64_t recorded; /* digest after the entry applied last */
	char *damage;
};

/* ---- one line a decision */

static void put_json(struct replay *r, uint64_t wall_ms, const char *what, const char *object,
		     const char *text)
{
	_cleanup_free_ char *clean = format_clean(text, false), *name = format_clean(object, false);
	json_t *line =
	    json_pack("{s:I,s:I,s:s,s:s,s:s}", "index", (json_int_t)cluster_index(r->c), "wall_ms",
		      (json_int_t)wall_ms, "what", what, "object", name, "text", clean);

	json_dumpf(line, r->cli->out.file, JSON_COMPACT);
	fputc('\n', r->cli->out.file);
	json_decref(line);
}

static void put(struct replay *r, const char *what, const char *object, const char *text)
{
	uint64_t wall_ms = cluster_wall_ms(r->c);
	const struct out *o = &r->cli->out;
	char moment[FORMAT_LEN];

	if (r->cli->options.json) {
		put_json(r, wall_ms, what, object, text);
		return;
	}
	if (!r->headed)
		out_printf(o, BOLD, "%8s  %-19s %-8s %-16s %s\n", "INDEX", "TIME", "WHAT", "OBJECT",
			   "DECISION AND REASON");
	r->headed = true;
	out_printf(o, DIM, "%8" PRIu64 "  %-19s ", cluster_index(r->c),
		   format_moment(moment, wall_ms, 0));
	out_printf(o, CYAN, "%-8s ", what);
	out_printf(o, PLAIN, "%-16s %s\n", object, text);
}

static const char *node_title(const struct replay *r, hv_node_id id)
{
	const struct node *n = cluster_node(r->c, id);

	return n ? n->name : id ? "an unknown node" : "the cluster";
}

/* "vm-migrate of web1 from host1 to host2, attempt 2" */
static char *op_words(const struct replay *r, const struct operation *op)
{
	const struct vm *vm = op->vm ? cluster_vm(r->c, op->vm) : NULL;
	hv_node_id about = op->victim ? op->victim : op->kind == OP_NODE_DRAIN ? op->target : 0;
	_cleanup_free_ char *to = op->target && !about
				      ? hv_xasprintf(" to %s", node_title(r, op->target))
				      : hv_xstrdup("");
	_cleanup_free_ char *with =
	    op->device && *op->device ? hv_xasprintf(" with %s", op->device) : hv_xstrdup("");

	return hv_xasprintf("%s of %s%s%s by %s, attempt %u", op_kind_name(op->kind),
			    vm	     ? vm->name
			    : about  ? node_title(r, about)
			    : op->vm ? op->vm
				     : "the cluster",
			    to, with, node_title(r, op->node), op->attempt);
}

static void show_op(struct replay *r, const struct action *a, const char *what)
{
	const struct operation *op = cluster_op(r->c, a->op);
	_cleanup_free_ char *object = hv_xasprintf("op %llu", (unsigned long long)a->op);
	_cleanup_free_ char *words = op ? op_words(r, op) : hv_xstrdup("");
	_cleanup_free_ char *text = NULL;

	if (op && a->kind == ACTION_OP_ENDED && op->state != OP_RUNNING)
		text = hv_xasprintf("%s: %s%s%s", words, hv_rc_name((enum hv_rc)op->rc),
				    op->text && *op->text ? ", " : "", op->text ? op->text : "");
	put(r, what, object, text ? text : words);
}

static void show_journal(struct replay *r, const struct action *a)
{
	const struct journal_line *l = cluster_journal(r->c, a->op);
	_cleanup_free_ char *text = NULL;
	const char *from, *to;

	if (!l)
		return;
	from = l->from ? l->from : "";
	to = l->to ? l->to : "";
	text = hv_xasprintf("%s%s%s%s%s", from, *from && *to ? " -> " : "", to,
			    l->cause && *l->cause && (*from || *to) ? ": " : "",
			    l->cause ? l->cause : "");
	put(r, "change", l->object ? l->object : "", text);
}

static void show_reply(struct replay *r, const struct action *a)
{
	_cleanup_free_ char *object = hv_xasprintf("request %llu", (unsigned long long)a->request);
	_cleanup_free_ char *text =
	    hv_xasprintf("to %s: %s%s%s", node_title(r, a->node), hv_rc_name(a->rc),
			 a->text && *a->text ? ", " : "", a->text ? a->text : "");

	put(r, "reply", object, text);
}

static void show_action(struct replay *r, const struct action *a)
{
	switch (a->kind) {
	case ACTION_REPLY:
		show_reply(r, a);
		break;
	case ACTION_OP_BEGUN:
		show_op(r, a, "begin");
		break;
	case ACTION_OP_CANCEL:
		show_op(r, a, "cancel");
		break;
	case ACTION_OP_ENDED:
		show_op(r, a, "end");
		break;
	case ACTION_JOURNAL:
		show_journal(r, a);
		break;
	}
}

/* The name of the field that is set, of a message with one oneof. */
static const char *body_name(const ProtobufCMessageDescriptor *d, unsigned which)
{
	const ProtobufCFieldDescriptor *f = protobuf_c_message_descriptor_get_field(d, which);

	return f ? f->name : "nothing";
}

static void show_event(struct replay *r, const Hv__Event *ev)
{
	const Hv__Command *command = ev->body_case == HV__EVENT__BODY_COMMAND ? ev->command : NULL;
	_cleanup_free_ char *text = NULL;

	if (command)
		text = hv_xasprintf("%s, asked for by %s",
				    body_name(&hv__command__descriptor, command->body_case),
				    command->actor && *command->actor ? command->actor : "nobody");
	else
		text = hv_xasprintf("%s", body_name(&hv__event__descriptor, ev->body_case));
	put(r, "event", node_title(r, ev->proposer), text);
}

/* ---- the history comes in */

static bool begin(struct replay *r, const struct history_item *item)
{
	const Hv__HistoryStart *s = item->start;
	const char *why = "it is damaged";
	struct cluster *c = NULL;
	_cleanup_free_ char *text = NULL;

	r->stripped = r->stripped || s->stripped;
	/* The same place in the same history: nothing is new. */
	if (r->c && s->reason == HV__HISTORY_REASON__HISTORY_GOES_ON &&
	    cluster_index(r->c) == s->index)
		return true;
	if (!s->state_len)
		c = cluster_new();
	else
		c = (s->stripped ? brain_decode_stripped : brain_decode)(item->state, s->state_len,
									 &why);
	if (!c) {
		r->damage = hv_xasprintf("the state at entry %" PRIu64 " cannot be read: %s",
					 s->index, why);
		return false;
	}
	cluster_free(r->c);
	r->c = c;
	r->recorded = s->digest;
	if (!s->stripped && !r->differs_at && cluster_digest(c) != s->digest)
		r->differs_at = s->index ? s->index : 1;
	if (s->reason != HV__HISTORY_REASON__HISTORY_BOOT || s->index > r->shown)
		r->shown = s->index;
	text = hv_xasprintf("%s, state as of entry %" PRIu64 ": %zu nodes, %zu VMs",
			    s->reason == HV__HISTORY_REASON__HISTORY_BOOT      ? "clusterd started"
			    : s->reason == HV__HISTORY_REASON__HISTORY_INSTALL ? "state replaced"
									       : "history goes on",
			    s->index, cluster_node_count(c), cluster_vm_count(c));
	put(r, "state", node_title(r, s->node), text);
	return true;
}

static bool step(struct replay *r, const Hv__HistoryEntry *m)
{
	const Hv__LogEntry *e = m->entry;
	Hv__Event *ev, nothing = HV__EVENT__INIT;

	if (r->until && e->index > r->until) {
		r->reached = true;
		return false;
	}
	if (e->index <= cluster_index(r->c)) {
		r->damage = hv_xasprintf("entry %" PRIu64 " comes after entry %" PRIu64, e->index,
					 cluster_index(r->c));
		return false;
	}
	ev = hv__event__unpack(NULL, e->data.len, e->data.data);
	action_list_clear(&r->actions);
	brain_step(r->c, e->index, ev ? ev : &nothing, &r->actions);
	r->entries++;
	r->recorded = m->digest;
	if (!r->stripped) {
		r->compared++;
		if (!r->differs_at && cluster_digest(r->c) != m->digest)
			r->differs_at = e->index;
	}
	/* What a restart gives once more was shown before. */
	if (e->index > r->shown) {
		r->shown = e->index;
		if (r->actions.count)
			show_event(r, ev ? ev : &nothing);
		for (size_t i = 0; i < r->actions.count; i++)
			show_action(r, &r->actions.items[i]);
	}
	if (ev)
		hv__event__free_unpacked(ev, NULL);
	return true;
}

static bool on_item(void *user, const struct history_item *item)
{
	struct replay *r = user;

	return item->start ? begin(r, item) : step(r, item->entry);
}

/* ---- the end */

static void show_end_json(const struct replay *r)
{
	char digest[20], recorded[20];
	json_t *same = r->stripped ? json_null() : json_boolean(!r->differs_at);
	json_t *end;

	snprintf(digest, sizeof(digest), "%016" PRIx64, cluster_digest(r->c));
	snprintf(recorded, sizeof(recorded), "%016" PRIx64, r->recorded);
	end = json_pack("{s:{s:I,s:I,s:s,s:s,s:o,s:I}}", "end", "index",
			(json_int_t)cluster_index(r->c), "entries", (json_int_t)r->entries,
			"digest", digest, "recorded", recorded, "equal", same, "differs_at",
			(json_int_t)r->differs_at);
	json_dumpf(end, r->cli->out.file, JSON_COMPACT);
	fputc('\n', r->cli->out.file);
	json_decref(end);
}

static void show_end(const struct replay *r)
{
	const struct out *o = &r->cli->out;

	if (r->cli->options.json) {
		show_end_json(r);
		return;
	}
	out_printf(o, BOLD, "digest %016" PRIx64 " after entry %" PRIu64, cluster_digest(r->c),
		   cluster_index(r->c));
	if (r->stripped)
		out_printf(o, PLAIN,
			   ": secrets were removed from this history, so that it cannot be "
			   "compared\n");
	else if (r->differs_at)
		out_printf(o, RED, ": DIFFERS from the recorded one since entry %" PRIu64 "\n",
			   r->differs_at);
	else
		out_printf(o, GREEN,
			   ": equal to the recorded one, as after each of %" PRIu64 " entries\n",
			   r->compared);
}

static enum hv_rc finish(struct replay *r, enum hv_rc rc, const char *why)
{
	struct cli *cli = r->cli;

	if (r->c)
		show_end(r);
	if (rc != HV_OK)
		return cli_fail(cli, rc, "hvcluster help replay", "%s", why);
	if (r->damage)
		return cli_fail(cli, HV_CORRUPT, NULL, "%s", r->damage);
	if (r->differs_at)
		return cli_fail(
		    cli, HV_CORRUPT, "hvcluster --version",
		    "this program decides otherwise than the recorded one did: is it the "
		    "same version?");
	return HV_OK;
}

enum hv_rc cmd_replay(struct cli *cli)
{
	struct replay r = {.cli = cli, .until = cli->options.until};
	_cleanup_free_ char *local = hv_xasprintf("%s/history", cli_state_dir());
	const char *path = cli->options.local ? local : cli->args[0];
	_cleanup_free_ char *why = NULL;
	enum hv_rc rc;

	if (!path || (cli->options.local && cli->n_args))
		return cli_fail(cli, HV_USAGE, "hvcluster help replay",
				"'replay' needs a file or --local, not both");
	action_list_init(&r.actions);
	rc = history_read(path, on_item, &r, &why);
	rc = finish(&r, rc, why);
	action_list_done(&r.actions);
	cluster_free(r.c);
	free(r.damage);
	return rc;
}
