/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "pki/pki_priv.h"

#include <grp.h>
#include <string.h>
#include <unistd.h>

/* The group that QEMU runs with, where there is one (Debian); root can read everything anyhow. */
static gid_t qemu_group(void)
{
	static const char *const names[] = {"libvirt-qemu", "qemu", "kvm"};

	for (size_t i = 0; i < ARRAY_SIZE(names) && geteuid() == 0; i++) {
		const struct group *g = getgrnam(names[i]);

		if (g)
			return g->gr_gid;
	}
	return (gid_t)-1;
}

static enum hv_rc make_folder_of(const char *file, mode_t mode, char **ret_why)
{
	_cleanup_free_ char *dir = hv_xstrdup(file);

	*strrchr(dir, '/') = '\0';
	return pki_folder_make(dir, mode, ret_why);
}

static enum hv_rc copy(const char *from, const char *root, const char *to, mode_t mode, gid_t gid,
		       char **ret_why)
{
	_cleanup_free_ char *path = hv_xasprintf("%s%s", root, to);
	_cleanup_datum_ gnutls_datum_t data = {0};
	enum hv_rc rc = pki_file_read(from, &data, ret_why);

	if (rc == HV_OK)
		rc = make_folder_of(path, strstr(to, "/private/") ? 0700 : 0755, ret_why);
	return rc == HV_OK ? pki_file_write(path, &data, mode, gid, ret_why) : rc;
}

enum hv_rc pki_install(const char *from, const char *root, const char *host, uint64_t now_s,
		       char **ret_why)
{
	_cleanup_free_ char *ca = hv_xasprintf("%s/ca-cert.pem", from);
	_cleanup_free_ char *cert = hv_xasprintf("%s/cert.pem", from);
	_cleanup_free_ char *key = hv_xasprintf("%s/key.pem", from);
	struct pki_facts facts;
	enum hv_rc rc = pki_look(ca, cert, key, host, now_s, &facts, ret_why);

	for (size_t i = 0; rc == HV_OK && pki_use_at(i); i++) {
		const struct pki_use *use = pki_use_at(i);
		bool qemu = strncmp(use->name, "QEMU", 4) == 0;
		gid_t gid = qemu ? qemu_group() : (gid_t)-1;

		rc = copy(ca, root, use->ca, 0644, (gid_t)-1, ret_why);
		if (rc == HV_OK)
			rc =
			    copy(key, root, use->key, gid != (gid_t)-1 ? 0640 : 0600, gid, ret_why);
		if (rc == HV_OK)
			rc = copy(cert, root, use->cert, 0644, (gid_t)-1, ret_why);
	}
	return rc;
}
