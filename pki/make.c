/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "pki/pki_priv.h"

#include "proto/ids.h"

#include <arpa/inet.h>
#include <gnutls/crypto.h>
#include <string.h>
#include <unistd.h>

#define RSA_BITS 3072
#define SERIAL_LEN 16
#define EARLIER_S 86400 /* hosts' clocks differ */

/* What a certificate is to say. */
struct wish {
	const char *name;
	const char *const *names;
	size_t n_names;
	bool is_ca;
	uint64_t begins_s, expires_s;
};

static enum hv_rc failed(int r, const char *what, char **ret_why)
{
	*ret_why = hv_xasprintf("%s: %s", what, gnutls_strerror(r));
	return HV_FAILED;
}

static int add_name(gnutls_x509_crt_t crt, const char *name)
{
	uint8_t address[sizeof(struct in6_addr)];
	unsigned len = 0;

	if (inet_pton(AF_INET, name, address) == 1)
		len = sizeof(struct in_addr);
	else if (inet_pton(AF_INET6, name, address) == 1)
		len = sizeof(struct in6_addr);
	if (len)
		return gnutls_x509_crt_set_subject_alt_name(crt, GNUTLS_SAN_IPADDRESS, address, len,
							    GNUTLS_FSAN_APPEND);
	return gnutls_x509_crt_set_subject_alt_name(crt, GNUTLS_SAN_DNSNAME, name,
						    (unsigned)strlen(name), GNUTLS_FSAN_APPEND);
}

static int add_numbers(gnutls_x509_crt_t crt)
{
	uint8_t serial[SERIAL_LEN], id[64];
	size_t len = sizeof(id);
	int r = gnutls_rnd(GNUTLS_RND_NONCE, serial, sizeof(serial));

	serial[0] &= 0x7f; /* RFC 5280, 4.1.2.2: positive */
	serial[0] |= 0x40;
	if (r == 0)
		r = gnutls_x509_crt_set_serial(crt, serial, sizeof(serial));
	if (r == 0)
		r = gnutls_x509_crt_get_key_id(crt, 0, id, &len);
	return r ? r : gnutls_x509_crt_set_subject_key_id(crt, id, len);
}

static int add_uses(gnutls_x509_crt_t crt, const struct wish *w)
{
	int r = gnutls_x509_crt_set_basic_constraints(crt, w->is_ca, w->is_ca ? 0 : -1);

	if (r == 0)
		r = gnutls_x509_crt_set_key_usage(
		    crt, w->is_ca ? GNUTLS_KEY_KEY_CERT_SIGN | GNUTLS_KEY_CRL_SIGN
				  : GNUTLS_KEY_DIGITAL_SIGNATURE | GNUTLS_KEY_KEY_ENCIPHERMENT);
	if (r == 0 && !w->is_ca)
		r = gnutls_x509_crt_set_key_purpose_oid(crt, GNUTLS_KP_TLS_WWW_SERVER, 0);
	if (r == 0 && !w->is_ca)
		r = gnutls_x509_crt_set_key_purpose_oid(crt, GNUTLS_KP_TLS_WWW_CLIENT, 0);
	return r;
}

static int fill(gnutls_x509_crt_t crt, gnutls_x509_privkey_t key, const struct wish *w)
{
	int r = gnutls_x509_crt_set_version(crt, 3);

	if (r == 0)
		r = gnutls_x509_crt_set_key(crt, key);
	if (r == 0)
		r = gnutls_x509_crt_set_dn_by_oid(crt, GNUTLS_OID_X520_COMMON_NAME, 0, w->name,
						  (unsigned)strlen(w->name));
	if (r == 0)
		r = gnutls_x509_crt_set_activation_time(crt, (time_t)(w->begins_s));
	if (r == 0)
		r = gnutls_x509_crt_set_expiration_time(crt, (time_t)w->expires_s);
	if (r == 0)
		r = add_numbers(crt);
	if (r == 0)
		r = add_uses(crt, w);
	for (size_t i = 0; r == 0 && i < w->n_names; i++)
		r = add_name(crt, w->names[i]);
	return r;
}

/* Signed by `ca` with `ca_key`, or by itself when there is none. */
static int make(const struct wish *w, gnutls_x509_crt_t ca, gnutls_x509_privkey_t ca_key,
		gnutls_datum_t *ret_crt, gnutls_datum_t *ret_key)
{
	_cleanup_crt_ gnutls_x509_crt_t crt = NULL;
	_cleanup_key_ gnutls_x509_privkey_t key = NULL;
	int r = gnutls_x509_privkey_init(&key);

	if (r == 0)
		r = gnutls_x509_privkey_generate(key, GNUTLS_PK_RSA, RSA_BITS, 0);
	if (r == 0)
		r = gnutls_x509_crt_init(&crt);
	if (r == 0)
		r = fill(crt, key, w);
	if (r == 0)
		r = gnutls_x509_crt_sign2(crt, ca ? ca : crt, ca ? ca_key : key, GNUTLS_DIG_SHA256,
					  0);
	if (r == 0)
		r = gnutls_x509_crt_export2(crt, GNUTLS_X509_FMT_PEM, ret_crt);
	if (r == 0)
		r = gnutls_x509_privkey_export2_pkcs8(key, GNUTLS_X509_FMT_PEM, NULL,
						      GNUTLS_PKCS_PLAIN, ret_key);
	return r;
}

/* The key first: a certificate without its key would look like a CA that can be used. */
static enum hv_rc store(const char *dir, const char *prefix, const gnutls_datum_t *crt,
			const gnutls_datum_t *key, char **ret_why)
{
	_cleanup_free_ char *cert_file = hv_xasprintf("%s/%scert.pem", dir, prefix);
	_cleanup_free_ char *key_file = hv_xasprintf("%s/%skey.pem", dir, prefix);
	enum hv_rc rc = pki_folder_make(dir, 0700, ret_why);

	if (rc == HV_OK)
		rc = pki_file_write(key_file, key, 0600, (gid_t)-1, ret_why);
	if (rc == HV_OK)
		rc = pki_file_write(cert_file, crt, 0644, (gid_t)-1, ret_why);
	return rc;
}

enum hv_rc pki_make_ca(const char *dir, const char *name, unsigned days, uint64_t now_s,
		       char **ret_why)
{
	_cleanup_free_ char *file = hv_xasprintf("%s/ca-key.pem", dir);
	_cleanup_free_ char *title = hv_xasprintf("hvcluster %s", name);
	_cleanup_datum_ gnutls_datum_t crt = {0}, key = {0};
	const struct wish w = {.name = title,
			       .is_ca = true,
			       .begins_s = now_s - EARLIER_S,
			       .expires_s = now_s + days * 86400ULL};
	int r;

	if (access(file, F_OK) == 0) {
		*ret_why = hv_xasprintf("there is a CA in %s already, and hosts may trust it", dir);
		return HV_EXISTS;
	}
	r = make(&w, NULL, NULL, &crt, &key);
	if (r < 0)
		return failed(r, "the CA cannot be made", ret_why);
	return store(dir, "ca-", &crt, &key, ret_why);
}

/* A certificate that outlives its CA would only seem to be valid. */
static uint64_t expiry(gnutls_x509_crt_t ca, uint64_t now_s, unsigned days)
{
	uint64_t wanted = now_s + days * 86400ULL;
	uint64_t most = (uint64_t)gnutls_x509_crt_get_expiration_time(ca);

	return wanted < most ? wanted : most;
}

static enum hv_rc copy_ca(const char *dir, const char *to, char **ret_why)
{
	_cleanup_free_ char *from_file = hv_xasprintf("%s/ca-cert.pem", dir);
	_cleanup_free_ char *to_file = hv_xasprintf("%s/ca-cert.pem", to);
	_cleanup_datum_ gnutls_datum_t data = {0};
	enum hv_rc rc = pki_file_read(from_file, &data, ret_why);

	return rc == HV_OK ? pki_file_write(to_file, &data, 0644, (gid_t)-1, ret_why) : rc;
}

static enum hv_rc read_ca(const char *dir, gnutls_x509_crt_t *ret_ca,
			  gnutls_x509_privkey_t *ret_key, char **ret_why)
{
	_cleanup_free_ char *cert_file = hv_xasprintf("%s/ca-cert.pem", dir);
	_cleanup_free_ char *key_file = hv_xasprintf("%s/ca-key.pem", dir);
	enum hv_rc rc = pki_crt_read(cert_file, ret_ca, ret_why);

	return rc == HV_OK ? pki_key_read(key_file, ret_key, ret_why) : rc;
}

enum hv_rc pki_issue(const char *dir, const char *host, const char *const *names, size_t n_names,
		     unsigned days, uint64_t now_s, char **ret_why)
{
	_cleanup_free_ char *to = hv_xasprintf("%s/%s", dir, host);
	_cleanup_crt_ gnutls_x509_crt_t ca = NULL;
	_cleanup_key_ gnutls_x509_privkey_t ca_key = NULL;
	_cleanup_datum_ gnutls_datum_t crt = {0}, key = {0};
	const char *all[PKI_NAMES_MAX + 1] = {host};
	struct wish w = {.name = host, .names = all, .begins_s = now_s - EARLIER_S};
	enum hv_rc rc;
	int r;

	hv_assert(hv_name_valid(host) && n_names <= PKI_NAMES_MAX);
	rc = read_ca(dir, &ca, &ca_key, ret_why);
	if (rc != HV_OK)
		return rc;
	for (size_t i = 0; i < n_names; i++)
		all[i + 1] = names[i];
	w.n_names = n_names + 1;
	w.expires_s = expiry(ca, now_s, days);
	r = make(&w, ca, ca_key, &crt, &key);
	if (r < 0)
		return failed(r, "the certificate cannot be made", ret_why);
	rc = store(to, "", &crt, &key, ret_why);
	return rc == HV_OK ? copy_ca(dir, to, ret_why) : rc;
}
