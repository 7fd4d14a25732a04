/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "cli/progress.h"

#include "cli/format.h"

#include <string.h>

#define BAR_COLUMNS 24
#define CLEAR_LINE "\r\033[K"

void progress_begin(struct progress *p, const struct out *out, bool silent, uint64_t now_ms)
{
	memset(p, 0, sizeof(*p));
	p->out = out;
	p->silent = silent && !out->terminal;
	p->began_ms = now_ms;
}

/* Of one thing it says nothing that one is not yet done. */
static bool counts(const Hv__OpInfo *op)
{
	return op->total > 1;
}

/* In thousandths; -1: nobody knows. */
static int fraction(const Hv__OpInfo *op)
{
	uint64_t f = op->permille;

	if (op->ended && op->rc == 0)
		return 1000;
	if (counts(op))
		f = (uint64_t)op->done * 1000 / op->total;
	else if (!op->permille)
		return -1;
	return f > 1000 ? 1000 : (int)f;
}

static void append(char **text, const char *more)
{
	char *joined = hv_xasprintf("%s%s", *text, more);

	free(*text);
	*text = joined;
}

static char *draw_bar(int permille, uint64_t elapsed_ms, bool utf8)
{
	const char *full = utf8 ? "\u2588" : "#", *empty = utf8 ? "\u2591" : "-";
	char *bar = hv_xstrdup(utf8 ? "" : "[");
	/* Nobody knows how far: a block that wanders, a step with each drawing. */
	int at = (int)(elapsed_ms / 250 % BAR_COLUMNS);

	for (int i = 0; i < BAR_COLUMNS; i++) {
		bool on = permille < 0 ? i == at : i < permille * BAR_COLUMNS / 1000;

		append(&bar, on ? full : empty);
	}
	append(&bar, utf8 ? "" : "]");
	return bar;
}

/* "3 of 10", "45 %", "" */
static char *amount(const Hv__OpInfo *op, bool coarse)
{
	int f = fraction(op);

	if (counts(op))
		return hv_xasprintf("%u of %u", op->done, op->total);
	if (f < 0 || op->ended || (coarse && f < 100))
		return hv_xstrdup("");
	return hv_xasprintf("%d %%", coarse ? f / 100 * 10 : f / 10);
}

static char *held(const Hv__OpInfo *op)
{
	if (op->n_held_by == 0 || op->ended)
		return hv_xstrdup("");
	if (op->n_held_by == 1)
		return hv_xasprintf("held by %s", op->held_by[0]);
	return hv_xasprintf("held by %s, and %zu more", op->held_by[0], op->n_held_by - 1);
}

char *progress_bar(const char *title, const Hv__OpInfo *op, uint64_t elapsed_ms, unsigned width,
		   bool utf8)
{
	_cleanup_free_ char *bar = draw_bar(fraction(op), elapsed_ms, utf8), *n = amount(op, false),
			    *h = held(op);
	_cleanup_free_ char *line = NULL, *clean = NULL;
	char buf[FORMAT_LEN];

	line = hv_xasprintf("%s %s%s%s  %s%s%s", title, bar, *n ? "  " : "", n,
			    elapsed_ms < 1000 ? "0 s" : format_duration(buf, elapsed_ms),
			    *h ? "  " : "", h);
	clean = format_clean(line, false);
	return hv_xstrndup(clean, width ? format_fit(clean, width) : strlen(clean));
}

char *progress_line(const char *title, const Hv__OpInfo *op)
{
	_cleanup_free_ char *n = amount(op, true), *h = held(op), *line = NULL;

	if (!*n && !*h)
		return NULL;
	line = hv_xasprintf("%s: %s%s%s", title, n, *n && *h ? ", " : "", h);
	return format_clean(line, false);
}

void progress_show(struct progress *p, const char *title, const Hv__OpInfo *op, uint64_t now_ms)
{
	_cleanup_free_ char *text = NULL;

	if (p->silent)
		return;
	if (p->out->terminal) {
		/* One column less: the cursor must not go to the next line. */
		text =
		    progress_bar(title, op, now_ms - p->began_ms, p->out->width - 1, p->out->utf8);
		fprintf(p->out->file, CLEAR_LINE "%s", text);
		p->drawn = true;
	} else {
		text = progress_line(title, op);
		if (!text)
			return;
		if (!p->last || strcmp(p->last, text) != 0)
			fprintf(p->out->file, "%s\n", text);
		free(p->last);
		p->last = steal_ptr(text);
	}
	fflush(p->out->file);
}

void progress_clear(struct progress *p)
{
	if (p->drawn) {
		fputs(CLEAR_LINE, p->out->file);
		fflush(p->out->file);
	}
	p->drawn = false;
}

void progress_end(struct progress *p)
{
	progress_clear(p);
	free(p->last);
	p->last = NULL;
}
