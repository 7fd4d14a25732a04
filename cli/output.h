/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * output.h - a stream with or without colours, and aligned tables.
 *
 * Everything that came from elsewhere is cleaned before it is written (format_clean): a VM's error
 * text must not be able to command the administrator's terminal.
 */
#ifndef HV_CLI_OUTPUT_H
#define HV_CLI_OUTPUT_H

#include "proto/base.h"

#include <stdio.h>

enum colour { PLAIN, BOLD, DIM, RED, GREEN, YELLOW, CYAN };
enum colour_when { COLOUR_AUTO, COLOUR_ALWAYS, COLOUR_NEVER };

struct out {
	FILE *file;
	bool terminal;
	bool colour;
	bool utf8;	/* the terminal shows more than ASCII */
	unsigned width; /* columns; 0: not a terminal, lines may be of any length */
};

/* Looks at the file descriptor and at NO_COLOR, TERM, COLUMNS, LC_ALL, LC_CTYPE and LANG. */
void out_init(struct out *o, FILE *file, enum colour_when when);
/* The text in that colour, cleaned. */
void out_text(const struct out *o, enum colour colour, const char *text);
void out_printf(const struct out *o, enum colour colour, const char *fmt, ...) _printf_(3, 4);
/* Words of `text`, cleaned, from column `indent` on, broken at the terminal's edge; ends the line.
 */
void out_wrapped(const struct out *o, unsigned indent, const char *text);

/* By what a state means: good, on its way, bad, at rest. */
enum colour colour_of_state(const char *state);

/*
 * Aligned columns. Rows are filled cell by cell; a row that is begun is padded with empty cells. A
 * column in which every cell is empty is left out, with its heading. On a terminal the last column
 * is wrapped.
 */
#define TABLE_COLUMNS 12
struct table {
	const char *headings[TABLE_COLUMNS];
	bool right[TABLE_COLUMNS]; /* aligned right: numbers */
	unsigned columns;
	unsigned indent;
	struct table_cell {
		char *text;
		enum colour colour;
	} * cells;
	size_t n_cells, cap;
};

/* `headings` is one string, columns separated by '|'; a '>' before a heading aligns to the right.
 * Must outlive the table. */
void table_init(struct table *t, unsigned indent, const char *headings);
void table_done(struct table *t);
void table_cell(struct table *t, enum colour colour, const char *fmt, ...) _printf_(3, 4);
size_t table_rows(const struct table *t);
void table_print(const struct table *t, const struct out *o);

#endif
