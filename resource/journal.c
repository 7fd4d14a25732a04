/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "resource/journal.h"

#include "resource/action.h"

static struct journal_line *journal_next(struct cluster *c)
{
	struct journal_line *l = &c->journal[c->journal_next % HV_MAX_JOURNAL];

	if (c->journal_next - c->journal_first == HV_MAX_JOURNAL) {
		c->digest -= l->hash;
		free(l->object);
		free(l->from);
		free(l->to);
		free(l->cause);
		c->journal_first++;
	}
	return l;
}

void journal(struct cluster *c, enum severity sev, const char *what, const char *name,
	     const char *from, const char *to, const char *cause)
{
	struct journal_line *l = journal_next(c);

	*l = (struct journal_line){
	    .id = c->journal_next++,
	    .index = c->index,
	    .at_us = c->now_us,
	    .wall_ms = c->wall_ms,
	    .object = *name ? hv_xasprintf("%s %s", what, name) : hv_xstrdup(what),
	    .from = hv_xstrdup(from),
	    .to = hv_xstrdup(to),
	    .cause = hv_xstrndup(cause ? cause : "", HV_TEXT_MAX),
	    .severity = sev,
	};
	l->hash = hash_journal(l);
	c->digest += l->hash;
	action_journal(c->out, l->id);
}

void journal_why(struct cluster *c, enum severity sev, const char *what, const char *name,
		 const char *from, const char *to, struct why why)
{
	_cleanup_free_ char *sentence = why_sentence(why);

	journal(c, sev, what, name, from, to, sentence);
}

void journal_restore(struct cluster *c, struct journal_line *line)
{
	struct journal_line *l = journal_next(c);

	*l = *line;
	l->hash = hash_journal(l);
	c->digest += l->hash;
	c->journal_next++;
}
