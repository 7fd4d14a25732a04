/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "cli/output.h"

#include "cli/format.h"

#include <stdarg.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

static const char *const codes[] = {
    [PLAIN] = "",   [BOLD] = "1",    [DIM] = "2",   [RED] = "31",
    [GREEN] = "32", [YELLOW] = "33", [CYAN] = "36",
};

static const char *environment(const char *name)
{
	const char *value = getenv(name);

	return value ? value : "";
}

/* POSIX: the first of the three that is set and not empty decides. setlocale() would cost a
 * millisecond. */
static bool locale_is_utf8(void)
{
	static const char *const names[] = {"LC_ALL", "LC_CTYPE", "LANG"};
	const char *value = "";

	for (size_t i = 0; i < ARRAY_SIZE(names) && !*value; i++)
		value = environment(names[i]);
	return strcasestr(value, "utf-8") || strcasestr(value, "utf8");
}

static unsigned terminal_width(int fd)
{
	struct winsize size;
	long columns = strtol(environment("COLUMNS"), NULL, 10);

	if (columns >= 20 && columns <= 1000)
		return (unsigned)columns;
	if (ioctl(fd, TIOCGWINSZ, &size) == 0 && size.ws_col >= 20)
		return size.ws_col;
	return 80;
}

void out_init(struct out *o, FILE *file, enum colour_when when)
{
	memset(o, 0, sizeof(*o));
	o->file = file;
	o->terminal = isatty(fileno(file));
	o->width = o->terminal ? terminal_width(fileno(file)) : 0;
	o->utf8 = locale_is_utf8();
	/* https://no-color.org: set and not empty */
	o->colour = when == COLOUR_ALWAYS ||
		    (when == COLOUR_AUTO && o->terminal && !*environment("NO_COLOR") &&
		     strcmp(environment("TERM"), "dumb") != 0);
}

/* `text` is clean. */
static void put(const struct out *o, enum colour colour, const char *text)
{
	if (o->colour && colour != PLAIN && *text)
		fprintf(o->file, "\033[%sm%s\033[0m", codes[colour], text);
	else
		fputs(text, o->file);
}

void out_text(const struct out *o, enum colour colour, const char *text)
{
	_cleanup_free_ char *clean = format_clean(text, true);

	put(o, colour, clean);
}

void out_printf(const struct out *o, enum colour colour, const char *fmt, ...)
{
	_cleanup_free_ char *text = NULL;
	va_list ap;

	va_start(ap, fmt);
	text = hv_xvasprintf(fmt, ap);
	va_end(ap);
	out_text(o, colour, text);
}

/* How many bytes of `text` to put in a line of `room` columns: up to a space if there is one. */
static size_t line_break(const char *text, size_t room)
{
	size_t n = format_fit(text, room), at;

	if (!text[n])
		return n;
	for (at = n; at > 0 && text[at] != ' '; at--)
		;
	return at ? at : n;
}

/* `text` is clean; the line's first `indent` columns are written already. */
static void put_wrapped(const struct out *o, unsigned indent, enum colour colour, const char *text)
{
	/* Less than 20 columns would be a ribbon: rather let the terminal break the line. */
	size_t room = o->width >= indent + 20 ? o->width - indent : SIZE_MAX;

	for (;;) {
		size_t n = line_break(text, room);
		_cleanup_free_ char *line = hv_xstrndup(text, n);

		put(o, colour, line);
		fputc('\n', o->file);
		text += n;
		text += strspn(text, " ");
		if (!*text)
			return;
		fprintf(o->file, "%*s", (int)indent, "");
	}
}

void out_wrapped(const struct out *o, unsigned indent, const char *text)
{
	_cleanup_free_ char *clean = format_clean(text, false);

	fprintf(o->file, "%*s", (int)indent, "");
	put_wrapped(o, indent, PLAIN, clean);
}

enum colour colour_of_state(const char *state)
{
	static const struct {
		const char *state;
		enum colour colour;
	} rows[] = {
	    {"running", GREEN}, {"online", GREEN}, {"done", GREEN},
	    {"stopped", DIM},	{"offline", DIM},  {"lost", RED},
	    {"failed", RED},	{"blocked", RED},  {"active", PLAIN},
	};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		if (strcmp(rows[i].state, state) == 0)
			return rows[i].colour;
	}
	return *state ? YELLOW : PLAIN; /* on its way from one to another */
}

/* ---------------------------------------------------------------- tables */

void table_init(struct table *t, unsigned indent, const char *headings)
{
	memset(t, 0, sizeof(*t));
	t->indent = indent;
	t->columns = 1;
	for (const char *p = headings; *p; p++)
		t->columns += *p == '|';
	hv_assert(t->columns <= TABLE_COLUMNS);
	for (unsigned i = 0; i < t->columns; i++) {
		t->right[i] = *headings == '>';
		headings += t->right[i];
		t->headings[i] = headings;
		headings += strcspn(headings, "|");
		headings += *headings == '|';
	}
}

void table_done(struct table *t)
{
	for (size_t i = 0; i < t->n_cells; i++)
		free(t->cells[i].text);
	free(t->cells);
	memset(t, 0, sizeof(*t));
}

void table_cell(struct table *t, enum colour colour, const char *fmt, ...)
{
	_cleanup_free_ char *text = NULL;
	va_list ap;

	va_start(ap, fmt);
	text = hv_xvasprintf(fmt, ap);
	va_end(ap);
	if (t->n_cells == t->cap) {
		t->cap = t->cap ? 2 * t->cap : 64;
		t->cells = hv_xrealloc(t->cells, t->cap, sizeof(*t->cells));
	}
	t->cells[t->n_cells].text = format_clean(text, false);
	t->cells[t->n_cells++].colour = colour;
}

size_t table_rows(const struct table *t)
{
	return (t->n_cells + t->columns - 1) / t->columns;
}

static const struct table_cell *cell_at(const struct table *t, size_t row, unsigned column)
{
	static const struct table_cell empty = {.text = (char *)""};
	size_t i = row * t->columns + column;

	return i < t->n_cells ? &t->cells[i] : &empty;
}

static size_t heading_length(const struct table *t, unsigned column)
{
	return strcspn(t->headings[column], "|");
}

/* 0: nothing in it. */
static size_t column_width(const struct table *t, unsigned column)
{
	size_t most = 0;

	for (size_t row = 0; row < table_rows(t); row++) {
		size_t n = format_width(cell_at(t, row, column)->text);

		if (n > most)
			most = n;
	}
	return most && most < heading_length(t, column) ? heading_length(t, column) : most;
}

static void put_row(const struct table *t, const struct out *o, const size_t *widths, unsigned last,
		    const struct table_cell *cells)
{
	unsigned at = t->indent;

	while (last > 0 && !*cells[last].text) /* no spaces at the line's end */
		last--;
	fprintf(o->file, "%*s", (int)t->indent, "");
	for (unsigned c = 0; c < last; c++) {
		int pad = (int)(widths[c] - format_width(cells[c].text));

		if (widths[c] == 0)
			continue;
		fprintf(o->file, "%*s", t->right[c] ? pad : 0, "");
		put(o, cells[c].colour, cells[c].text);
		fprintf(o->file, "%*s", (t->right[c] ? 0 : pad) + 2, "");
		at += (unsigned)widths[c] + 2;
	}
	if (t->right[last])
		at += (unsigned)fprintf(o->file, "%*s",
					(int)(widths[last] - format_width(cells[last].text)), "");
	put_wrapped(o, at, cells[last].colour, cells[last].text);
}

void table_print(const struct table *t, const struct out *o)
{
	size_t widths[TABLE_COLUMNS];
	struct table_cell cells[TABLE_COLUMNS] = {};
	unsigned last = 0;

	for (unsigned c = 0; c < t->columns; c++) {
		widths[c] = column_width(t, c);
		if (widths[c])
			last = c;
		cells[c].text = hv_xstrndup(t->headings[c], heading_length(t, c));
		cells[c].colour = DIM;
	}
	if (table_rows(t) && *t->headings[0])
		put_row(t, o, widths, last, cells);
	for (unsigned c = 0; c < t->columns; c++)
		free(cells[c].text);
	for (size_t row = 0; row < table_rows(t); row++) {
		for (unsigned c = 0; c < t->columns; c++)
			cells[c] = *cell_at(t, row, c);
		put_row(t, o, widths, last, cells);
	}
}
