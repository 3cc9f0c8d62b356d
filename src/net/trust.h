/* Who is trusted: addresses as people write them, "10.0.0.0/8, ::1, unix". */
#ifndef MD_NET_TRUST_H
#define MD_NET_TRUST_H

#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"

struct sockaddr;

enum {
    MD_TRUST_MAX = 64
};

/* IPv4 addresses are kept as IPv6 has them, ::ffff:a.b.c.d. */
typedef struct md_trust_net {
    unsigned char address[16];
    uint32_t bits; /* of it that count */
} md_trust_net;

typedef struct md_trust {
    md_trust_net nets[MD_TRUST_MAX];
    uint32_t n;
    bool unix_too; /* whoever comes by a Unix socket */
} md_trust;

/* "" trusts nobody.  MD_INVALID. */
md_status md_trust_parse(md_trust *out, const char *text, md_error *err);

bool md_trust_has(const md_trust *t, const struct sockaddr *sa);

#endif
