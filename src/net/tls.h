/*
 * TLS 1.2 and 1.3 on a connected socket that does not block, by OpenSSL.
 *
 * A context is what all connections share: certificate, key, who may connect.
 * A new one is made to change any of that; each connection keeps the one it
 * began with.  Everything but md_tls_context_new belongs to the loop's thread.
 *
 * OpenSSL writes to the socket by write(2): the process must ignore SIGPIPE.
 * Its memory is its own, about 30 KiB of a connection that is idle.
 */
#ifndef MD_NET_TLS_H
#define MD_NET_TLS_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/uio.h>

#include "base/alloc.h"

typedef struct md_tls_context md_tls_context;
typedef struct md_tls md_tls;

/* Files in PEM. */
typedef struct md_tls_files {
    const char *cert;      /* the server's, and then those up to its CA's */
    const char *key;       /* without a passphrase */
    const char *client_ca; /* whose clients may connect; NULL: all may */
} md_tls_files;

/*
 * Read the files; the first time, load OpenSSL.  Messages name the file and
 * what is wrong with it.  MD_NOT_FOUND, MD_DENIED, MD_IO as md_file_read;
 * MD_INVALID for contents: not PEM, a key that belongs to another certificate,
 * a certificate out of its time; MD_UNAVAILABLE without OpenSSL.
 */
md_status md_tls_context_new(md_tls_context **out, const md_tls_files *files,
                             const md_alloc *alloc, md_error *err);

/* NULL is allowed.  Connections that have it keep it alive. */
void md_tls_context_unref(md_tls_context *x);

typedef enum md_tls_result {
    MD_TLS_OK,
    MD_TLS_WANTS_READ, /* again, when the socket can be read from */
    MD_TLS_WANTS_WRITE,
    MD_TLS_CLOSED, /* by the peer */
    MD_TLS_FAILED  /* md_tls_why */
} md_tls_result;

/* The server's side of a connection; fd stays the caller's.  NULL when memory
 * is short. */
md_tls *md_tls_new(md_tls_context *x, int fd);

/* NULL is allowed; says nothing to the peer. */
void md_tls_free(md_tls *t);

/* Go on with the handshake; nothing else may be called before it is MD_TLS_OK.
 * A failure has been told to the peer. */
md_tls_result md_tls_handshake(md_tls *t);

/* Does the peer speak HTTP without TLS?  After a failed handshake. */
bool md_tls_is_plain_http(const md_tls *t);

/* What failed; never NULL. */
const char *md_tls_why(const md_tls *t);

/* Up to `size` bytes; *n of them have come, whatever the result is. */
md_tls_result md_tls_read(md_tls *t, void *to, size_t size, size_t *n);

/* Is there more to read, or an end to hear of, of which the socket knows
 * nothing any more? */
bool md_tls_has_more(const md_tls *t);

/* Send the first bytes of n pieces, *sent of them.  After MD_TLS_WANTS_* the
 * next call has to begin with the same bytes. */
md_tls_result md_tls_write(md_tls *t, const struct iovec *iov, size_t n,
                           size_t *sent);

/* Tell the peer that nothing more comes (close_notify), if it can be told. */
void md_tls_goodbye(md_tls *t);

#endif
