/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The device's adapter where there is no device: what it refuses, and the record. */
#include "clusterd/watchdog.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static char dir[] = "/tmp/watchdog-test-XXXXXX";
static char device[64], record[64];

static void make(void)
{
	FILE *f;

	cr_assert(mkdtemp(dir));
	snprintf(device, sizeof(device), "%s/watchdog", dir);
	snprintf(record, sizeof(record), "%s/record", dir);
	f = fopen(device, "w");
	cr_assert(f);
	fclose(f);
}

static void clean(void)
{
	unlink(device);
	unlink(record);
	rmdir(dir);
}

Test(watchdog, a_plain_file_is_no_device, .init = make, .fini = clean)
{
	struct watchdog *w = watchdog_new(device, false, record);
	char *text = NULL;

	cr_assert_eq(watchdog_check(w, &text), HV_BAD_CONFIG);
	cr_assert(strstr(text, "--watchdog-any-file"), "%s", text);
	free(text);
	watchdog_free(w);
}

Test(watchdog, what_answers_no_ioctl_is_none, .init = make, .fini = clean)
{
	struct watchdog *w = watchdog_new(device, true, record);
	uint32_t ms = 0;
	char *text = NULL;

	cr_assert_eq(watchdog_check(w, &text), HV_OK);
	cr_assert_eq(watchdog_open(w, 5, &ms, &text), HV_BAD_CONFIG);
	cr_assert(strstr(text, "is no watchdog"), "%s", text);
	free(text);
	watchdog_free(w);
}

Test(watchdog, a_missing_one_is_named, .init = make, .fini = clean)
{
	struct watchdog *w;
	char *text = NULL;

	unlink(device);
	w = watchdog_new(device, false, record);
	cr_assert_eq(watchdog_check(w, &text), HV_NOT_FOUND);
	cr_assert(strstr(text, device), "%s", text);
	free(text);
	watchdog_free(w);
}

Test(watchdog, the_record_outlives_the_process, .init = make, .fini = clean)
{
	struct watchdog *w = watchdog_new(device, true, record);

	cr_assert_eq(watchdog_recorded(w, 5), 0, "none yet");
	watchdog_record(w, 123456789, 5);
	watchdog_record(w, 223456789, 5);
	watchdog_free(w);
	w = watchdog_new(device, true, record);
	cr_assert_eq(watchdog_recorded(w, 5), 223456789);
	cr_assert_eq(watchdog_recorded(w, 6), 0, "of another timeout");
	watchdog_record(w, 0, 5);
	cr_assert_eq(watchdog_recorded(w, 5), 0, "stopped");
	watchdog_free(w);
}

Test(watchdog, a_record_that_is_none_is_not_believed, .init = make, .fini = clean)
{
	struct watchdog *w = watchdog_new(device, true, record);
	FILE *f = fopen(record, "w");

	fputs("hvcluster-watchdog-1 9999", f);
	fclose(f);
	cr_assert_eq(watchdog_recorded(w, 5), 0);
	f = fopen(record, "w");
	for (int i = 0; i < 64; i++)
		fputc('9', f);
	fclose(f);
	cr_assert_eq(watchdog_recorded(w, 5), 0);
	watchdog_free(w);
}
