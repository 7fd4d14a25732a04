/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "pki/pki_priv.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

/* Where libvirt (docs: "TLS setup") and QEMU (libvirt's preset of default_tls_x509_cert_dir) look.
 */
#define CA_FILE "/etc/pki/CA/cacert.pem"
#define LIBVIRT "/etc/pki/libvirt/"
#define QEMU "/etc/pki/qemu/"
static const struct pki_use uses[] = {
    {"libvirt client", CA_FILE, LIBVIRT "clientcert.pem", LIBVIRT "private/clientkey.pem", false},
    {"libvirt server", CA_FILE, LIBVIRT "servercert.pem", LIBVIRT "private/serverkey.pem", true},
    {"QEMU client", QEMU "ca-cert.pem", QEMU "client-cert.pem", QEMU "client-key.pem", false},
    {"QEMU server", QEMU "ca-cert.pem", QEMU "server-cert.pem", QEMU "server-key.pem", true},
};

const struct pki_use *pki_use_at(size_t i)
{
	return i < ARRAY_SIZE(uses) ? &uses[i] : NULL;
}

enum hv_rc pki_crt_read(const char *path, gnutls_x509_crt_t *ret, char **ret_why)
{
	_cleanup_datum_ gnutls_datum_t data = {0};
	_cleanup_crt_ gnutls_x509_crt_t crt = NULL;
	enum hv_rc rc = pki_file_read(path, &data, ret_why);

	if (rc != HV_OK)
		return rc;
	if (gnutls_x509_crt_init(&crt) < 0 ||
	    gnutls_x509_crt_import(crt, &data, GNUTLS_X509_FMT_PEM) < 0) {
		*ret_why = hv_xasprintf("%s is not a certificate", path);
		return HV_BAD_INPUT;
	}
	*ret = steal_ptr(crt);
	return HV_OK;
}

enum hv_rc pki_key_read(const char *path, gnutls_x509_privkey_t *ret, char **ret_why)
{
	_cleanup_datum_ gnutls_datum_t data = {0};
	_cleanup_key_ gnutls_x509_privkey_t key = NULL;
	enum hv_rc rc = pki_file_read(path, &data, ret_why);

	if (rc != HV_OK)
		return rc;
	if (gnutls_x509_privkey_init(&key) < 0 ||
	    gnutls_x509_privkey_import2(key, &data, GNUTLS_X509_FMT_PEM, NULL, 0) < 0) {
		*ret_why = hv_xasprintf("%s is not a key, or it is encrypted", path);
		return HV_BAD_INPUT;
	}
	*ret = steal_ptr(key);
	return HV_OK;
}

static enum hv_rc refuse(char **ret_why, char *why)
{
	*ret_why = why;
	return HV_REFUSED;
}

static char *day(uint64_t s)
{
	time_t t = (time_t)s;
	char text[32];
	struct tm tm;

	gmtime_r(&t, &tm);
	strftime(text, sizeof(text), "%F %H:%M UTC", &tm);
	return hv_xstrdup(text);
}

static enum hv_rc check_dates(const char *path, gnutls_x509_crt_t crt, uint64_t now_s,
			      char **ret_why)
{
	uint64_t begins = (uint64_t)gnutls_x509_crt_get_activation_time(crt);
	uint64_t expires = (uint64_t)gnutls_x509_crt_get_expiration_time(crt);
	_cleanup_free_ char *when = day(now_s < begins ? begins : expires);

	if (now_s < begins)
		return refuse(ret_why,
			      hv_xasprintf("%s is not valid before %s: is this host's clock right?",
					   path, when));
	if (now_s >= expires)
		return refuse(ret_why, hv_xasprintf("%s has expired (%s)", path, when));
	return HV_OK;
}

static void note(gnutls_x509_crt_t crt, struct pki_facts *ret)
{
	size_t len = sizeof(ret->subject);

	memset(ret, 0, sizeof(*ret));
	if (gnutls_x509_crt_get_dn_by_oid(crt, GNUTLS_OID_X520_COMMON_NAME, 0, 0, ret->subject,
					  &len) < 0)
		snprintf(ret->subject, sizeof(ret->subject), "?");
	ret->begins_s = (uint64_t)gnutls_x509_crt_get_activation_time(crt);
	ret->expires_s = (uint64_t)gnutls_x509_crt_get_expiration_time(crt);
}

static enum hv_rc check_signature(const char *ca_file, gnutls_x509_crt_t ca, const char *cert_file,
				  gnutls_x509_crt_t crt, char **ret_why)
{
	unsigned status = 0;

	if (gnutls_x509_crt_get_ca_status(ca, NULL) != 1)
		return refuse(ret_why, hv_xasprintf("%s is not a CA's certificate", ca_file));
	if (gnutls_x509_crt_verify(crt, &ca, 1, GNUTLS_VERIFY_DISABLE_TIME_CHECKS, &status) < 0 ||
	    status != 0)
		return refuse(ret_why, hv_xasprintf("%s is not signed by %s", cert_file, ca_file));
	return HV_OK;
}

static enum hv_rc check_key(const char *cert_file, gnutls_x509_crt_t crt, const char *key_file,
			    char **ret_why)
{
	_cleanup_key_ gnutls_x509_privkey_t key = NULL;
	uint8_t of_key[64], of_crt[64];
	size_t len_key = sizeof(of_key), len_crt = sizeof(of_crt);
	enum hv_rc rc = pki_key_read(key_file, &key, ret_why);

	if (rc != HV_OK)
		return rc;
	if (gnutls_x509_privkey_get_key_id(key, 0, of_key, &len_key) < 0 ||
	    gnutls_x509_crt_get_key_id(crt, 0, of_crt, &len_crt) < 0 || len_key != len_crt ||
	    memcmp(of_key, of_crt, len_key) != 0)
		return refuse(ret_why,
			      hv_xasprintf("%s is not the key of %s", key_file, cert_file));
	return HV_OK;
}

enum hv_rc pki_look(const char *ca_file, const char *cert_file, const char *key_file,
		    const char *host, uint64_t now_s, struct pki_facts *ret, char **ret_why)
{
	_cleanup_crt_ gnutls_x509_crt_t ca = NULL, crt = NULL;
	enum hv_rc rc = pki_crt_read(cert_file, &crt, ret_why);

	if (rc != HV_OK)
		return rc;
	note(crt, ret);
	rc = pki_crt_read(ca_file, &ca, ret_why);
	if (rc == HV_OK)
		rc = check_dates(ca_file, ca, now_s, ret_why);
	if (rc == HV_OK)
		rc = check_dates(cert_file, crt, now_s, ret_why);
	if (rc == HV_OK)
		rc = check_signature(ca_file, ca, cert_file, crt, ret_why);
	if (rc == HV_OK)
		rc = check_key(cert_file, crt, key_file, ret_why);
	if (rc == HV_OK && host && !gnutls_x509_crt_check_hostname(crt, host))
		rc = refuse(ret_why, hv_xasprintf("%s is for %s, not for %s", cert_file,
						  ret->subject, host));
	return rc;
}

char *pki_fault(const char *root, const char *host, uint64_t now_s)
{
	for (size_t i = 0; i < ARRAY_SIZE(uses); i++) {
		_cleanup_free_ char *ca = hv_xasprintf("%s%s", root, uses[i].ca);
		_cleanup_free_ char *cert = hv_xasprintf("%s%s", root, uses[i].cert);
		_cleanup_free_ char *key = hv_xasprintf("%s%s", root, uses[i].key);
		_cleanup_free_ char *why = NULL;
		struct pki_facts facts;

		if (pki_look(ca, cert, key, uses[i].server ? host : NULL, now_s, &facts, &why) !=
		    HV_OK)
			return hv_xasprintf("%s; 'hvcluster pki issue %s' where the CA is, then "
					    "'hvcluster pki install' on %s",
					    why, host, host);
	}
	return NULL;
}

/* 0: it cannot be read. */
static uint64_t end_of(const char *path)
{
	_cleanup_crt_ gnutls_x509_crt_t crt = NULL;
	_cleanup_free_ char *why = NULL;

	if (pki_crt_read(path, &crt, &why) != HV_OK)
		return 0;
	return (uint64_t)gnutls_x509_crt_get_expiration_time(crt);
}

static char *ends_soon(const char *path, const char *mend, const char *host, uint64_t now_s)
{
	uint64_t end = end_of(path);
	_cleanup_free_ char *when = day(end);

	if (!end || end > now_s + PKI_EXPIRES_SOON_S)
		return NULL;
	return hv_xasprintf(
	    "%s ends on %s, in %llu days, and migrations then fail: 'hvcluster pki %s "
	    "%s' where the CA is, then 'hvcluster pki install' on %s",
	    path, when, (unsigned long long)(end > now_s ? (end - now_s) / 86400 : 0), mend, host,
	    host);
}

char *pki_ends_soon(const char *root, const char *host, uint64_t now_s)
{
	for (size_t i = 0; i < ARRAY_SIZE(uses); i++) {
		_cleanup_free_ char *ca = hv_xasprintf("%s%s", root, uses[i].ca);
		_cleanup_free_ char *cert = hv_xasprintf("%s%s", root, uses[i].cert);
		char *text = ends_soon(cert, "issue", host, now_s);

		if (!text)
			text =
			    ends_soon(ca, "init' (a new CA) and 'hvcluster pki issue", host, now_s);
		if (text)
			return text;
	}
	return NULL;
}
