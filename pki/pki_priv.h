/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What make.c, install.c and look.c share: GnuTLS objects that free themselves, and small files. */
#ifndef HV_PKI_PKI_PRIV_H
#define HV_PKI_PKI_PRIV_H

#include "pki/pki.h"

#include <gnutls/gnutls.h>
#include <gnutls/x509.h>
#include <sys/types.h>

#define PKI_FILE_MAX 65536 /* of a PEM file */

static inline void pki_crt_freep(gnutls_x509_crt_t *crt)
{
	if (*crt)
		gnutls_x509_crt_deinit(*crt);
}
#define _cleanup_crt_ _cleanup_(pki_crt_freep)

static inline void pki_key_freep(gnutls_x509_privkey_t *key)
{
	if (*key)
		gnutls_x509_privkey_deinit(*key);
}
#define _cleanup_key_ _cleanup_(pki_key_freep)

static inline void pki_datum_done(gnutls_datum_t *d)
{
	if (d->data)
		gnutls_memset(d->data, 0, d->size);
	gnutls_free(d->data);
	d->data = NULL;
}
#define _cleanup_datum_ _cleanup_(pki_datum_done)

/* ---- files.c */

/* GnuTLS frees the data. */
enum hv_rc pki_file_read(const char *path, gnutls_datum_t *ret, char **ret_why);
/* Whole or not at all: a new file takes the old one's place. gid -1: as it comes. */
enum hv_rc pki_file_write(const char *path, const gnutls_datum_t *data, mode_t mode, gid_t gid,
			  char **ret_why);
/* Makes the folder and those above it. */
enum hv_rc pki_folder_make(const char *path, mode_t mode, char **ret_why);

/* ---- look.c */

enum hv_rc pki_crt_read(const char *path, gnutls_x509_crt_t *ret, char **ret_why);
enum hv_rc pki_key_read(const char *path, gnutls_x509_privkey_t *ret, char **ret_why);

#endif
