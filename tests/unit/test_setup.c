/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What a host's own configuration is said to lack, in a folder that plays the host. */
#include "hypervisor/setup.h"
#include "pki/pki.h"

#include <criterion/criterion.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define LOCKED "0000: 00000002 00000000 00010000 0001 01 4711 /run/libvirt/virtlockd-sock\n"

static char root[64];
static struct setup_seen seen;

static char *in_root(const char *path)
{
	static char full[4][256];
	static unsigned turn;
	char *s = full[turn++ % 4];

	snprintf(s, sizeof(full[0]), "%s%s", root, path);
	return s;
}

static void folders(const char *path)
{
	char *full = in_root(path);

	for (char *p = full + strlen(root) + 1; (p = strchr(p, '/')); p++) {
		*p = '\0';
		mkdir(full, 0755);
		*p = '/';
	}
}

static void file(const char *path, const char *text)
{
	FILE *f;

	folders(path);
	f = fopen(in_root(path), "w");
	cr_assert(f, "%s", path);
	fputs(text, f);
	fclose(f);
}

/* libvirtd writes its pid file when it starts. */
static void libvirtd_started(int seconds_from_now)
{
	struct timespec times[2];

	file("/run/libvirtd.pid", "1\n");
	clock_gettime(CLOCK_REALTIME, &times[0]);
	times[0].tv_sec += seconds_from_now;
	times[1] = times[0];
	cr_assert_eq(utimensat(AT_FDCWD, in_root("/run/libvirtd.pid"), times, 0), 0);
}

static void look_at(uint64_t now_s)
{
	struct setup_place place = {root, in_root("/unix"), "/usr/libexec/hvcluster/qemu-hook",
				    "host1", now_s};

	setup_look(&place, &seen);
}

static void look(void)
{
	look_at(pki_now_s());
}

static void setup(void)
{
	snprintf(root, sizeof(root), "/tmp/hv-setup-XXXXXX");
	cr_assert(mkdtemp(root));
	file("/unix", "Num RefCount Protocol Flags Type St Inode Path\n");
	libvirtd_started(10);
}

static void teardown(void)
{
	_cleanup_free_ char *words = hv_xasprintf("%s", root);
	pid_t child = fork();

	if (child == 0) {
		execlp("rm", "rm", "-rf", "--one-file-system", words, NULL);
		_exit(127);
	}
}

TestSuite(setup, .init = setup, .fini = teardown, .timeout = 60);

Test(setup, a_hook_that_is_not_there_is_said_with_what_to_type)
{
	look();
	cr_assert(strstr(seen.hook,
			 "ln -s /usr/libexec/hvcluster/qemu-hook /etc/libvirt/hooks/qemu.d/"
			 "hvcluster"));
}

Test(setup, a_script_that_calls_it_will_do_and_another_one_will_not)
{
	file("/etc/libvirt/hooks/qemu.d/other", "#!/bin/sh\nexit 0\n");
	chmod(in_root("/etc/libvirt/hooks/qemu.d/other"), 0755);
	file("/etc/libvirt/hooks/qemu.d/hvcluster", "#!/bin/sh\nexec /opt/hv/qemu-hook \"$@\"\n");
	look();
	cr_assert(strstr(seen.hook, "not installed"), "it cannot be executed");
	chmod(in_root("/etc/libvirt/hooks/qemu.d/hvcluster"), 0755);
	look();
	cr_assert_str_eq(seen.hook, "");
}

Test(setup, a_link_to_it_will_do_unless_libvirtd_is_older)
{
	file("/opt/qemu-hook", "\177ELF");
	chmod(in_root("/opt/qemu-hook"), 0755);
	folders("/etc/libvirt/hooks/qemu");
	cr_assert_eq(symlink(in_root("/opt/qemu-hook"), in_root("/etc/libvirt/hooks/qemu")), 0);
	look();
	cr_assert_str_eq(seen.hook, "");
	libvirtd_started(-60);
	look();
	cr_assert(strstr(seen.hook, "restart libvirtd"));
}

Test(setup, the_lock_manager_is_the_last_one_that_is_set)
{
	look();
	cr_assert_str_eq(seen.disk_lock, "none");
	file("/etc/libvirt/qemu.conf", "#lock_manager = \"lockd\"\nlock_manager_x = \"a\"\n");
	look();
	cr_assert_str_eq(seen.disk_lock, "none");
	cr_assert_str_eq(seen.disk_lock_text, "");
	file("/etc/libvirt/qemu.conf",
	     "lock_manager=\"nop\"\n  lock_manager = \"sanlock\" # ours\n");
	look();
	cr_assert_str_eq(seen.disk_lock, "sanlock");
	cr_assert(strstr(seen.disk_lock_text, "sanlock does not run"));
}

Test(setup, virtlockd_must_listen_and_reach_other_hosts)
{
	file("/etc/libvirt/qemu.conf", "lock_manager = \"lockd\"\n");
	look();
	cr_assert_str_eq(seen.disk_lock, "lockd");
	cr_assert(strstr(seen.disk_lock_text, "virtlockd does not run"));
	file("/unix", "Num RefCount Protocol Flags Type St Inode Path\n" LOCKED);
	look();
	cr_assert(strstr(seen.disk_lock_text, "file_lockspace_dir"), "%s", seen.disk_lock_text);
	file("/etc/libvirt/qemu-lockd.conf", "file_lockspace_dir = \"/srv/locks\"\n");
	look();
	cr_assert_str_eq(seen.disk_lock_text, "");
	libvirtd_started(-60);
	look();
	cr_assert(strstr(seen.disk_lock_text, "changed after libvirtd was started"));
}

Test(setup, a_certificate_that_ends_within_30_days_is_said)
{
	_cleanup_free_ char *why = NULL;
	_cleanup_free_ char *ca = hv_xstrdup(in_root("/ca")),
			    *of_host = hv_xstrdup(in_root("/ca/host1"));
	uint64_t now = pki_now_s();

	look();
	cr_assert(strstr(seen.certificate, "hvcluster pki issue host1"), "%s", seen.certificate);
	folders("/ca/x");
	cr_assert_eq(pki_make_ca(ca, "test", PKI_CA_DAYS, now, &why), HV_OK, "%s", why);
	cr_assert_eq(pki_issue(ca, "host1", NULL, 0, 40, now, &why), HV_OK, "%s", why);
	cr_assert_eq(pki_install(of_host, root, "host1", now, &why), HV_OK, "%s", why);
	look_at(now);
	cr_assert_str_eq(seen.certificate, "");
	look_at(now + 12 * 86400);
	cr_assert(strstr(seen.certificate, "in 28 days"), "%s", seen.certificate);
	cr_assert(strstr(seen.certificate, "hvcluster pki issue host1"));
	look_at(now + 41 * 86400);
	cr_assert(strstr(seen.certificate, "has expired"), "%s", seen.certificate);
}
