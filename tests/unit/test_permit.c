/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What hypervisord writes and libvirt's hook reads; and the hook itself, as libvirtd would call it.
 */
#include "hypervisor/permit.h"
#include "hypervisor/start_register.h"

#include <criterion/criterion.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define A "00000000-0000-4000-8000-00000000000a"
#define B "00000000-0000-4000-8000-00000000000b"

static char dir[64];
static char said[1024];

static void setup(void)
{
	snprintf(dir, sizeof(dir), "/tmp/hv-permit-XXXXXX");
	cr_assert(mkdtemp(dir));
}

static int drop(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	return remove(path);
}

static void teardown(void)
{
	nftw(dir, drop, 8, FTW_DEPTH | FTW_PHYS);
}

TestSuite(permit, .init = setup, .fini = teardown, .timeout = 60);

static void managed(const char *uuid)
{
	char *list[] = {(char *)uuid};

	cr_assert(permit_write_managed(dir, list, 1));
}

static void incoming(const char *uuid, uint64_t until_us)
{
	char *list[] = {(char *)uuid};

	cr_assert(permit_set_incoming(dir, list, uuid ? 1 : 0, until_us));
}

/* Feeds the hook a domain's XML and returns its exit status; what it said is in `said`. */
static int hook(const char *operation, const char *uuid)
{
	char *argv[] = {(char *)HOOK,
			(char *)"--state-dir",
			dir,
			(char *)"--run-dir",
			dir,
			(char *)"web1",
			(char *)operation,
			(char *)"begin",
			(char *)"-",
			NULL};
	int in[2], err[2], status = 0;
	ssize_t n;
	pid_t pid;

	cr_assert(pipe(in) == 0 && pipe(err) == 0);
	pid = fork();
	if (pid == 0) {
		dup2(in[0], 0);
		dup2(err[1], 2);
		close(in[1]);
		execv(HOOK, argv);
		_exit(99);
	}
	close(in[0]);
	close(err[1]);
	dprintf(in[1], "<domain type='kvm'>\n  <name>web1</name>\n  <uuid>%s</uuid>\n</domain>\n",
		uuid);
	close(in[1]);
	n = read(err[0], said, sizeof(said) - 1);
	said[n > 0 ? n : 0] = '\0';
	close(err[0]);
	cr_assert_eq(waitpid(pid, &status, 0), pid);
	return WEXITSTATUS(status);
}

Test(permit, a_list_is_read_as_it_was_written)
{
	char *list[] = {(char *)A, (char *)B};

	cr_assert_eq(permit_is_managed(dir, A), PERMIT_NO, "a host that never was in a cluster");
	cr_assert(permit_write_managed(dir, list, 2));
	cr_assert_eq(permit_is_managed(dir, A), PERMIT_YES);
	cr_assert_eq(permit_is_managed(dir, B), PERMIT_YES);
	managed(B);
	cr_assert_eq(permit_is_managed(dir, A), PERMIT_NO);
	cr_assert(permit_write_managed(dir, list, 0));
	cr_assert_eq(permit_is_managed(dir, B), PERMIT_NO);
}

Test(permit, a_list_without_its_end_is_not_known)
{
	char path[128];
	struct stat st;

	snprintf(path, sizeof(path), "%s/managed", dir);
	managed(A);
	stat(path, &st);
	for (off_t len = st.st_size - 1; len >= 0; len--) {
		cr_assert_eq(truncate(path, len), 0);
		cr_assert_eq(permit_is_managed(dir, B), PERMIT_UNKNOWN, "%ld bytes", (long)len);
	}
}

Test(permit, a_permit_ends)
{
	incoming(A, 1000);
	cr_assert(permit_valid(dir, PERMIT_INCOMING, A, 999));
	cr_assert_not(permit_valid(dir, PERMIT_INCOMING, A, 1000));
	cr_assert_not(permit_valid(dir, PERMIT_INCOMING, B, 1));
	cr_assert_not(permit_valid(dir, PERMIT_STARTING, A, 1));
	incoming(B, 1000);
	cr_assert_not(permit_valid(dir, PERMIT_INCOMING, A, 1), "it is not on the list any more");
	incoming(NULL, 0);
	cr_assert_not(permit_valid(dir, PERMIT_INCOMING, B, 1));
}

Test(permit, rubbish_is_no_permit)
{
	static const char *const rubbish[] = {"", "x", "12", "99999999999999999999999999\n"};
	char path[128];

	incoming(A, 1000);
	snprintf(path, sizeof(path), "%s/incoming/" A, dir);
	for (size_t i = 0; i < ARRAY_SIZE(rubbish); i++) {
		FILE *f = fopen(path, "w");

		fputs(rubbish[i], f);
		fclose(f);
		cr_assert_not(permit_valid(dir, PERMIT_INCOMING, A, 1), "'%s'", rubbish[i]);
	}
}

Test(permit, the_hook_leaves_strangers_and_what_runs_alone)
{
	managed(A);
	cr_assert_eq(hook("prepare", B), 0);
	cr_assert_eq(hook("reconnect", A), 0);
	cr_assert_eq(hook("stopped", A), 0);
	cr_assert_str_empty(said);
}

Test(permit, the_hook_refuses_and_says_what_to_do)
{
	static const char *const beginnings[] = {"prepare", "restore", "migrate"};

	managed(A);
	for (size_t i = 0; i < ARRAY_SIZE(beginnings); i++) {
		cr_assert_eq(hook(beginnings[i], A), 1, "%s", beginnings[i]);
		cr_assert(strstr(said, "hvcluster vm start web1"), "%s", said);
	}
}

Test(permit, the_hook_lets_a_start_of_ours_through_and_only_while_it_lasts)
{
	char path[128];

	snprintf(path, sizeof(path), "%s/starting", dir);
	cr_assert(start_register_open(path));
	managed(A);
	start_register_begin(A);
	cr_assert_eq(hook("prepare", A), 0, "%s", said);
	start_register_end(A, false);
	cr_assert_eq(hook("prepare", A), 1);
}

Test(permit, the_hook_lets_an_expected_arrival_through)
{
	managed(A);
	incoming(A, permit_now_us() + 10 * HV_US_PER_S);
	cr_assert_eq(hook("migrate", A), 0, "%s", said);
	cr_assert_eq(hook("prepare", A), 0, "%s", said);
	incoming(A, permit_now_us() - 1);
	cr_assert_eq(hook("prepare", A), 1);
}

Test(permit, an_arrival_that_this_host_has_not_heard_of_yet_is_waited_for)
{
	pid_t pid;

	managed(A);
	pid = fork();
	if (pid == 0) {
		char *list[] = {(char *)A};

		usleep(300000);
		permit_set_incoming(dir, list, 1, permit_now_us() + 10 * HV_US_PER_S);
		_exit(0);
	}
	cr_assert_eq(hook("migrate", A), 0, "%s", said);
	waitpid(pid, NULL, 0);
}

Test(permit, the_hook_refuses_when_it_cannot_know)
{
	char path[128];

	managed(A);
	snprintf(path, sizeof(path), "%s/managed", dir);
	cr_assert_eq(truncate(path, 30), 0);
	cr_assert_eq(hook("prepare", B), 1);
	cr_assert(strstr(said, path), "%s", said);
}
