/*
 * OpenSSL, loaded when a certificate is given: docs/adr/0032.
 *
 * Its macros (SSL_CTX_set_mode, BIO_set_retry_read, ...) call functions by
 * name, which are not linked here; what they stand for is written out in tls.c.
 */
#ifndef MD_NET_OPENSSL_LIB_H
#define MD_NET_OPENSSL_LIB_H

#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>

#include "base/error.h"

/* What is used of it: lib->SSL_new() is SSL_new(). */
typedef struct md_openssl_lib {
#define FUNCTION(name) __typeof__(name) *name;
#include "net/openssl_lib.def"
#undef FUNCTION
} md_openssl_lib;

/* Load the library `soname`, libssl's, which brings libcrypto.  MD_UNAVAILABLE
 * says what is missing and what to install. */
md_status md_openssl_lib_load(md_openssl_lib *out, const char *soname,
                              md_error *err);

#endif
