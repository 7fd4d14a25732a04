/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "pki/pki.h"

#include <criterion/criterion.h>
#include <ftw.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define NOW 1800000000ULL
#define DAY 86400ULL

static char dir[64]; /* of the CA */
static char root[80];
static char *why;

static void setup(void)
{
	snprintf(dir, sizeof(dir), "/tmp/hv-pki-XXXXXX");
	cr_assert(mkdtemp(dir));
	snprintf(root, sizeof(root), "%s/root", dir);
	why = NULL;
	cr_assert_eq(pki_make_ca(dir, "test", 100, NOW, &why), HV_OK, "%s", why);
}

static int drop(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	return remove(path);
}

static void teardown(void)
{
	nftw(dir, drop, 8, FTW_DEPTH | FTW_PHYS);
	free(why);
}

TestSuite(pki, .init = setup, .fini = teardown, .timeout = 120);

static const char *in(const char *base, const char *name)
{
	static char paths[4][160];
	static int i;

	i = (i + 1) % 4;
	snprintf(paths[i], sizeof(paths[i]), "%s/%s", base, name);
	return paths[i];
}

static void issue(const char *host, const char *const *names, size_t n, unsigned days)
{
	cr_assert_eq(pki_issue(dir, host, names, n, days, NOW, &why), HV_OK, "%s", why);
}

static enum hv_rc look(const char *host, const char *as, uint64_t now, struct pki_facts *facts)
{
	char folder[100];

	snprintf(folder, sizeof(folder), "%s/%s", dir, host);
	free(why);
	why = NULL;
	return pki_look(in(folder, "ca-cert.pem"), in(folder, "cert.pem"), in(folder, "key.pem"),
			as, now, facts, &why);
}

static void install(const char *host)
{
	cr_assert_eq(pki_install(in(dir, host), root, host, NOW, &why), HV_OK, "%s", why);
}

static mode_t mode_of(const char *path)
{
	struct stat st;

	cr_assert_eq(stat(path, &st), 0, "%s", path);
	return st.st_mode & 0777;
}

Test(pki, a_host_is_known_by_its_name_and_its_other_names)
{
	static const char *const names[] = {"host1.example.org", "10.0.0.1"};
	struct pki_facts facts;

	issue("host1", names, 2, 10);
	cr_assert_eq(look("host1", "host1", NOW, &facts), HV_OK, "%s", why);
	cr_assert_str_eq(facts.subject, "host1");
	cr_assert_eq(facts.expires_s, NOW + 10 * DAY);
	cr_assert_eq(look("host1", "host1.example.org", NOW, &facts), HV_OK, "%s", why);
	cr_assert_eq(look("host1", "10.0.0.1", NOW, &facts), HV_OK, "%s", why);
	cr_assert_eq(look("host1", "host2", NOW, &facts), HV_REFUSED);
	cr_assert(strstr(why, "is for host1, not for host2"), "%s", why);
}

Test(pki, too_early_and_too_late_are_said_with_the_file)
{
	struct pki_facts facts;

	issue("host1", NULL, 0, 10);
	cr_assert_eq(look("host1", NULL, NOW + 10 * DAY, &facts), HV_REFUSED);
	cr_assert(strstr(why, "host1/cert.pem has expired (2027-01-25"), "%s", why);
	cr_assert_eq(look("host1", NULL, NOW - 2 * DAY, &facts), HV_REFUSED);
	cr_assert(strstr(why, "clock"), "%s", why);
	/* clocks differ a little */
	cr_assert_eq(look("host1", NULL, NOW - 3600, &facts), HV_OK, "%s", why);
}

Test(pki, none_outlives_its_ca)
{
	struct pki_facts facts;

	issue("host1", NULL, 0, 1000);
	cr_assert_eq(look("host1", NULL, NOW, &facts), HV_OK);
	cr_assert_eq(facts.expires_s, NOW + 100 * DAY);
}

Test(pki, a_second_ca_is_not_made_and_another_ones_work_is_refused)
{
	struct pki_facts facts;
	char other[80];

	cr_assert_eq(pki_make_ca(dir, "again", 1, NOW, &why), HV_EXISTS);
	free(why);
	why = NULL;
	snprintf(other, sizeof(other), "%s/other", dir);
	cr_assert_eq(pki_make_ca(other, "other", 100, NOW, &why), HV_OK);
	issue("host1", NULL, 0, 10);
	cr_assert_eq(rename(in(other, "ca-cert.pem"), in(dir, "host1/ca-cert.pem")), 0);
	cr_assert_eq(look("host1", NULL, NOW, &facts), HV_REFUSED);
	cr_assert(strstr(why, "is not signed by"), "%s", why);
}

Test(pki, a_key_of_another_certificate_is_found)
{
	struct pki_facts facts;

	issue("host1", NULL, 0, 10);
	issue("host2", NULL, 0, 10);
	cr_assert_eq(rename(in(dir, "host2/key.pem"), in(dir, "host1/key.pem")), 0);
	cr_assert_eq(look("host1", NULL, NOW, &facts), HV_REFUSED);
	cr_assert(strstr(why, "is not the key of"), "%s", why);
}

Test(pki, installed_files_are_all_that_a_host_needs_and_keys_are_nobodys_else)
{
	_cleanup_free_ char *fault = NULL;

	issue("host1", NULL, 0, 10);
	fault = pki_fault(root, "host1", NOW);
	cr_assert(fault && strstr(fault, "/etc/pki/") && strstr(fault, "hvcluster pki issue host1"),
		  "%s", fault);
	install("host1");
	free(fault);
	fault = pki_fault(root, "host1", NOW);
	cr_assert_null(fault, "%s", fault);
	for (size_t i = 0; pki_use_at(i); i++)
		cr_assert_eq(mode_of(in(root, pki_use_at(i)->key + 1)) & 0027, 0);
	cr_assert_eq(mode_of(in(dir, "ca-key.pem")), 0600);
	cr_assert_eq(mode_of(in(dir, "host1/key.pem")), 0600);
}

Test(pki, a_missing_file_is_named_with_the_next_step)
{
	issue("host1", NULL, 0, 10);
	for (size_t i = 0; pki_use_at(i); i++) {
		const struct pki_use *use = pki_use_at(i);
		const char *files[] = {use->cert, use->key, use->ca};

		for (size_t k = 0; k < ARRAY_SIZE(files); k++) {
			_cleanup_free_ char *fault = NULL;

			install("host1");
			cr_assert_eq(unlink(in(root, files[k] + 1)), 0);
			fault = pki_fault(root, "host1", NOW);
			cr_assert(fault && strstr(fault, files[k]), "%s: %s", files[k], fault);
			cr_assert(strstr(fault, "pki install"), "%s", fault);
		}
	}
}

Test(pki, what_others_would_refuse_is_not_installed)
{
	issue("host1", NULL, 0, 10);
	cr_assert_eq(pki_install(in(dir, "host1"), root, "host2", NOW, &why), HV_REFUSED);
	free(why);
	why = NULL;
	cr_assert_eq(pki_install(in(dir, "host1"), root, "host1", NOW + 11 * DAY, &why),
		     HV_REFUSED);
	cr_assert_neq(access(root, F_OK), 0);
}

Test(pki, rubbish_is_an_error_not_a_crash)
{
	static const char *const rubbish[] = {"", "-----BEGIN CERTIFICATE-----\nAAAA\n",
					      "\x30\x82\xff"};
	struct pki_facts facts;

	issue("host1", NULL, 0, 10);
	for (size_t i = 0; i < ARRAY_SIZE(rubbish); i++) {
		FILE *f = fopen(in(dir, "host1/cert.pem"), "w");

		fputs(rubbish[i], f);
		fclose(f);
		cr_assert_eq(look("host1", NULL, NOW, &facts), HV_BAD_INPUT);
		cr_assert(strstr(why, "cert.pem"), "%s", why);
	}
	cr_assert_eq(look("host9", NULL, NOW, &facts), HV_IO);
}
