/* What tls.c and tls_context.c know of each other. */
#ifndef MD_NET_TLS_IMPL_H
#define MD_NET_TLS_IMPL_H

#include "net/openssl_lib.h"
#include "net/tls.h"

struct md_tls_context {
    const md_alloc *alloc;
    md_openssl_lib lib;
    SSL_CTX *ssl;
    unsigned n_refs; /* its maker's, and one of each connection */
};

#endif
