/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * pki.h - the cluster's own certificate authority, and the certificates by which libvirt and QEMU
 * of one host know those of another.
 *
 * A *CA folder* (/etc/hvcluster/pki) is on one host, or better on none: what it has signed works
 * without it.
 *
 *     ca-cert.pem  ca-key.pem             made once
 *     HOST/ca-cert.pem  cert.pem  key.pem   for each host: to be copied there and installed
 *
 * `install` puts a host's three files to where libvirt and QEMU look for them (pki_uses); it is the
 * same certificate four times, as client and as server of both. libvirt talks to libvirt with it
 * (qemu+tls://), and QEMU to QEMU (VIR_MIGRATE_TLS): the memory of a guest goes over the second.
 *
 * Keys are RSA with the key usage keyEncipherment: libvirt 9 refuses a server's ECDSA certificate,
 * which cannot have it (virnettlscontext.c, CheckCertKeyUsage).
 *
 * Every sentence in *ret_why (the caller frees) names the file.
 */
#ifndef HV_PKI_PKI_H
#define HV_PKI_PKI_H

#include "proto/base.h"
#include "proto/rc.h"

#define PKI_DIR "/etc/hvcluster/pki"
#define PKI_CA_DAYS 3650
#define PKI_HOST_DAYS 1825
#define PKI_EXPIRES_SOON_S (30 * 86400) /* from then on it is worth a warning */
#define PKI_NAMES_MAX 16

/* ---- making. `now_s` is seconds since 1970. */

/* HV_EXISTS if there is a CA in `dir`: hosts trust that one. `name` is the cluster's, for people.
 */
enum hv_rc pki_make_ca(const char *dir, const char *name, unsigned days, uint64_t now_s,
		       char **ret_why);
/* A certificate for `host`, which peers know by that name and by `names` (host names or addresses).
 * One that is there is replaced. */
enum hv_rc pki_issue(const char *dir, const char *host, const char *const *names, size_t n_names,
		     unsigned days, uint64_t now_s, char **ret_why);
/* The three files in `from` to where they are used, below `root` ("": this host). They are looked
 * at first: what peers would refuse is not installed. */
enum hv_rc pki_install(const char *from, const char *root, const char *host, uint64_t now_s,
		       char **ret_why);

/* ---- looking */

struct pki_use {
	const char *name; /* "libvirt server" */
	const char *ca, *cert, *key;
	bool server; /* must have the host's name in it */
};
/* The four. NULL after the last. */
const struct pki_use *pki_use_at(size_t i);

struct pki_facts {
	char subject[80];
	uint64_t begins_s, expires_s;
};
/*
 * Is this certificate one that peers would take? The CA's and its own validity, signature, key, and
 * with `host` its name. HV_IO: cannot be read; HV_REFUSED: is not valid; then *ret_why says which
 * file and why. *ret is filled as far as the certificate could be read.
 */
enum hv_rc pki_look(const char *ca, const char *cert, const char *key, const char *host,
		    uint64_t now_s, struct pki_facts *ret, char **ret_why);
/*
 * All that a host with this name needs for migrations in both directions. NULL: nothing is wrong.
 * Else what, and the next step; the caller frees.
 */
char *pki_fault(const char *root, const char *host, uint64_t now_s);

/* The first of them to end within PKI_EXPIRES_SOON_S, and the next step; NULL: none. */
char *pki_ends_soon(const char *root, const char *host, uint64_t now_s);

/* CLOCK_REALTIME. */
uint64_t pki_now_s(void);

#endif
