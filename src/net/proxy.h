/*
 * The PROXY protocol's header, version 2, in which a proxy tells whose
 * connection it forwards; without I/O.
 * https://www.haproxy.org/download/2.9/doc/proxy-protocol.txt
 *
 * Twelve fixed bytes, version and command, family and protocol, the size of
 * what follows in two bytes (high one first); then the addresses of source and
 * destination, and values of a type byte and two of size.  The text of version
 * 1 is refused: its end has to be looked for, and every proxy has version 2.
 */
#ifndef MD_NET_PROXY_H
#define MD_NET_PROXY_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/socket.h>

#include "base/error.h"

enum {
    MD_PROXY_HEAD_SIZE = 16,
    MD_PROXY_SIZE_MAX = MD_PROXY_HEAD_SIZE + 4096
};

typedef struct md_proxy {
    struct sockaddr_storage source;
    socklen_t source_size; /* 0: the proxy speaks for itself, or does not say */
} md_proxy;

/*
 * Look at the first `size` bytes of a connection.  *need is how many the
 * header has, as far as that is known from them: with fewer, come again;
 * otherwise *out is what they say.  MD_CORRUPT, MD_TOO_LARGE.
 */
md_status md_proxy_parse(md_proxy *out, size_t *need, const void *bytes,
                         size_t size, md_error *err);

#endif
