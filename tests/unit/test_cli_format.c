/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "cli/format.h"

#include "cli/output.h"
#include "cli/progress.h"

#include <criterion/criterion.h>
#include <string.h>

static char buf[FORMAT_LEN];

#define SAYS(call, text) cr_assert_str_eq(call, text)

Test(cli_format, durations_show_their_two_largest_units)
{
	SAYS(format_duration(buf, 0), "0 ms");
	SAYS(format_duration(buf, 999), "999 ms");
	SAYS(format_duration(buf, 1000), "1 s");
	SAYS(format_duration(buf, 59999), "59 s");
	SAYS(format_duration(buf, 60000), "1 min");
	SAYS(format_duration(buf, 125000), "2 min 5 s");
	SAYS(format_duration(buf, 3600000 + 59000), "1 h");
	SAYS(format_duration(buf, 12000000), "3 h 20 min");
	SAYS(format_duration(buf, 86400000ULL * 2 + 3600000), "2 days 1 h");
	SAYS(format_duration(buf, 86400000ULL + 7200000), "1 day 2 h");
}

Test(cli_format, moments_are_told_from_now)
{
	const uint64_t now = 1700000000000;

	SAYS(format_ago(buf, now - 240000, now), "4 min ago");
	SAYS(format_ago(buf, now - 90000000, now), "1 day ago");
	SAYS(format_ago(buf, now, now), "now");
	SAYS(format_ago(buf, now + 5000, now), "now"); /* another node's clock */
	SAYS(format_ago(buf, 0, now), "-");
}

Test(cli_format, moments_have_a_date_when_that_is_not_today)
{
	const uint64_t now = 1700000000000; /* 2023-11-14 22:13:20 UTC */

	setenv("TZ", "UTC", 1);
	SAYS(format_moment(buf, now, now), "22:13:20");
	SAYS(format_moment(buf, now - 86400000, now), "13 Nov 22:13:20");
	SAYS(format_moment(buf, now - 86400000ULL * 366, now), "2022-11-13 22:13:20");
	SAYS(format_moment(buf, 0, now), "-");
}

Test(cli_format, sizes_are_in_gib_from_one_on)
{
	SAYS(format_mib(buf, 512), "512 MiB");
	SAYS(format_mib(buf, 1023), "1023 MiB");
	SAYS(format_mib(buf, 1024), "1.0 GiB");
	SAYS(format_mib(buf, 1536), "1.5 GiB");
	SAYS(format_mib(buf, 2047), "2.0 GiB");
	SAYS(format_mib_of(buf, 2048, 31949), "2.0/31.2 GiB");
	SAYS(format_mib_of(buf, 256, 512), "256/512 MiB");
}

Test(cli_format, times_of_a_failover_may_not_have_come)
{
	SAYS(format_us(buf, 1234567), "1.234 s");
	SAYS(format_us(buf, FORMAT_NEVER), "-");
	SAYS(format_step_us(buf, 0, 420), "+0.4 ms");
	SAYS(format_step_us(buf, 1000, 13000), "+12 ms");
	SAYS(format_step_us(buf, 0, 2300000), "+2.3 s");
	SAYS(format_step_us(buf, FORMAT_NEVER, 2300000), "");
	SAYS(format_step_us(buf, 5, FORMAT_NEVER), "");
}

static void cleans(const char *text, bool keep_lines, const char *expected)
{
	_cleanup_free_ char *clean = format_clean(text, keep_lines);

	cr_assert_str_eq(clean, expected);
}

Test(cli_format, text_from_elsewhere_cannot_command_the_terminal)
{
	cleans("a\033[2Jb", false, "a [2Jb");
	cleans("two\nlines\tand\rmore", false, "two lines and more");
	cleans("two\nlines\tand\rmore", true, "two\nlines\tand more");
	cleans("\xc2\x9b"
	       "2J",
	       false, " 2J"); /* a control of the second kind */
	cleans("\x7f", false, " ");
}

Test(cli_format, what_is_not_utf8_is_replaced)
{
	cleans("caf\xc3\xa9", false, "caf\xc3\xa9");
	cleans("caf\xe9", false, "caf\xef\xbf\xbd");
	cleans("\xc0\xaf", false, "\xef\xbf\xbd\xef\xbf\xbd");		       /* overlong */
	cleans("\xed\xa0\x80", false, "\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd"); /* a surrogate */
	cleans("\xf0\x9f\x98\x80", false, "\xf0\x9f\x98\x80");
	cleans("\xe2\x82", false, "\xef\xbf\xbd\xef\xbf\xbd"); /* cut off */
}

Test(cli_format, width_counts_characters)
{
	cr_assert_eq(format_width("caf\xc3\xa9"), 4);
	cr_assert_eq(format_fit("caf\xc3\xa9s", 4), 5);
	cr_assert_eq(format_fit("abc", 9), 3);
}

Test(cli_format, distance_is_the_number_of_edits)
{
	cr_assert_eq(format_distance("status", "status"), 0);
	cr_assert_eq(format_distance("statu", "status"), 1);
	cr_assert_eq(format_distance("kitten", "sitting"), 3);
	cr_assert_eq(format_distance("", "abc"), 3);
}

/* ---------------------------------------------------------------- output */

static char *text;
static size_t text_len;

static struct out memory(unsigned width)
{
	struct out o = {
	    .file = open_memstream(&text, &text_len), .terminal = width > 0, .width = width};

	return o;
}

static void wrote(struct out *o, const char *expected)
{
	fclose(o->file);
	cr_assert_str_eq(text, expected);
	free(text);
}

Test(cli_output, tables_are_aligned_and_leave_out_empty_columns)
{
	struct out o = memory(0);
	struct table t;

	table_init(&t, 1, "NAME|>N|EMPTY|WHY");
	for (int i = 0; i < 2; i++) {
		table_cell(&t, PLAIN, "%s", i ? "a" : "longer");
		table_cell(&t, PLAIN, "%d", i ? 100 : 7);
		table_cell(&t, PLAIN, "%s", "");
		table_cell(&t, PLAIN, "%s", i ? "" : "be\ncause");
	}
	table_print(&t, &o);
	table_done(&t);
	wrote(&o, " NAME      N  WHY\n"
		  " longer    7  be cause\n"
		  " a       100\n");
}

Test(cli_output, tables_without_rows_print_nothing)
{
	struct out o = memory(0);
	struct table t;

	table_init(&t, 0, "NAME|WHY");
	table_print(&t, &o);
	table_done(&t);
	wrote(&o, "");
}

Test(cli_output, the_last_column_is_wrapped_on_a_terminal)
{
	struct out o = memory(30);
	struct table t;

	table_init(&t, 0, "VM|WHY");
	table_cell(&t, PLAIN, "web1");
	table_cell(&t, PLAIN, "waits for proof that node host3 is off");
	table_print(&t, &o);
	table_done(&t);
	wrote(&o, "VM    WHY\n"
		  "web1  waits for proof that\n"
		  "      node host3 is off\n");
}

Test(cli_output, colours_only_where_they_are_wanted)
{
	struct out o = memory(0);

	out_text(&o, RED, "bad");
	o.colour = true;
	out_text(&o, RED, "bad");
	out_text(&o, PLAIN, "\033[31m");
	wrote(&o, "bad\033[31mbad\033[0m [31m");
}

Test(cli_output, no_color_is_obeyed_unless_colours_are_asked_for)
{
	struct out o;

	setenv("NO_COLOR", "1", 1);
	out_init(&o, stdout, COLOUR_AUTO);
	cr_assert(!o.colour);
	out_init(&o, stdout, COLOUR_ALWAYS);
	cr_assert(o.colour);
	out_init(&o, stdout, COLOUR_NEVER);
	cr_assert(!o.colour);
}

/* ---------------------------------------------------------------- progress */

static Hv__OpInfo drain(uint32_t done, uint32_t total)
{
	Hv__OpInfo op = HV__OP_INFO__INIT;

	op.done = done;
	op.total = total;
	return op;
}

static void bar(const Hv__OpInfo *op, uint64_t elapsed_ms, unsigned width, const char *expected)
{
	_cleanup_free_ char *line = progress_bar("drain of host2", op, elapsed_ms, width, false);

	cr_assert_str_eq(line, expected);
}

Test(cli_progress, the_bar_shows_how_much_is_done_and_for_how_long)
{
	Hv__OpInfo op = drain(5, 10);

	bar(&op, 61500, 0, "drain of host2 [############------------]  5 of 10  1 min 1 s");
	op = drain(0, 10);
	bar(&op, 900, 0, "drain of host2 [------------------------]  0 of 10  0 s");
	op = drain(10, 10);
	bar(&op, 2000, 0, "drain of host2 [########################]  10 of 10  2 s");
	op = drain(12, 10); /* never more than all */
	bar(&op, 2000, 0, "drain of host2 [########################]  12 of 10  2 s");
}

Test(cli_progress, the_bar_never_breaks_the_line)
{
	Hv__OpInfo op = drain(5, 10);

	bar(&op, 1000, 20, "drain of host2 [####");
}

Test(cli_progress, thousandths_are_shown_as_percent)
{
	Hv__OpInfo op = HV__OP_INFO__INIT;

	op.permille = 425;
	bar(&op, 1000, 0, "drain of host2 [##########--------------]  42 %  1 s");
}

Test(cli_progress, when_nobody_knows_a_block_wanders)
{
	Hv__OpInfo op = HV__OP_INFO__INIT;

	bar(&op, 0, 0, "drain of host2 [#-----------------------]  0 s");
	bar(&op, 1000, 0, "drain of host2 [----#-------------------]  1 s");
}

Test(cli_progress, what_holds_it_is_named)
{
	char *held[] = {(char *)"vm db1: no node can hold it", (char *)"vm db2"};
	Hv__OpInfo op = drain(1, 3);
	_cleanup_free_ char *one = NULL, *two = NULL;

	op.held_by = held;
	op.n_held_by = 1;
	one = progress_line("drain of host2", &op);
	cr_assert_str_eq(one, "drain of host2: 1 of 3, held by vm db1: no node can hold it");
	op.n_held_by = 2;
	two = progress_line("drain of host2", &op);
	cr_assert_str_eq(two,
			 "drain of host2: 1 of 3, held by vm db1: no node can hold it, and 1 more");
}

Test(cli_progress, what_is_done_at_one_stroke_gives_no_lines)
{
	Hv__OpInfo op = drain(0, 1);

	cr_assert_null(progress_line("vm web1", &op));
	bar(&op, 0, 0, "drain of host2 [#-----------------------]  0 s");
	op.permille = 560;
	bar(&op, 0, 0, "drain of host2 [#############-----------]  56 %  0 s");
}

Test(cli_progress, without_a_terminal_each_step_is_one_line)
{
	struct out o = memory(0);
	struct progress p;
	Hv__OpInfo op = drain(0, 2);

	progress_begin(&p, &o, false, 0);
	progress_show(&p, "drain", &op, 0);
	progress_show(&p, "drain", &op, 1000); /* nothing new: no line */
	op = drain(1, 2);
	progress_show(&p, "drain", &op, 2000);
	progress_end(&p);
	wrote(&o, "drain: 0 of 2\ndrain: 1 of 2\n");
}

Test(cli_progress, on_a_terminal_the_bar_is_drawn_over_and_taken_away)
{
	struct out o = memory(80);
	struct progress p;
	Hv__OpInfo op = drain(0, 2);

	progress_begin(&p, &o, true, 0);
	progress_show(&p, "drain", &op, 0);
	progress_end(&p);
	wrote(&o, "\r\033[Kdrain [------------------------]  0 of 2  0 s\r\033[K");
}

Test(cli_progress, silent_means_no_lines)
{
	struct out o = memory(0);
	struct progress p;
	Hv__OpInfo op = drain(0, 2);

	progress_begin(&p, &o, true, 0);
	progress_show(&p, "drain", &op, 0);
	progress_end(&p);
	wrote(&o, "");
}
