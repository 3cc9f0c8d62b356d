#include "net/trust.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>

#include "net/slice.h"

enum {
    TEXT_SIZE = INET6_ADDRSTRLEN,
    V4_BITS = 96 /* before the bits of an IPv4 address */
};

static const unsigned char V4_PREFIX[12] = { 0, 0, 0, 0, 0,    0,
                                             0, 0, 0, 0, 0xff, 0xff };

static md_status fail(md_error *err, md_slice item)
{
    return md_fail(err, MD_INVALID,
                   "trusted address '%.*s': an address, one with /BITS, or "
                   "unix expected",
                   item.size > 64 ? 64 : (int)item.size, item.data);
}

/* Decimal, 0..max, nothing else. */
static bool get_bits(uint32_t *out, md_slice s, uint32_t max)
{
    *out = 0;
    if (s.size == 0 || s.size > 3)
        return false;
    for (size_t i = 0; i < s.size; i++) {
        if (s.data[i] < '0' || s.data[i] > '9')
            return false;
        *out = *out * 10 + (uint32_t)(s.data[i] - '0');
    }
    return *out <= max;
}

static md_status parse_net(md_trust_net *out, md_slice item, md_error *err)
{
    const char *slash = memchr(item.data, '/', item.size);
    const size_t n = slash ? (size_t)(slash - item.data) : item.size;
    char text[TEXT_SIZE];
    bool v4;

    if (n >= sizeof(text))
        return fail(err, item);
    memcpy(text, item.data, n);
    text[n] = '\0';
    memcpy(out->address, V4_PREFIX, sizeof(V4_PREFIX));
    v4 = inet_pton(AF_INET, text, out->address + sizeof(V4_PREFIX)) == 1;
    if (!v4 && inet_pton(AF_INET6, text, out->address) != 1)
        return fail(err, item);
    out->bits = v4 ? 32 : 128;
    if (slash &&
        !get_bits(&out->bits, (md_slice){ slash + 1, item.size - n - 1 },
                  out->bits))
        return fail(err, item);
    out->bits += v4 ? V4_BITS : 0;
    return MD_OK;
}

md_status md_trust_parse(md_trust *out, const char *text, md_error *err)
{
    md_slice list = md_slice_of(text);
    md_slice item;

    memset(out, 0, sizeof(*out));
    while (md_slice_next_item(&list, &item)) {
        if (item.size == 0)
            continue;
        if (md_slice_eq(item, "unix")) {
            out->unix_too = true;
            continue;
        }
        if (out->n == MD_TRUST_MAX)
            return md_fail(err, MD_INVALID,
                           "more than %d trusted addresses given",
                           MD_TRUST_MAX);
        MD_TRY(parse_net(&out->nets[out->n], item, err));
        out->n++;
    }
    return MD_OK;
}

static bool matches(const md_trust_net *net, const unsigned char address[16])
{
    const uint32_t bytes = net->bits / 8;
    const uint32_t rest = net->bits % 8;

    if (memcmp(net->address, address, bytes) != 0)
        return false;
    return rest == 0 ||
           (net->address[bytes] ^ address[bytes]) >> (8 - rest) == 0;
}

bool md_trust_has(const md_trust *t, const struct sockaddr *sa)
{
    unsigned char address[16];

    if (sa->sa_family == AF_INET) {
        memcpy(address, V4_PREFIX, sizeof(V4_PREFIX));
        memcpy(address + sizeof(V4_PREFIX),
               &((const struct sockaddr_in *)sa)->sin_addr, 4);
    } else if (sa->sa_family == AF_INET6) {
        memcpy(address, &((const struct sockaddr_in6 *)sa)->sin6_addr, 16);
    } else {
        return t->unix_too && sa->sa_family == AF_UNIX;
    }
    for (uint32_t i = 0; i < t->n; i++)
        if (matches(&t->nets[i], address))
            return true;
    return false;
}
