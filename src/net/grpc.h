/*
 * gRPC over HTTP/2: what lies between DATA frames and messages, without I/O.
 * https://github.com/grpc/grpc/blob/master/doc/PROTOCOL-HTTP2.md,
 * compression.md, statuscodes.md.
 *
 * A message is a flag byte (1: compressed), its size as four bytes, high one
 * first, and its contents.
 */
#ifndef MD_NET_GRPC_H
#define MD_NET_GRPC_H

#include <stdint.h>

#include "base/buf.h"
#include "net/coding.h"

enum {
    MD_GRPC_PREFIX_SIZE = 5
};

/* Is it "application/grpc", with a format or parameters behind it or not? */
bool md_grpc_is_type(md_slice content_type);

typedef struct md_grpc_message {
    bool compressed;
    uint32_t size; /* behind the prefix */
} md_grpc_message;

/* Is a prefix there?  MD_CORRUPT for a flag that is neither 0 nor 1,
 * MD_TOO_LARGE when the message is larger than size_max. */
md_status md_grpc_prefix(md_grpc_message *out, bool *there, md_slice bytes,
                         size_t size_max, md_error *err);

/* Write the prefix of a message into MD_GRPC_PREFIX_SIZE bytes. */
void md_grpc_prefix_write(unsigned char *to, bool compressed, size_t size);

/* "100m" in nanoseconds: up to eight digits and H, M, S, m, u or n.
 * MD_INVALID. */
md_status md_grpc_timeout(int64_t *ns, md_slice text, md_error *err);

/* Of grpc-encoding; absent is identity.  MD_UNSUPPORTED. */
md_status md_grpc_coding_parse(md_coding *out, md_slice name, md_error *err);

/* Does the list of grpc-accept-encoding have it? */
bool md_grpc_accepts(md_slice list, md_coding c);

/* Append text with all that is not printable ASCII, and '%', as %XX. */
md_status md_grpc_text_write(md_buf *out, const char *text, md_error *err);

#endif
